/** One entity, two pods' stores and direct calls of the protocol on real Redis, without engines. */
import { Queue } from 'bullmq';
import type { EntityRef } from '../../src/core/model/entity.js';
import type { NewJob } from '../../src/core/model/job.js';
import { resolveOptions } from '../../src/core/options/resolve.js';
import type { Claimed } from '../../src/core/ports/claims.js';
import type { RedisEntityStore } from '../../src/store/redis/redis-store.js';
import { redisUrl } from './redis.js';
import { RedisCluster } from './redis-cluster.js';
import { claimOf, done } from './settlements.js';

export class RedisEntity {
  readonly config = resolveOptions({});
  readonly entity: EntityRef = { type: 'account', id: '42' };
  private readonly queues: Queue[] = [];

  private constructor(
    readonly cluster: RedisCluster,
    readonly a: RedisEntityStore,
    readonly b: RedisEntityStore,
  ) {}

  static async create(): Promise<RedisEntity> {
    const cluster = new RedisCluster();
    const config = resolveOptions({});
    return new RedisEntity(cluster, await cluster.pod(config, 'a'), await cluster.pod(config, 'b'));
  }

  get redis() {
    return this.cluster.redis;
  }

  key(name: string, of = this.entity): string {
    return `${this.cluster.base(of)}:${name}`;
  }

  /** A key of the system's own, such as `due:account`. */
  system(name: string): string {
    return `${this.cluster.prefix}:$:${name}`;
  }

  job(n: number, options: Record<string, unknown> = {}, of = this.entity): NewJob {
    const { jobOptions } = this.config.entityType('account');
    return { entity: of, name: 'withdraw', data: JSON.stringify({ n }), options: { ...jobOptions, ...options } };
  }

  /** Adds a job on a pod, which claims the entity with it. */
  async cold(pod: RedisEntityStore, epoch: number, job = this.job(0)): Promise<Claimed> {
    return claimOf(await pod.add(job, { epoch, mayClaim: true, atOnce: 1 }));
  }

  /** Pod A worked a job with that epoch, and has given the entity up. */
  async released(epoch = 1): Promise<void> {
    const { claim, jobs } = await this.cold(this.a, epoch);
    await this.a.finish(claim, [done(jobs[0])], 1);
    if (!(await this.a.release(claim, 'idle'))) throw new Error('not released');
  }

  /** The entity's queue as BullMQ sees it. */
  queue(): Queue {
    const { queue, prefix } = this.cluster.keys(this.entity);
    const made = new Queue(queue, { prefix, connection: { url: redisUrl() } as never });
    this.queues.push(made);
    return made;
  }

  async close(): Promise<void> {
    for (const queue of this.queues) await queue.close();
    await this.cluster.close();
  }
}
