/** What each guard against damaged records does, by direct calls; `damaged-records.test.ts` gives every field every value. */
import { StaleClaimError } from '../../src/core/model/job-errors.js';
import type { RedisJob } from '../../src/store/redis/read-job.js';
import { RedisEntity } from '../support/redis-entity.js';
import { claimOf, done } from '../support/settlements.js';

describe('damage', () => {
  let entity: RedisEntity;
  beforeEach(async () => {
    entity = await RedisEntity.create();
  });
  afterEach(() => entity.close());

  const enter = (n: number, options = {}) => entity.a.add(entity.job(n, options), 'route-only');
  const claim = () => entity.key('$:worker');

  test('a fetch that fails because of a job mends it, and all jobs go back in their order (I6)', async () => {
    const { claim, jobs } = await entity.cold(entity.a, 1);
    const { jobId } = await enter(1);
    await enter(2);
    await entity.redis.hset(entity.key(jobId), 'ats', 'x');
    const fetched = await entity.a.finish(claim, [done(jobs[0])], 2);
    expect(fetched).toEqual({ jobs: [], isRecalled: true });
    await entity.a.giveBack(claim, []);
    const taken = await entity.a.take(claim, 2);
    expect(taken.jobs.map(({ id }) => id)).toEqual(['2', '3']);
    expect(taken.jobs[0]?.mustFail).toMatch(/"ats"/);
    expect(taken.jobs[1]?.mustFail).toBeUndefined();
  });

  test('an end that fails half-way is made again (I5)', async () => {
    const { claim, jobs } = await entity.cold(entity.a, 1, entity.job(0, { removeOnComplete: false }));
    await entity.redis.hset(entity.key('1'), 'atm', 'x');
    await entity.a.finish(claim, [done(jobs[0] as RedisJob)], 0);
    expect(await entity.redis.zscore(entity.key('completed'), '1')).not.toBeNull();
    expect(await entity.redis.exists(entity.key('active'))).toBe(0);
  });

  test('a damaged parent counts as missing', async () => {
    const { claim, jobs } = await entity.cold(entity.a, 1);
    await entity.redis.hset(entity.key('1'), 'parent', '{');
    expect(await entity.a.finish(claim, [done(jobs[0])], 1)).toEqual({ jobs: [] });
    expect(await entity.redis.exists(entity.key('active'))).toBe(0);
  });

  test('a meta key of another type, or with a field that is no number, is mended by the next add', async () => {
    await entity.redis.set(entity.key('meta'), 'x');
    await expect(enter(1)).resolves.toMatchObject({ jobId: expect.any(String) });
    await entity.redis.hset(entity.key('meta'), 'opts.maxLenEvents', 'x');
    await expect(enter(2)).resolves.toMatchObject({ jobId: expect.any(String) });
  });

  test('a claim that is no hash counts as missing', async () => {
    await entity.redis.set(claim(), 'x');
    const { claim: first } = await entity.cold(entity.a, 1);
    await entity.redis.del(claim());
    await entity.redis.set(claim(), 'x');
    const second = claimOf(await entity.b.add(entity.job(1), { epoch: 1, mayClaim: true, atOnce: 1 }));
    expect(Number(second.claim.token)).toBeGreaterThan(Number(first.token));
  });

  test('a claim without an end has lapsed, unless its owner is heard', async () => {
    await entity.cold(entity.a, 1);
    await entity.redis.hset(claim(), { until: 'x', token: 'x' });
    const { types, takesMore, workers } = { types: ['account'], takesMore: true, workers: 1 };
    await entity.a.renew([], { types, takesMore, workers });
    expect(await entity.b.tryClaim(entity.entity, 1)).toBe('owned');
    await entity.redis.hset(claim(), 'owner', 'dead');
    // no silence of all pods gives it a lease more
    await entity.redis.set(entity.system('heard'), 1);
    expect(await entity.b.tryClaim(entity.entity, 2)).toMatchObject({
      claim: { token: expect.stringMatching(/^\d{16}$/) },
    });
  });

  test('a claim that ends in days is inspected soon, and lapses once its owner is not heard', async () => {
    await entity.cold(entity.a, 1);
    const inDays = (Date.now() + 172_800_000) * 1000;
    await entity.redis.hset(claim(), 'until', inDays);
    await entity.a.renew([], { types: ['account'], takesMore: true, workers: 1 });
    expect(await entity.b.tryClaim(entity.entity, 1)).toBe('owned');
    expect(Number(await entity.redis.zscore(entity.system('due:account'), '42'))).toBeLessThan(
      inDays / 2 + Date.now() * 500,
    );
    await entity.redis.hset(claim(), 'owner', 'dead');
    await entity.redis.set(entity.system('heard'), 1);
    expect(await entity.b.tryClaim(entity.entity, 2)).toMatchObject({ claim: { epoch: 2 } });
  });

  test('a damaged epoch is older than any other', async () => {
    const { claim: first } = await entity.cold(entity.a, 1);
    for (const epoch of ['x', '9007199254740993', '1e3']) {
      await entity.redis.hset(claim(), 'epoch', epoch);
      await expect(entity.a.take(first)).rejects.toBeInstanceOf(StaleClaimError);
      expect(await entity.a.tryClaim(entity.entity, 2)).toMatchObject({ claim: { epoch: 2 } });
    }
  });

  test('a damaged last id counts as missing', async () => {
    const { claim: first, jobs } = await entity.cold(entity.a, 1);
    await entity.a.finish(first, [done(jobs[0])], 1);
    await entity.a.release(first, 'idle');
    await entity.redis.hset(claim(), 'lastId', 'x');
    expect(await entity.a.add(entity.job(1), { epoch: 2, mayClaim: true, atOnce: 1 })).toMatchObject({ jobId: '1' });
  });

  test('the damaged claim of one entity does not fail the renewals of the others', async () => {
    const { claim: first } = await entity.cold(entity.a, 1);
    const other = { type: 'account', id: 'other' };
    const { claim: second } = await entity.cold(entity.a, 2, entity.job(0, {}, other));
    const renew = () =>
      entity.a.renew(
        [first, second].map(claim => ({ claim, idle: false })),
        { types: ['account'], takesMore: true, workers: 2 },
      );
    await entity.redis.hset(claim(), 'epoch', 'x');
    expect(await renew()).toMatchObject({ lost: [0] });
    await entity.redis.del(claim());
    await entity.redis.set(claim(), 'x');
    expect(await renew()).toMatchObject({ lost: [0] });
  });
});
