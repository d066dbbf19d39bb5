/** I11: steps on real Redis stay short for any content of a queue, and work of several steps is completed although its caller dies. */
import type { EntityRef } from '../../src/core/model/entity.js';
import { StoreUnavailableError } from '../../src/core/model/store-errors.js';
import type { RedisEntityStore } from '../../src/store/redis/redis-store.js';
import { plantJobs } from '../support/plant.js';
import { RedisEntity } from '../support/redis-entity.js';
import { claimOf, done, numbers } from '../support/settlements.js';
import { eventually } from '../support/wait.js';

describe('steps that stay short', () => {
  let on: RedisEntity;
  let a: RedisEntityStore;
  let entity: EntityRef;
  let base: string;

  beforeEach(async () => {
    on = await RedisEntity.create();
    ({ a, entity } = on);
    base = on.cluster.base(entity);
  });
  afterEach(() => on.close());

  const keysLeft = () => on.cluster.keysOf(entity);

  test('I8: another pod continues a drop whose caller dies, and leaves nothing', async () => {
    await plantJobs(on.redis, base, 50_000);
    const caller = await on.cluster.pod(on.config, 'caller');
    const dropping = caller.control.drop(entity);
    await eventually('the queue is empty', async () => (await on.redis.exists(`${base}:wait`)) === 0);
    await caller.close();
    await expect(dropping).rejects.toThrow(StoreUnavailableError);
    const isLeft = () => on.redis.exists(on.key('$:dropped'));
    expect(await isLeft()).toBe(1);
    // the ids of what is left are not given again
    expect(await on.redis.ttl(on.key('$:worker'))).toBe(-1);
    // the caller has some seconds for each page
    expect(await a.leftovers(['account'])).toBe(false);
    expect(await isLeft()).toBe(1);
    await on.redis.zadd(on.system('dropped:account'), 1, '42');
    expect(await a.leftovers(['account'])).toBe(false);
    expect(await keysLeft()).toEqual([]);
    expect(await on.redis.exists(on.system('dropped:account'))).toBe(0);
    expect(await on.redis.ttl(on.key('$:worker'))).toBeGreaterThan(0);
    expect((await a.add(on.job(1), 'route-only')).jobId).toBe('50001');
  });

  test('I7: any pod completes the resume of a type that was not finished', async () => {
    const ids = [...Array(250).keys()].map(String);
    await a.control.pauseType('account', true);
    for (const id of ids) await a.add(on.job(1, {}, { type: 'account', id }), 'route-only');
    for (const id of ids) expect(await a.tryClaim({ type: 'account', id }, 1)).toBe('paused');
    expect(await a.leftovers(['account'])).toBe(false);
    expect(await a.due('account', 0, 999)).toEqual([]);
    await on.redis.del(on.system('paused:account'));
    expect([await a.leftovers(['account']), await a.leftovers(['account'])]).toEqual([true, true]);
    expect(await a.leftovers(['account'])).toBe(false);
    expect((await a.due('account', 0, 999)).length).toBe(250);
  });

  test('I6: a large number of jobs of a dead owner comes back in several steps, in order', async () => {
    await plantJobs(on.redis, base, 5000, 'active');
    await on.redis.hset(on.key('$:worker'), 'owner', 'dead', 'epoch', '1', 'until', '1', 'entity', 'account:42');
    // no silence of all pods gives it a lease more
    await on.redis.set(on.system('heard'), 1);
    expect(await a.tryClaim(entity, 1)).toBe('later');
    expect(await on.redis.llen(`${base}:active`)).toBe(4000);
    expect(await on.redis.hget(on.key('$:worker'), 'owner')).toBeNull();
    expect(await a.due('account', 0, 9)).toEqual([entity]);
    for (let epoch = 2; epoch <= 4; epoch++) expect(await a.tryClaim(entity, epoch)).toBe('later');
    const claimed = claimOf(await a.tryClaim(entity, 5));
    expect(numbers(claimed.jobs)).toEqual([1]);
    expect(numbers((await a.finish(claimed.claim, [done(claimed.jobs[0])], 3)).jobs)).toEqual([2, 3, 4]);
  });

  test('a large number of jobs of a dead owner is dropped in several steps, too', async () => {
    await plantJobs(on.redis, base, 5000, 'active');
    await on.redis.hset(on.key('$:worker'), 'owner', 'dead', 'epoch', '1', 'until', '1', 'entity', 'account:42');
    // no silence of all pods gives it a lease more
    await on.redis.set(on.system('heard'), 1);
    await a.control.drop(entity);
    expect(await on.redis.llen(`${base}:active`)).toBe(4000);
    // a late call of the owner would find its claim, and give jobs back that were dropped
    expect(await on.redis.hget(on.key('$:worker'), 'owner')).toBeNull();
    for (let asked = 0; await a.control.isDropping(entity); asked++) expect(asked).toBeLessThan(9);
    expect(await a.tryClaim(entity, 1)).toBe('later');
    await a.control.drop(entity);
    expect(await keysLeft()).toEqual([]);
  });

  test('one end removes a part of the kept jobs beyond the count, which may be many after a change of the option', async () => {
    const keep = (count: number | false) => on.job(1, { removeOnComplete: count });
    const { claim, jobs } = await on.cold(a, 1, keep(false));
    await a.finish(claim, [done(jobs[0])], 0);
    for (let n = 1; n <= 1000; n++) await on.redis.zadd(`${base}:completed`, n, `old-${n}`);
    const end = async () => {
      await a.add(keep(5), { epoch: 1, mayClaim: false, atOnce: 0 });
      const { jobs } = await a.take(claim);
      await a.finish(claim, [done(jobs[0])], 0);
      return on.redis.zcard(`${base}:completed`);
    };
    expect(await end()).toBeGreaterThan(700);
    for (let i = 0; i < 4; i++) await end();
    expect(await end()).toBe(5);
  });

  test('a list of large jobs comes in several steps, complete and in order', async () => {
    const text = 'x'.repeat(1_000_000);
    const hint = { epoch: 1, mayClaim: false, atOnce: 0 };
    for (let n = 0; n < 12; n++) await a.add({ ...on.job(n), data: JSON.stringify({ n, text }) }, hint);
    const { channel } = (
      a as unknown as { connections: { channel: { call(op: string, ...more: unknown[]): unknown } } }
    ).connections;
    const ops: string[] = [];
    const call = channel.call.bind(channel);
    channel.call = (op, ...more) => {
      ops.push(op);
      return call(op, ...more);
    };
    expect(numbers((await a.control.list(entity, 'waiting', 1, 9)) as never)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(ops).toEqual(['list', 'list']);
  });
});
