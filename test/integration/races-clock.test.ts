/**
 * Races of time on real Redis: its clock steps, its memory forgets, and another pod remembers a deadline. A step of
 * the clock is forced by writing what Redis would have written before it. `docs/protocol.md` defines the numbers.
 */
import { StaleClaimError } from '../../src/core/model/job-errors.js';
import { RedisEntity } from '../support/redis-entity.js';
import { claimOf, done, serving } from '../support/settlements.js';

const HOUR_US = 3_600_000_000;

describe('races of time', () => {
  let on: RedisEntity;

  beforeEach(async () => {
    on = await RedisEntity.create();
  });
  afterEach(() => on.close());

  const fence = () => on.key('$:worker');
  const until = async () => Number(await on.redis.hget(fence(), 'until'));
  const nowUs = async () => {
    const [seconds, micros] = await on.redis.time();
    return Number(seconds) * 1e6 + Number(micros);
  };
  const inAnHour = async () => String((await nowUs()) + HOUR_US);

  test('race 3: an inspection of a claim that outlives its pod’s last renewal neither takes the entity nor unschedules it', async () => {
    const { claim, jobs } = await on.cold(on.a, 1);
    await on.a.finish(claim, [done(jobs[0])], 1);
    // A sweep that has read the schedule at an earlier deadline arrives now.
    await on.redis.zadd(on.system('due:account'), 1, '42');
    expect(await on.b.tryClaim(on.entity, 1)).toBe('owned');
    expect(await on.cluster.dueScore(on.entity)).toBe(await until());
    expect((await on.a.take(claim)).jobs).toEqual([]);
    await on.b.add(on.job(1), 'route-only');
    await on.cluster.expireLeases();
    expect(claimOf(await on.b.tryClaim(on.entity, 2)).jobs.map(({ data }) => data)).toEqual([{ n: 1 }]);
  });

  test('race 20: a claim from when Redis’s clock was ahead is brought back by the next renewal', async () => {
    const { claim } = await on.cold(on.a, 1);
    const ahead = await inAnHour();
    await on.redis.hset(fence(), 'until', ahead);
    await on.redis.zadd(on.system('due:account'), ahead, '42');
    expect(await on.a.renew([{ claim, idle: false }], serving())).toMatchObject({ lost: [], kicked: [] });
    expect(await until()).toBeLessThan(Number(ahead) - HOUR_US / 2);
    expect(await on.cluster.dueScore(on.entity)).toBe(await until());
  });

  test('race 20: a job that was added while Redis’s clock was ahead does not wait for that time when more are added', async () => {
    await on.b.add(on.job(0), 'route-only');
    await on.redis.zadd(on.system('due:account'), await inAnHour(), '42');
    expect(await on.b.due('account', 0, 10)).toEqual([]);
    await on.b.add(on.job(1), 'route-only');
    expect(await on.b.due('account', 0, 10)).toEqual([on.entity]);
  });

  test('race 20: the fence outlives an excursion of the clock in which it was written', async () => {
    await on.released(1);
    const ahead = BigInt(await inAnHour());
    await on.redis.hset(fence(), 'token', String(ahead));
    const { claim, jobs } = await on.cold(on.b, 1);
    expect(claim.token).toBe(String(ahead + 1n));
    await on.b.finish(claim, [done(jobs[0])], 1);
    await on.b.release(claim, 'idle');
    expect((await nowUs()) + 1e6 * (await on.redis.ttl(fence()))).toBeGreaterThan(Number(ahead));
  });

  test('race 20: a claim that Redis has evicted is unowned: its pod learns it at every step, and the next token is larger', async () => {
    const { claim, jobs } = await on.cold(on.a, 1);
    await on.redis.del(fence());
    await expect(on.a.take(claim)).rejects.toBeInstanceOf(StaleClaimError);
    await expect(on.a.finish(claim, [done(jobs[0])], 1)).rejects.toBeInstanceOf(StaleClaimError);
    await expect(on.a.release(claim, 'hand-over')).rejects.toBeInstanceOf(StaleClaimError);
    await expect(on.a.resync(claim, 2, [done(jobs[0])])).rejects.toBeInstanceOf(StaleClaimError);
    expect(await on.a.renew([{ claim, idle: false }], serving())).toMatchObject({ lost: [0], kicked: [] });
    const taken = claimOf(await on.b.tryClaim(on.entity, 1));
    expect(BigInt(taken.claim.token)).toBeGreaterThan(BigInt(claim.token));
    expect(taken.jobs.map(({ data }) => data)).toEqual([{ n: 0 }]);
  });
});
