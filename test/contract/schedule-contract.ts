/** The part of a store's contract about schedules: jobs that recur. */

import type { Claim } from '../../src/core/model/claim.js';
import { InvalidOptionError } from '../../src/core/model/errors.js';
import type { FetchedJob, JobOptions, Settlement } from '../../src/core/model/job.js';
import { StaleClaimError } from '../../src/core/model/job-errors.js';
import { StoreRefusedError } from '../../src/core/model/store-errors.js';
import { resolveOptions } from '../../src/core/options/resolve.js';
import type { EntityStore } from '../../src/core/ports/store.js';
import { type Cluster, type CreateCluster, entity, twoPods } from '../support/contract-pods.js';
import { claimOf, done, numbers, serving, withdrawal } from '../support/settlements.js';

const EVERY = 50_000;

export function scheduleContract(name: string, createCluster: CreateCluster): void {
  describe(`the contract of a store, schedules: ${name}`, () => {
    const config = resolveOptions({});
    const mine = { epoch: 1, mayClaim: true, atOnce: 1 };
    let cluster: Cluster;
    let a: EntityStore;
    let b: EntityStore;

    beforeEach(async () => {
      ({ cluster, a, b } = await twoPods(createCluster, config));
    });
    afterEach(() => cluster.close());

    const job = (n: number, options: JobOptions = {}) => withdrawal(config, entity, { n }, options);
    const put = (n = 0, every = EVERY, options?: JobOptions) => b.schedules.put(job(n, options), { id: 's', every });
    const list = () => b.schedules.list(entity, 0, 9);
    const status = () => b.control.status(entity);
    const only = (jobs: readonly FetchedJob[]): FetchedJob => {
      expect(jobs).toHaveLength(1);
      return done(jobs[0]).job;
    };
    /** The schedule begins, and a pod works its first run. */
    const running = async (options?: JobOptions): Promise<{ claim: Claim; run: FetchedJob }> => {
      await put(0, EVERY, options);
      const { claim, jobs } = claimOf(await a.tryClaim(entity, 1));
      return { claim, run: only(jobs) };
    };
    const ending = (run: FetchedJob, kind: 'retrying' | 'blocked' | 'dead'): Settlement => {
      const why = { reason: 'because', stack: 'Error: because' };
      return { job: run, outcome: kind === 'retrying' ? { kind, ...why, delayMs: 0 } : { kind, ...why } };
    };

    test('I7: the first run is due at once, and a pod is called for it', async () => {
      await a.renew([], serving('account'));
      const nextAtMs = await put(7);
      expect(Math.abs(nextAtMs - Date.now()) < 60_000 || name === 'memory').toBe(true);
      expect(await list()).toEqual([{ id: 's', every: EVERY, jobName: 'withdraw', data: { n: 7 }, nextAtMs, runs: 0 }]);
      expect(await b.due('account', 0, 9)).toEqual([entity]);
      expect(await a.wakeUps([])).toEqual([entity]);
      expect(numbers(claimOf(await a.tryClaim(entity, 1)).jobs)).toEqual([7]);
    });

    test('I7: the owner of an entity is told of a new schedule', async () => {
      const { claim, jobs } = claimOf(await a.add(job(1), mine));
      await put(7);
      expect(await a.wakeUps([])).toEqual([entity]);
      expect(numbers((await a.finish(claim, [done(jobs[0])], 1)).jobs)).toEqual([7]);
    });

    test('the end of a run makes the next one, and its response says when that is due', async () => {
      const { claim, run } = await running();
      expect(await status()).toMatchObject({ waiting: 0, active: 1, delayed: 0 });
      const { jobs, againInMs } = await a.finish(claim, [done(run)], 1);
      expect(jobs).toEqual([]);
      expect(againInMs).toBeGreaterThan(EVERY - 5000);
      expect(againInMs).toBeLessThanOrEqual(EVERY);
      expect(await status()).toMatchObject({ waiting: 0, active: 0, delayed: 1 });
      expect(await list()).toMatchObject([{ runs: 1 }]);
    });

    test('I8: between two runs the entity has no worker, and is inspected in time', async () => {
      const { claim, run } = await running();
      await a.finish(claim, [done(run)], 1);
      expect(await a.release(claim, 'idle')).toBe(true);
      expect(await cluster.dueInMs(entity)).toBeGreaterThan(EVERY - 5000);
      expect(await cluster.dueInMs(entity)).toBeLessThanOrEqual(EVERY + 5);
      expect(await b.tryClaim(entity, 1)).toBe('later');
      await cluster.ripenDelayed(entity);
      const again = claimOf(await b.tryClaim(entity, 2));
      expect(only(again.jobs)).toMatchObject({ name: 'withdraw', data: { n: 0 }, attempt: 1, attemptsMade: 0 });
      await b.finish(again.claim, [done(again.jobs[0])], 1);
      expect(await list()).toMatchObject([{ runs: 2 }]);
      expect(await status()).toMatchObject({ delayed: 1 });
    });

    test('I5: an end whose response was lost makes one next run', async () => {
      const { claim, run } = await running();
      await a.finish(claim, [done(run)], 1);
      await a.resync(claim, 2, [done(run)]);
      expect(await status()).toMatchObject({ waiting: 0, active: 0, delayed: 1 });
      expect(await list()).toMatchObject([{ runs: 1 }]);
    });

    test('I3, I5: a run whose pod dies runs again, and the schedule continues; the end of a zombie makes no run', async () => {
      const { claim, run } = await running();
      await cluster.expireLeases();
      const taken = claimOf(await b.tryClaim(entity, 1));
      expect(only(taken.jobs).id).toBe(run.id);
      await expect(a.finish(claim, [done(run)], 1)).rejects.toThrow(StaleClaimError);
      expect(await status()).toMatchObject({ active: 1, delayed: 0 });
      await b.finish(taken.claim, [done(taken.jobs[0])], 1);
      expect(await status()).toMatchObject({ active: 0, delayed: 1 });
    });

    test('a resync that ends a run makes the next one', async () => {
      const { claim, run } = await running();
      await a.resync(claim, 2, [done(run)]);
      expect(await status()).toMatchObject({ active: 0, delayed: 1 });
    });

    test('a failed run is retried like any job; its final end makes the next run, with all its attempts', async () => {
      const { claim, run } = await running({ attempts: 2 });
      const again = await a.finish(claim, [ending(run, 'retrying')], 1);
      expect(await status()).toMatchObject({ active: 1, delayed: 0 });
      expect(only(again.jobs)).toMatchObject({ id: run.id, attemptsMade: 1 });
      await a.finish(claim, [done(again.jobs[0], 'failed')], 1);
      expect(await status()).toMatchObject({ active: 0, delayed: 1, failed: 1 });
      await cluster.ripenDelayed(entity);
      expect(only((await a.take(claim)).jobs)).toMatchObject({ attemptsMade: 0, options: { attempts: 2 } });
    });

    test('a run that becomes a dead letter makes the next one; the replayed letter is a job like any other', async () => {
      const { claim, run } = await running();
      await a.finish(claim, [ending(run, 'dead')], 1);
      expect(await status()).toMatchObject({ active: 0, delayed: 1, failed: 0 });
      const [letter] = await b.deadLetters.list('account', 0, 9);
      await b.deadLetters.replay('account', letter?.letterId ?? '');
      const { jobs } = await a.take(claim);
      await a.finish(claim, [done(jobs[0])], 0);
      expect(await status()).toMatchObject({ waiting: 0, active: 0, delayed: 1 });
    });

    test('a run that blocks its entity makes no next run until an operator decides; it cannot be removed', async () => {
      const { claim, run } = await running();
      await a.finish(claim, [ending(run, 'blocked')], 1);
      expect(await status()).toMatchObject({ waiting: 1, delayed: 0, blockedBy: { jobId: run.id } });
      await expect(b.control.unblock(entity, 'drop')).rejects.toThrow(StoreRefusedError);
      expect(await status()).toMatchObject({ blockedBy: { jobId: run.id } });
      await b.control.unblock(entity, 'skip');
      const { jobs } = await a.take(claim);
      await a.finish(claim, [done(jobs[0], 'failed')], 0);
      expect(await status()).toMatchObject({ waiting: 0, delayed: 1, failed: 1 });
    });

    test('a schedule with a pattern uses its time zone', async () => {
      const nextAtMs = await b.schedules.put(job(1), { id: 'noon', pattern: '0 12 * * *', tz: 'Asia/Tokyo' });
      expect(new Date(nextAtMs).toISOString()).toMatch(/T03:00:00.000Z$/);
      expect(await list()).toMatchObject([{ id: 'noon', pattern: '0 12 * * *', tz: 'Asia/Tokyo', nextAtMs }]);
      expect(await status()).toMatchObject({ waiting: 0, delayed: 1 });
      await cluster.ripenDelayed(entity);
      if (name === 'memory') return;
      const { claim, jobs } = claimOf(await a.tryClaim(entity, 1));
      await a.finish(claim, [done(jobs[0])], 1);
      const [after] = await list();
      expect((after?.nextAtMs ?? 0) - nextAtMs).toBe(24 * 3600 * 1000);
    });

    test.each([
      { pattern: 'every now and then' },
      { pattern: '61 * * * *' },
      { pattern: '* * * * *', tz: 'Mars/Olympus' },
    ])('%j is no schedule: it is refused, and leaves nothing', async schedule => {
      await expect(b.schedules.put(job(1), { id: 's', ...schedule })).rejects.toThrow(InvalidOptionError);
      expect(await list()).toEqual([]);
    });

    test('a schedule that is put again replaces the earlier one: its next run is the new one', async () => {
      const { claim, run } = await running();
      await a.finish(claim, [done(run)], 1);
      const [before] = await list();
      expect(await put(1)).toBe(before?.nextAtMs);
      expect(await status()).toMatchObject({ waiting: 0, delayed: 1 });
      await cluster.ripenDelayed(entity);
      expect(numbers((await a.take(claim)).jobs)).toEqual([1]);
    });

    test('a run in progress when its schedule is replaced ends, and makes no run of its own', async () => {
      const { claim, run } = await running();
      await put(1);
      expect(await status()).toMatchObject({ active: 1, delayed: 1 });
      await a.finish(claim, [done(run)], 1);
      expect(await status()).toMatchObject({ active: 0, delayed: 1 });
      await cluster.ripenDelayed(entity);
      expect(numbers((await a.take(claim)).jobs)).toEqual([1]);
    });

    test('a schedule that is replaced with other intervals has no two runs with one id', async () => {
      const { run } = await running();
      for (const every of [EVERY + 1, EVERY + 2]) await put(1, every);
      const [{ nextAtMs } = { nextAtMs: 0 }] = await list();
      expect(run.id).not.toBe(`repeat:s:${nextAtMs}`);
      expect((await status()).waiting + (await status()).delayed).toBe(1);
    });

    test('I8: a removed schedule makes no run and leaves nothing; a run in progress ends', async () => {
      const { claim, run } = await running();
      expect(await b.schedules.remove(entity, 's')).toBe(true);
      expect(await b.schedules.remove(entity, 's')).toBe(false);
      expect(await list()).toEqual([]);
      await a.finish(claim, [done(run)], 1);
      expect(await status()).toMatchObject({ waiting: 0, active: 0, delayed: 0 });
      expect(await a.release(claim, 'idle')).toBe(true);
      expect(await cluster.dueScore(entity)).toBeUndefined();
    });

    test('I8: a schedule that is removed between two runs leaves nothing', async () => {
      const { claim, run } = await running();
      await a.finish(claim, [done(run)], 1);
      await a.release(claim, 'idle');
      await b.schedules.remove(entity, 's');
      expect(await status()).toMatchObject({ waiting: 0, active: 0, delayed: 0 });
      expect(await cluster.dueScore(entity)).toBeUndefined();
    });

    test('a queue that is emptied keeps its schedules, and runs that are due or fetched', async () => {
      await put(7);
      await b.add(job(1), 'route-only');
      await b.control.drop(entity);
      expect(await status()).toMatchObject({ waiting: 1 });
      const { claim, jobs } = claimOf(await a.tryClaim(entity, 1));
      expect(numbers(jobs)).toEqual([7]);
      await b.control.drop(entity);
      await a.giveBack(claim, []);
      expect(only((await a.take(claim)).jobs)).toMatchObject({ data: { n: 7 }, attempt: 1 });
    });

    test('a queue that is emptied keeps a run that is due behind other jobs, and removes those', async () => {
      await b.add(job(1), 'route-only');
      await b.add(job(2), 'route-only');
      await put(7);
      await b.add(job(3), 'route-only');
      await b.control.drop(entity);
      expect((await b.control.list(entity, 'waiting', 0, 9)).map(({ data }) => data)).toEqual([{ n: 7 }]);
      const { claim, jobs } = claimOf(await a.tryClaim(entity, 1));
      expect(numbers(jobs)).toEqual([7]);
      await a.finish(claim, [done(jobs[0])], 1);
      expect(await status()).toMatchObject({ waiting: 0, active: 0, delayed: 1 });
    });

    test('a schedule that is replaced while a run blocks its entity does not unblock it', async () => {
      const { claim, run } = await running();
      await a.finish(claim, [ending(run, 'blocked')], 1);
      await put(1);
      expect(await status()).toMatchObject({ blockedBy: { jobId: run.id } });
      await put(1);
      expect(await status()).toMatchObject({ waiting: 1, delayed: 1, blockedBy: { jobId: run.id } });
    });

    test('I6: a schedule that is replaced while a run waits for its retry leaves that run its place and its attempts', async () => {
      const { claim, run } = await running({ attempts: 2 });
      const outcome = { kind: 'retrying', reason: 'because', stack: 'Error: because', delayMs: 60_000 } as const;
      await a.finish(claim, [{ job: run, outcome }], 1);
      await b.add(job(5), 'route-only');
      await put(1, EVERY, { attempts: 2 });
      await cluster.endHold(entity);
      const { jobs } = await a.take(claim);
      expect(only(jobs)).toMatchObject({ id: run.id, attemptsMade: 1 });
    });

    test('a schedule in relaxed order that is removed while a run waits for its retry leaves that run', async () => {
      const relaxed = resolveOptions({ entities: { account: { ordering: 'relaxed' } } });
      const c = await cluster.pod(relaxed);
      await put(0, EVERY, { attempts: 2 });
      const { claim, jobs } = claimOf(await c.tryClaim(entity, 1));
      const run = only(jobs);
      const outcome = { kind: 'retrying', reason: 'because', stack: 'Error: because', delayMs: 60_000 } as const;
      await c.finish(claim, [{ job: run, outcome }], 1);
      expect(await status()).toMatchObject({ delayed: 1 });
      await b.schedules.remove(entity, 's');
      expect(await status()).toMatchObject({ delayed: 1 });
    });

    test('a schedule that is replaced while its run waits in a paused queue has one job', async () => {
      await put(0);
      await b.control.pause(entity, true);
      await put(1);
      await put(2);
      expect(await status()).toMatchObject({ waiting: 1, delayed: 0 });
      await b.control.pause(entity, false);
      expect(numbers(claimOf(await a.tryClaim(entity, 1)).jobs)).toEqual([2]);
    });

    test('a run of a pattern that is due when the schedule is replaced, as after an outage of all pods, is not skipped', async () => {
      const everySecond = { id: 's', pattern: '* * * * * *' };
      const nextAtMs = await b.schedules.put(job(1), everySecond);
      await cluster.timePasses(1100);
      expect(await b.schedules.put(job(2), everySecond)).toBe(nextAtMs);
      const { claim, jobs } = claimOf(await a.tryClaim(entity, 1));
      expect(numbers(jobs)).toEqual([2]);
      await a.finish(claim, [done(jobs[0])], 0);
      expect((await list())[0]?.nextAtMs).toBeGreaterThan(nextAtMs);
      await cluster.timePasses(1100);
      expect(await b.schedules.put(job(3), { id: 's', pattern: '0 0 1 1 *' })).toBeGreaterThan(nextAtMs + 2000);
    });

    test('the schedules of an entity are listed in the order of their next runs', async () => {
      for (const [id, pattern] of [
        ['b', '0 0 1 1 *'],
        ['a', '*/5 * * * * *'],
      ] as const)
        await b.schedules.put(job(1), { id, pattern });
      expect((await list()).map(({ id }) => id)).toEqual(['a', 'b']);
      expect((await b.schedules.list(entity, 1, 1)).map(({ id }) => id)).toEqual(['b']);
      expect(await b.schedules.list({ type: 'account', id: 'nobody' }, 0, 9)).toEqual([]);
    });
  });
}
