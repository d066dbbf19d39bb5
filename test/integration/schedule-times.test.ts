/** Schedules on real Redis, step by step: clocks that disagree, and what tools of BullMQ do to a run. */
import { InvalidOptionError } from '../../src/core/model/errors.js';
import { resolveOptions } from '../../src/core/options/resolve.js';
import type { EntityStore } from '../../src/core/ports/store.js';
import { systemClock } from '../../src/nest/system.js';
import { RedisCluster } from '../support/redis-cluster.js';
import { RedisEntity } from '../support/redis-entity.js';
import { claimOf, done } from '../support/settlements.js';

const HOUR_MS = 3_600_000;

describe('schedules and time', () => {
  let of: RedisEntity;
  beforeEach(async () => {
    of = await RedisEntity.create();
  });
  afterEach(() => of.close());

  const put = (pod: EntityStore, n: number, pattern: string) =>
    pod.schedules.put(of.job(n, { attempts: 2 }), { id: 's', pattern, tz: 'UTC' });
  const ids = async (state: string) => (await of.queue().getJobs([state as never])).map(({ id }) => id);

  test('race 20: a pod whose clock is behind replaces a schedule while its run is in progress: the run after it is the next', async () => {
    const behind = await of.cluster.pod(of.config, 'behind', undefined, {
      ...systemClock,
      wallMs: () => Date.now() - HOUR_MS,
    });
    const pattern = `${new Date(Date.now() - 60_000).getUTCMinutes()} * * * *`;
    const nextAtMs = await put(of.a, 1, pattern);
    await of.cluster.ripenDelayed(of.entity);
    const { jobs } = claimOf(await of.a.tryClaim(of.entity, 1));
    for (const pod of [behind, of.b, behind]) expect(await put(pod, 2, pattern)).toBe(nextAtMs + HOUR_MS);
    expect(await ids('active')).toEqual([jobs[0]?.id]);
    expect(await ids('delayed')).toEqual([`repeat:s:${nextAtMs + HOUR_MS}`]);
    expect(await ids('wait')).toEqual([]);
  });

  test('a run that a tool has promoted: if the schedule is replaced during it, or after its failure, it has the next run', async () => {
    const pattern = '0 0 1 1 *';
    const first = await put(of.a, 1, pattern);
    const [run] = await of.queue().getDelayed();
    await run?.promote();
    const { claim, jobs } = claimOf(await of.a.tryClaim(of.entity, 1));
    const second = await put(of.b, 2, pattern);
    expect(second).toBeGreaterThan(first);
    await of.a.finish(claim, [done(jobs[0], 'failed')], 1);
    expect(await put(of.b, 3, pattern)).toBe(second);
    expect(await ids('failed')).toEqual([`repeat:s:${first}`]);
    expect(await ids('delayed')).toEqual([`repeat:s:${second}`]);
  });

  /** The next run is due, and fetched; only it is. */
  const promoted = async (epoch: number) => {
    await of.cluster.ripenDelayed(of.entity);
    return claimOf(await of.a.tryClaim(of.entity, epoch));
  };
  /** A tool has promoted the run; it has failed, and is kept. */
  const failsEarly = async () => {
    const { claim, jobs } = await promoted(1);
    await of.a.finish(claim, [done(jobs[0], 'failed')], 0);
    expect(await of.b.schedules.remove(of.entity, 's')).toBe(true);
  };

  test('I7: a run that was promoted, and has failed, does not end the schedule of another pattern that reaches its time', async () => {
    const [hour, nextHour] = [1, 2].map(hours => new Date(Date.now() + hours * HOUR_MS).getUTCHours());
    const taken = await put(of.a, 1, `0 ${nextHour} * * *`);
    await failsEarly();
    expect(await put(of.a, 2, `0 ${hour},${nextHour} * * *`)).toBe(taken - HOUR_MS);
    const { claim, jobs } = await promoted(2);
    await of.a.finish(claim, [done(jobs[0])], 0);
    expect(await ids('delayed')).toEqual([`repeat:s:${taken + 1}`]);
    expect(await of.b.schedules.list(of.entity, 0, 9)).toMatchObject([{ nextAtMs: taken + 1, runs: 1 }]);
  });

  test('I7: a run that was promoted, and has failed, does not end the schedule of an interval', async () => {
    const every = 60_000;
    const taken = (await of.a.schedules.put(of.job(1), { id: 's', every })) + every;
    const { claim, jobs } = claimOf(await of.a.tryClaim(of.entity, 1));
    await of.a.finish(claim, [done(jobs[0])], 0);
    await of.a.release(claim, 'idle');
    await failsEarly();
    const startDate = taken - every + 20_000;
    const template = { name: 'withdraw', data: { n: 2 }, opts: { attempts: 3 } };
    await of.queue().upsertJobScheduler('s', { every: taken - startDate, startDate }, template);
    const early = await promoted(2);
    await of.a.finish(early.claim, [done(early.jobs[0])], 0);
    const nextAtMs = taken + 40_000;
    expect(await of.b.schedules.list(of.entity, 0, 9)).toMatchObject([
      { nextAtMs, every: 40_000, data: { n: 2 }, runs: 1 },
    ]);
    const last = await promoted(3);
    expect(last.jobs).toMatchObject([{ id: `repeat:s:${nextAtMs}`, data: { n: 2 }, options: { attempts: 3 } }]);
    await of.a.finish(last.claim, [done(last.jobs[0])], 0);
    expect(await ids('delayed')).toEqual([`repeat:s:${nextAtMs + 40_000}`]);
  });

  test('the last run of a schedule that a tool has made with an end does not end its replacement', async () => {
    const template = { name: 'withdraw', data: { n: 1 } };
    await of.queue().upsertJobScheduler('s', { every: 60_000, limit: 1 }, template);
    const { claim, jobs } = claimOf(await of.a.tryClaim(of.entity, 1));
    const nextAtMs = await put(of.b, 2, '0 0 1 1 *');
    await of.a.finish(claim, [done(jobs[0])], 1);
    expect(await of.b.schedules.list(of.entity, 0, 9)).toMatchObject([{ id: 's', nextAtMs }]);
    expect(await ids('delayed')).toEqual([`repeat:s:${nextAtMs}`]);
  });

  test('I10: a schedule of an entity without its own queue cannot be removed by another entity', async () => {
    const cluster = new RedisCluster();
    const pod = await cluster.pod(resolveOptions({ entities: { account: { queueName: () => 'one' } } }));
    await pod.schedules.put(of.job(1), { id: 's', every: 60_000 });
    await expect(pod.schedules.remove({ type: 'account', id: '43' }, 's')).rejects.toThrow(InvalidOptionError);
    expect(await pod.schedules.remove(of.entity, 's')).toBe(true);
    await cluster.close();
  });
});
