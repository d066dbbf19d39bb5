/** Several pods' stores on one real Redis, under one fresh prefix, without engines: for tests of the protocol itself. */
import { randomBytes } from 'node:crypto';
import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { EntityRef } from '../../src/core/model/entity.js';
import type { EngineConfig } from '../../src/core/options/config.js';
import { systemClock } from '../../src/nest/system.js';
import { KeySpace } from '../../src/store/redis/keys.js';
import { createRedisStore, type RedisEntityStore } from '../../src/store/redis/redis-store.js';
import { RecordingLog } from './log.js';
import { connect, dropKeys, freshPrefix, keysUnder, redisUrl } from './redis.js';

/** Longer than any lease. */
const HEARD_FOR_LONG_MS = 3_600_000;

export class RedisCluster {
  readonly prefix = freshPrefix();
  readonly redis: Redis;
  readonly log = new RecordingLog();
  private readonly stores: RedisEntityStore[] = [];
  private keySpace: KeySpace | undefined;

  constructor(private readonly url = redisUrl()) {
    this.redis = connect(url);
  }

  async pod(
    config: EngineConfig,
    podId = randomBytes(4).toString('hex'),
    url = this.url,
    clock = systemClock,
  ): Promise<RedisEntityStore> {
    this.keySpace ??= new KeySpace(this.prefix, config);
    const store = await createRedisStore({
      redis: { url },
      keyPrefix: this.prefix,
      commandTimeoutMs: 2000,
      config,
      clock,
      log: this.log,
      podId,
    });
    this.stores.push(store);
    await store.start();
    return store;
  }

  /** Base key of the entity's queue. */
  base(entity: EntityRef): string {
    return this.keys(entity).base;
  }

  keys(entity: EntityRef) {
    if (!this.keySpace) throw new Error('make a pod first');
    return this.keySpace.of(entity);
  }

  async expireLeases(): Promise<void> {
    await this.heardFor(HEARD_FOR_LONG_MS);
    for (const key of await keysUnder(this.redis, this.prefix)) {
      if (key.endsWith(':$:worker') && (await this.redis.hexists(key, 'owner')))
        await this.redis.hset(key, 'until', '1');
    }
  }

  async ripenDelayed(entity: EntityRef): Promise<void> {
    const key = `${this.base(entity)}:delayed`;
    for (const id of await this.redis.zrange(key, '0', '-1')) await this.redis.zadd(key, 1, id);
  }

  async pause(entity: EntityRef, paused: boolean): Promise<void> {
    if (paused) await this.redis.hset(`${this.base(entity)}:meta`, 'paused', '1');
    else await this.redis.hdel(`${this.base(entity)}:meta`, 'paused');
  }

  timePasses(ms: number): Promise<void> {
    return new Promise(resolve => setTimeout(resolve, ms));
  }

  async addPast(entity: EntityRef, data: object): Promise<void> {
    const { queue, prefix } = this.keys(entity);
    const past = new Queue(queue, { prefix, connection: { url: redisUrl() } as never });
    await past.add('withdraw', data);
    await past.close();
  }

  async endHold(entity: EntityRef): Promise<void> {
    const key = `${this.base(entity)}:$:worker`;
    const hold = await this.redis.hget(key, 'hold');
    if (hold) await this.redis.hset(key, 'hold', hold.replace(/^\d+/, '1'));
  }

  async removeJob(entity: EntityRef, jobId: string): Promise<void> {
    const base = this.base(entity);
    for (const list of ['wait', 'active']) await this.redis.lrem(`${base}:${list}`, 0, jobId);
    await this.redis.del(`${base}:${jobId}`, `${base}:${jobId}:lock`);
  }

  failedIds(entity: EntityRef): Promise<string[]> {
    return this.redis.zrange(`${this.base(entity)}:failed`, '0', '-1');
  }

  async keysOf(entity: EntityRef): Promise<string[]> {
    const base = this.base(entity);
    const expiring = [`${base}:$:worker`, `${base}:events`];
    const keys = (await keysUnder(this.redis, base)).filter(key => !expiring.includes(key));
    for (const key of expiring) expect(await this.redis.ttl(key)).not.toBe(-1);
    return keys;
  }

  async dueScore(entity: EntityRef): Promise<number | undefined> {
    const { type, id } = this.keys(entity);
    const score = await this.redis.zscore(`${this.prefix}:$:due:${type}`, id);
    return score === null ? undefined : Number(score);
  }

  async dueInMs(entity: EntityRef): Promise<number | undefined> {
    const score = await this.dueScore(entity);
    if (score === undefined) return undefined;
    return (score - (await this.nowUs())) / 1000;
  }

  async heardForMs(): Promise<number> {
    const since = await this.redis.get(`${this.prefix}:$:heard`);
    return since === null ? 0 : ((await this.nowUs()) - Number(since)) / 1000;
  }

  private async nowUs(): Promise<number> {
    const [seconds, micros] = await this.redis.time();
    return Number(seconds) * 1_000_000 + Number(micros);
  }

  async heardFor(ms: number): Promise<void> {
    const sinceUs = (await this.nowUs()) - ms * 1000;
    await this.redis.set(`${this.prefix}:$:heard`, sinceUs.toFixed(0), 'PX', 60_000);
  }

  async allFallSilent(): Promise<void> {
    await this.redis.del(`${this.prefix}:$:heard`);
  }

  async fallSilent(): Promise<void> {
    await this.heardFor(HEARD_FOR_LONG_MS);
    const alive = (await this.allKeys()).filter(key => key.endsWith(':alive'));
    if (alive.length > 0) await this.redis.del(...alive);
  }

  allKeys(): Promise<string[]> {
    return keysUnder(this.redis, this.prefix);
  }

  async close(): Promise<void> {
    for (const store of this.stores) await store.close();
    await dropKeys(this.redis, this.prefix);
    await this.redis.quit();
  }
}
