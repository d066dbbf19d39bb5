/** What each guard against damaged records does, by direct calls; `damaged-records.test.ts` gives every field every value. */
import { StaleClaimError } from '../../src/core/model/job-errors.js';
import type { RedisJob } from '../../src/store/redis/decode.js';
import { RedisEntity } from '../support/redis-entity.js';
import { claimOf, done } from '../support/settlements.js';

describe('damage', () => {
  let scene: RedisEntity;
  beforeEach(async () => {
    scene = await RedisEntity.create();
  });
  afterEach(() => scene.close());

  const enter = (n: number, options = {}) => scene.a.add(scene.job(n, options), 'route-only');
  const claim = () => scene.key('$:worker');

  test('a fetch that fails over a job mends it, and all goes back in its order (I6)', async () => {
    const { claim, jobs } = await scene.cold(scene.a, 1);
    const { jobId } = await enter(1);
    await enter(2);
    await scene.redis.hset(scene.key(jobId), 'ats', 'x');
    const fetched = await scene.a.finish(claim, [done(jobs[0])], 2);
    expect(fetched).toEqual({ jobs: [], isRecalled: true });
    await scene.a.giveBack(claim, []);
    const taken = await scene.a.take(claim, 2);
    expect(taken.jobs.map(({ id }) => id)).toEqual(['2', '3']);
    expect(taken.jobs[0]?.mustFail).toMatch(/"ats"/);
    expect(taken.jobs[1]?.mustFail).toBeUndefined();
  });

  test('an end that fails half-way is made again (I5)', async () => {
    const { claim, jobs } = await scene.cold(scene.a, 1, scene.job(0, { removeOnComplete: false }));
    await scene.redis.hset(scene.key('1'), 'atm', 'x');
    await scene.a.finish(claim, [done(jobs[0] as RedisJob)], 0);
    expect(await scene.redis.zscore(scene.key('completed'), '1')).not.toBeNull();
    expect(await scene.redis.exists(scene.key('active'))).toBe(0);
  });

  test('a parent that is damaged is none', async () => {
    const { claim, jobs } = await scene.cold(scene.a, 1);
    await scene.redis.hset(scene.key('1'), 'parent', '{');
    expect(await scene.a.finish(claim, [done(jobs[0])], 1)).toEqual({ jobs: [] });
    expect(await scene.redis.exists(scene.key('active'))).toBe(0);
  });

  test('a meta that is none, or has what is no number, is mended by the next add', async () => {
    await scene.redis.set(scene.key('meta'), 'x');
    await expect(enter(1)).resolves.toMatchObject({ jobId: expect.any(String) });
    await scene.redis.hset(scene.key('meta'), 'opts.maxLenEvents', 'x');
    await expect(enter(2)).resolves.toMatchObject({ jobId: expect.any(String) });
  });

  test('a claim that is no hash is none', async () => {
    await scene.redis.set(claim(), 'x');
    const { claim: first } = await scene.cold(scene.a, 1);
    await scene.redis.del(claim());
    await scene.redis.set(claim(), 'x');
    const second = claimOf(await scene.b.add(scene.job(1), { epoch: 1, mayClaim: true, atOnce: 1 }));
    expect(Number(second.claim.token)).toBeGreaterThan(Number(first.token));
  });

  test('a claim without an end is over, unless its owner is heard', async () => {
    await scene.cold(scene.a, 1);
    await scene.redis.hset(claim(), { until: 'x', token: 'x' });
    const { types, takesMore, workers } = { types: ['account'], takesMore: true, workers: 1 };
    await scene.a.renew([], { types, takesMore, workers });
    expect(await scene.b.tryClaim(scene.entity, 1)).toBe('owned');
    await scene.redis.hset(claim(), 'owner', 'dead');
    // no silence of all pods gives it a lease more
    await scene.redis.set(scene.system('heard'), 1);
    expect(await scene.b.tryClaim(scene.entity, 2)).toMatchObject({
      claim: { token: expect.stringMatching(/^\d{16}$/) },
    });
  });

  test('a claim that ends in days is looked at soon, and over once its owner is not heard', async () => {
    await scene.cold(scene.a, 1);
    const inDays = (Date.now() + 172_800_000) * 1000;
    await scene.redis.hset(claim(), 'until', inDays);
    await scene.a.renew([], { types: ['account'], takesMore: true, workers: 1 });
    expect(await scene.b.tryClaim(scene.entity, 1)).toBe('owned');
    expect(Number(await scene.redis.zscore(scene.system('due:account'), '42'))).toBeLessThan(
      inDays / 2 + Date.now() * 500,
    );
    await scene.redis.hset(claim(), 'owner', 'dead');
    await scene.redis.set(scene.system('heard'), 1);
    expect(await scene.b.tryClaim(scene.entity, 2)).toMatchObject({ claim: { epoch: 2 } });
  });

  test('an epoch that is damaged is older than any', async () => {
    const { claim: first } = await scene.cold(scene.a, 1);
    for (const epoch of ['x', '9007199254740993', '1e3']) {
      await scene.redis.hset(claim(), 'epoch', epoch);
      await expect(scene.a.take(first)).rejects.toBeInstanceOf(StaleClaimError);
      expect(await scene.a.tryClaim(scene.entity, 2)).toMatchObject({ claim: { epoch: 2 } });
    }
  });

  test('a last id that is damaged is none', async () => {
    const { claim: first, jobs } = await scene.cold(scene.a, 1);
    await scene.a.finish(first, [done(jobs[0])], 1);
    await scene.a.release(first, 'idle');
    await scene.redis.hset(claim(), 'lastId', 'x');
    expect(await scene.a.add(scene.job(1), { epoch: 2, mayClaim: true, atOnce: 1 })).toMatchObject({ jobId: '1' });
  });

  test('the damaged claim of one entity does not fail the renewals of the others', async () => {
    const { claim: first } = await scene.cold(scene.a, 1);
    const other = { type: 'account', id: 'other' };
    const { claim: second } = await scene.cold(scene.a, 2, scene.job(0, {}, other));
    const renew = () =>
      scene.a.renew(
        [first, second].map(claim => ({ claim, idle: false })),
        { types: ['account'], takesMore: true, workers: 2 },
      );
    await scene.redis.hset(claim(), 'epoch', 'x');
    expect(await renew()).toMatchObject({ lost: [0] });
    await scene.redis.del(claim());
    await scene.redis.set(claim(), 'x');
    expect(await renew()).toMatchObject({ lost: [0] });
  });
});
