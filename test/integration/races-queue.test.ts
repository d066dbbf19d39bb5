/**
 * Races about the queue's own keys, on real Redis and BullMQ: what a release may delete, jobs of other tools,
 * adds that fail half-way. One test for each guard of the scripts that no other test misses when it is taken out.
 */
import { InvalidOptionError } from '../../src/core/model/errors.js';
import { StoreRefusedError } from '../../src/core/model/store-errors.js';
import { RedisEntity } from '../support/redis-entity.js';
import { claimOf, done, serving } from '../support/settlements.js';

describe('races about the queue', () => {
  let on: RedisEntity;

  beforeEach(async () => {
    on = await RedisEntity.create();
  });
  afterEach(() => on.close());

  /** Puts an id into a state of BullMQ. */
  const put = (state: string, id: string) =>
    ['wait', 'active', 'paused'].includes(state)
      ? on.redis.rpush(on.key(state), id)
      : on.redis.zadd(on.key(state), 1, id);

  test.each(['completed', 'failed', 'waiting-children', 'repeat', 'paused'])(
    'race 9: a release deletes no key of a queue with something in "%s"',
    async state => {
      await put(state, 'kept');
      await on.released();
      expect(await on.redis.exists(on.key('id'), on.key('meta'), on.key(state))).toBe(3);
    },
  );

  test('race 22: a job that a plain BullMQ worker holds is not overtaken', async () => {
    await on.a.add(on.job(0), 'route-only');
    const id = (await on.redis.rpoplpush(on.key('wait'), on.key('active'))) ?? '';
    await on.redis.set(on.key(`${id}:lock`), 'a worker of BullMQ', 'PX', 60_000);
    const { claim, jobs } = await on.cold(on.a, 1, on.job(1));
    expect(jobs.map(({ data }) => data)).toEqual([{ n: 1 }]);
    expect((await on.a.finish(claim, [done(jobs[0])], 1)).jobs).toEqual([]);
  });

  test('a job that completes before its children have ended fails: it does not hold up its successors', async () => {
    const { claim, jobs } = await on.cold(on.a, 1);
    await on.a.add(on.job(1), { epoch: 1, mayClaim: false, atOnce: 1 });
    const id = jobs[0]?.id ?? '';
    await on.redis.sadd(on.key(`${id}:dependencies`), 'elsewhere');
    const next = await on.a.finish(claim, [done(jobs[0])], 1);
    expect(next.jobs.map(({ data }) => data)).toEqual([{ n: 1 }]);
    expect(await on.redis.zrange(on.key('failed'), '0', '-1')).toEqual([id]);
    expect(await on.redis.hget(on.key(id), 'failedReason')).toMatch(/children/);
    expect((await on.a.finish(claim, [done(next.jobs[0])], 1)).jobs).toEqual([]);
  });

  test('race 9: a release deletes no key of a queue with a delayed job, whose id would be given again', async () => {
    const delayed = await on.a.add(on.job(0, { delay: 60_000 }), { epoch: 1, mayClaim: false, atOnce: 1 });
    await on.released();
    expect((await on.a.add(on.job(1), 'route-only')).jobId).not.toBe(delayed.jobId);
    expect(await on.redis.hget(on.key(delayed.jobId), 'data')).toBe('{"n":0}');
  });

  test('race 8: an id that BullMQ would split at its colons is refused', async () => {
    const add = on.a.add(on.job(1, { jobId: 'a:b:c' }), { epoch: 1, mayClaim: false, atOnce: 1 });
    await expect(add).rejects.toBeInstanceOf(InvalidOptionError);
  });

  test('races 10 and 11: jobs with a priority, added outside the library, are found, stay scheduled, and are given back in order', async () => {
    const bull = on.queue();
    for (const n of [0, 1]) await bull.add('withdraw', { n }, { priority: 5 });
    const { jobs } = claimOf(await on.a.tryClaim(on.entity, 1));
    expect(jobs[0]?.data).toEqual({ n: 0 });
    await on.cluster.expireLeases();
    const taken = claimOf(await on.b.tryClaim(on.entity, 1));
    expect(taken.jobs[0]?.data).toEqual({ n: 0 });
    const { jobs: next } = await on.b.finish(taken.claim, [done(taken.jobs[0])], 1);
    expect(next[0]?.data).toEqual({ n: 1 });
    await on.b.finish(taken.claim, [done(next[0])], 1);
    await bull.add('withdraw', { n: 2 }, { priority: 5 });
    expect(await on.b.renew([{ claim: taken.claim, idle: true }], serving())).toMatchObject({ lost: [], kicked: [0] });
    await on.b.take(taken.claim);
    await on.b.release(taken.claim, 'hand-over');
    expect(await bull.getJobCounts('prioritized', 'waiting', 'active')).toEqual({
      prioritized: 1,
      waiting: 0,
      active: 0,
    });
  });

  test('race 37: a delayed job that is due is work for an idle worker', async () => {
    const { claim, jobs } = await on.cold(on.a, 1);
    await on.a.add(on.job(1, { delay: 60_000 }), { epoch: 1, mayClaim: false, atOnce: 1 });
    await on.a.finish(claim, [done(jobs[0])], 1);
    expect(await on.a.renew([{ claim, idle: true }], serving())).toMatchObject({ lost: [], kicked: [] });
    await on.cluster.ripenDelayed(on.entity);
    expect(await on.a.renew([{ claim, idle: true }], serving())).toMatchObject({ lost: [], kicked: [0] });
  });

  test.each(['wait', 'active', 'paused', 'delayed', 'prioritized', 'completed', 'failed', 'waiting-children'])(
    'race 38: a job in "%s" is no remnant: an add of its id changes nothing',
    async state => {
      await on.redis.hset(on.key('x'), 'name', 'kept');
      await put(state, 'x');
      expect((await on.a.add(on.job(1, { jobId: 'x' }), 'route-only')).jobId).toBe('x');
      expect(await on.redis.hgetall(on.key('x'))).toEqual({ name: 'kept' });
    },
  );

  test('race 38: an add that fails after it has put the job into a list takes it out again', async () => {
    await on.redis.set(on.key('marker'), 'not a sorted set');
    for (const [state, options] of [
      ['wait', {}],
      ['wait', { jobId: 'x' }],
      ['delayed', { delay: 60_000 }],
      ['delayed', { delay: 60_000, jobId: 'x' }],
    ] as const) {
      await expect(on.a.add(on.job(0, options), 'route-only')).rejects.toBeInstanceOf(StoreRefusedError);
      expect([state, await on.redis.exists(on.key(state), on.key('x'))]).toEqual([state, 0]);
    }
  });

  test('race 38: a failing add of an existing id does not remove the job', async () => {
    await on.a.add(on.job(0, { jobId: 'x' }), 'route-only');
    await on.redis.set(on.key('events'), 'not a stream');
    await expect(on.a.add(on.job(1, { jobId: 'x' }), 'route-only')).rejects.toBeInstanceOf(StoreRefusedError);
    expect(await on.redis.hget(on.key('x'), 'data')).toBe('{"n":0}');
    expect(await on.redis.lrange(on.key('wait'), 0, -1)).toEqual(['x']);
  });

  test('race 38: an add that failed keeps no deduplication id from a later one', async () => {
    const once = { deduplication: { id: 'd' } };
    await on.redis.set(on.key('marker'), 'not a sorted set');
    await expect(on.a.add(on.job(0, once), 'route-only')).rejects.toBeInstanceOf(StoreRefusedError);
    await on.redis.del(on.key('marker'));
    const { jobs } = await on.cold(on.a, 1, on.job(1, once));
    expect(jobs[0]?.data).toEqual({ n: 1 });
  });
});
