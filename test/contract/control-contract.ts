/**
 * The part of a store's contract about what an operator does to an entity: pausing it, and deciding about a job that
 * has used up its attempts. Neighbour: `retry-contract.ts`, the attempts.
 */

import type { Claim } from '../../src/core/model/claim.js';
import type { FetchedJob, Settlement } from '../../src/core/model/job.js';
import { StaleClaimError } from '../../src/core/model/job-errors.js';
import { type EngineConfig } from '../../src/core/options/config.js';
import { resolveOptions } from '../../src/core/options/resolve.js';
import type { JobState } from '../../src/core/ports/operator.js';
import type { EntityStore } from '../../src/core/ports/store.js';
import { type Cluster, type CreateCluster, entity, ownedBy, twoPods } from '../support/contract-pods.js';
import { claimOf, done, numbers, serving, withdrawal } from '../support/settlements.js';

export function controlContract(name: string, createCluster: CreateCluster): void {
  describe(`the contract of a store, control: ${name}`, () => {
    let config: EngineConfig;
    let cluster: Cluster;
    let a: EntityStore;
    let b: EntityStore;
    let claim: Claim;
    let first: FetchedJob;

    const job = (n: number) => withdrawal(config, entity, { n }, { attempts: 2 });
    const blocking = (fetched: FetchedJob | undefined): Settlement => ({
      job: done(fetched).job,
      outcome: { kind: 'blocked', reason: 'because', stack: 'Error: because' },
    });

    beforeEach(async () => {
      config = resolveOptions({ entities: { account: { onExhausted: 'block' } } });
      ({ cluster, a, b } = await twoPods(createCluster, config));
      ({ claim, first } = await ownedBy(a, job, 3));
    });
    afterEach(() => cluster.close());

    test('the status shows what an entity has, and nothing for an unknown entity', async () => {
      await b.add({ ...job(3), options: { delay: 60_000 } }, 'route-only');
      const status = { waiting: 2, active: 1, delayed: 1, failed: 0, waitingForChildren: 0, isPaused: false };
      expect(await b.control.status(entity)).toEqual(status);
      await a.finish(claim, [done(first, 'failed')], 0);
      expect(await b.control.status(entity)).toEqual({ ...status, active: 0, failed: 1 });
      const none = { waiting: 0, active: 0, delayed: 0, failed: 0, waitingForChildren: 0, isPaused: false };
      expect(await b.control.status({ type: 'account', id: 'nobody' })).toEqual(none);
    });

    describe('jobs that run for long', () => {
      const pod = { types: [], takesMore: false, workers: 1 };
      const startedAtMs = 1_700_000_000_000;
      const renew = (store: EntityStore, of: Claim, ...jobIds: string[]) =>
        store.renew([{ claim: of, idle: false, longRuns: jobIds.map(jobId => ({ jobId, startedAtMs })) }], pod);
      const running = async () => (await b.control.status(entity)).running;

      test('are in the status with the start time that their owner reported, until they end', async () => {
        expect(await running()).toBeUndefined();
        await renew(a, claim, first.id);
        expect(await running()).toEqual([{ jobId: first.id, name: first.name, startedAtMs }]);
        await a.finish(claim, [done(first)], 1);
        expect(await running()).toBeUndefined();
      });

      test('disappear with the next renewal that reports none', async () => {
        await renew(a, claim, first.id);
        await renew(a, claim);
        expect(await running()).toBeUndefined();
      });

      test('are those of the present owner: reports of another pod do not count', async () => {
        await renew(a, claim, first.id, 'gone');
        expect(await running()).toHaveLength(1);
        await cluster.expireLeases();
        expect(await b.tryClaim(entity, 1)).toMatchObject({ jobs: [{ id: first.id }] });
        expect(await running()).toBeUndefined();
      });
    });

    describe('a pause', () => {
      test('recalls the owner, even while it works, and the owner gives back what it has not started', async () => {
        await a.take(claim);
        await b.control.pause(entity, true);
        expect(await a.wakeUps([])).toEqual([{ ...entity, isRecall: true }]);
        await a.giveBack(claim, [first.id]);
        expect(await b.control.status(entity)).toMatchObject({ waiting: 2, active: 1, isPaused: true });
        expect(await a.finish(claim, [done(first)], 1)).toEqual({ jobs: [] });
        await b.control.pause(entity, false);
        const next = await a.take(claim);
        expect(next.jobs[0]).toMatchObject({ data: { n: 1 }, attempt: 1 });
      });

      test('is reported with the end of each job until the owner has given back or resynced, so the wake-up may be lost', async () => {
        await b.control.pause(entity, true);
        expect(await a.finish(claim, [done(first)], 1)).toEqual({ jobs: [], isRecalled: true });
        await a.giveBack(claim, []);
        await b.control.pause(entity, false);
        const { jobs } = await a.take(claim);
        const ended = await a.finish(claim, [done(jobs[0])], 1);
        expect(ended.isRecalled).toBeUndefined();
        await b.control.pause(entity, true);
        const resynced = await a.resync(claim, 2, [done(ended.jobs[0])]);
        await b.control.pause(entity, false);
        await a.add(job(3), { epoch: 2, mayClaim: false, atOnce: 0 });
        const last = await a.take(resynced.claim);
        expect(await a.finish(resynced.claim, [done(last.jobs[0])], 1)).toEqual({ jobs: [] });
      });

      test('I3: accepts jobs from the owner only', async () => {
        await a.take(claim);
        const resynced = await a.resync(claim, 2, []);
        await expect(a.giveBack(claim, [])).rejects.toThrow(StaleClaimError);
        expect(await b.control.status(entity)).toMatchObject({ waiting: 2, active: 1 });
        await a.giveBack(resynced.claim, []);
        expect(await b.control.status(entity)).toMatchObject({ waiting: 3, active: 0 });
      });

      test('recalls an owner whose lease has passed, too: no pod takes over a paused entity', async () => {
        await a.take(claim);
        await cluster.expireLeases();
        await b.control.pause(entity, true);
        expect(await b.tryClaim(entity, 1)).toBe('paused');
        expect(await a.wakeUps([])).toEqual([{ ...entity, isRecall: true }]);
      });

      test('is reported to a worker that asks for more jobs, too', async () => {
        await b.control.pause(entity, true);
        expect(await a.take(claim)).toEqual({ jobs: [], isRecalled: true });
        await a.giveBack(claim, [first.id]);
        expect(await a.take(claim)).toEqual({ jobs: [] });
      });

      test('ends with a resume, which wakes the owner', async () => {
        await b.control.pause(entity, true);
        await a.wakeUps([]);
        await a.giveBack(claim, [first.id]);
        await a.finish(claim, [done(first)], 1);
        await b.control.pause(entity, false);
        expect(await a.wakeUps([])).toEqual([entity]);
        expect(numbers((await a.take(claim)).jobs)).toEqual([1]);
      });

      test('recalls the owner of a queue that is paused already, as another tool may have paused it', async () => {
        await b.control.pause(entity, true);
        await a.wakeUps([]);
        await a.giveBack(claim, [first.id]);
        await b.control.pause(entity, true);
        expect(await a.wakeUps([])).toEqual([{ ...entity, isRecall: true }]);
        expect(await a.finish(claim, [done(first)], 1)).toEqual({ jobs: [], isRecalled: true });
      });

      test('is over for a pod that takes the claim over', async () => {
        await b.control.pause(entity, true);
        await b.control.pause(entity, false);
        await cluster.expireLeases();
        const taken = claimOf(await b.tryClaim(entity, 1));
        expect((await b.finish(taken.claim, [done(taken.jobs[0])], 1)).isRecalled).toBeUndefined();
      });

      test('of an unowned entity prevents a claim; the resume calls a pod', async () => {
        await a.finish(claim, [done(first)], 0);
        await a.release(claim, 'hand-over');
        await b.control.pause(entity, true);
        expect(await a.tryClaim(entity, 5)).toBe('paused');
        await a.renew([], serving('account'));
        await b.control.pause(entity, false);
        expect(await a.due('account', 0, 10)).toEqual([entity]);
        expect(await a.wakeUps([])).toEqual([entity]);
        expect(numbers(claimOf(await a.tryClaim(entity, 6)).jobs)).toEqual([1]);
      });

      test('I8: leaves nothing scheduled after the resume of an entity without jobs', async () => {
        const idle = { type: 'account', id: 'idle' };
        await a.control.pause(idle, true);
        expect(await a.control.status(idle)).toMatchObject({ isPaused: true });
        await a.control.pause(idle, false);
        expect(await a.control.status(idle)).toMatchObject({ isPaused: false });
        expect(await cluster.dueScore(idle)).toBeUndefined();
      });
    });

    describe('a pause of a whole type', () => {
      test('prevents fetches of all its entities, present and future, and recalls their owners', async () => {
        await a.take(claim);
        await b.control.pauseType('account', true);
        expect(await a.wakeUps([])).toEqual([{ ...entity, isRecall: true }]);
        await a.giveBack(claim, [first.id]);
        expect(await a.finish(claim, [done(first)], 4)).toEqual({ jobs: [] });
        expect(await a.take(claim)).toEqual({ jobs: [] });
        const late = { type: 'account', id: 'late' };
        const entered = claimOf(await b.add({ ...job(7), entity: late }, { epoch: 1, mayClaim: true, atOnce: 1 }));
        expect(entered.jobs).toEqual([]);
        expect(await b.control.status(late)).toMatchObject({ waiting: 1, isPaused: true });
        expect(await b.renew([{ claim: entered.claim, idle: true }], serving())).toMatchObject({ kicked: [] });
        expect(await b.release(entered.claim, 'idle')).toBe(true);
        expect(await a.tryClaim(late, 9)).toBe('paused');
        const order = { type: 'order', id: '1' };
        const other = await b.add({ ...job(8), entity: order }, { epoch: 1, mayClaim: true, atOnce: 1 });
        expect(numbers(claimOf(other).jobs)).toEqual([8]);
      });

      test('race 16: leaves its entities without inspections until the resume; then all are due, except those paused by themselves', async () => {
        const [late, own] = [
          { type: 'account', id: 'late' },
          { type: 'account', id: 'own' },
        ];
        await a.finish(claim, [done(first)], 0);
        await b.control.pauseType('account', true);
        for (const [at, of] of [late, own].entries()) {
          await b.add({ ...job(at), entity: of }, 'route-only');
          if (of === own) await b.control.pause(own, true);
          expect(await b.tryClaim(of, 1)).toBe('paused');
        }
        expect(await a.release(claim, 'idle')).toBe(true);
        expect(await b.due('account', 0, 10)).toEqual([]);
        expect(await b.discover(['account'], 1)).toMatchObject({ found: 0 });
        expect(await cluster.dueScore(own)).toBeUndefined();
        await b.control.pauseType('account', false);
        expect((await b.due('account', 0, 10)).map(({ id }) => id).sort()).toEqual([entity.id, 'late']);
        await b.control.pause(own, false);
        expect((await b.due('account', 0, 10)).map(({ id }) => id).sort()).toEqual([entity.id, 'late', 'own']);
      });

      test('ends with a resume for all entities, except those that are paused by themselves', async () => {
        const late = { type: 'account', id: 'late' };
        await b.control.pauseType('account', true);
        await a.wakeUps([]);
        await a.giveBack(claim, [first.id]);
        await a.finish(claim, [done(first)], 4);
        await b.add({ ...job(7), entity: late }, 'route-only');
        await b.control.pause(late, true);
        expect(await b.tryClaim(late, 1)).toBe('paused');
        await b.control.pauseType('account', false);
        expect(await a.wakeUps([])).toEqual([entity]);
        expect(numbers((await a.take(claim)).jobs)).toEqual([1]);
        expect(await b.tryClaim(late, 2)).toBe('paused');
        await b.control.pause(late, false);
        expect(numbers(claimOf(await b.tryClaim(late, 3)).jobs)).toEqual([7]);
      });
    });

    describe('dropping the waiting jobs', () => {
      test('removes all waiting and delayed jobs; a started job ends, and later jobs run', async () => {
        await a.take(claim);
        await b.add({ ...job(3), options: { delay: 60_000 } }, 'route-only');
        await b.control.drop(entity);
        expect(await b.control.status(entity)).toMatchObject({ waiting: 0, active: 2, delayed: 0 });
        await b.add(job(4), 'route-only');
        expect(await a.wakeUps([])).toEqual([{ ...entity, isRecall: true }]);
        expect((await a.take(claim)).jobs).toEqual([]);
        await a.giveBack(claim, [first.id]);
        expect(await b.control.status(entity)).toMatchObject({ waiting: 1, active: 1 });
        expect(numbers((await a.finish(claim, [done(first)], 1)).jobs)).toEqual([4]);
      });

      test('is reported with the end of a job, which then fetches nothing, so the wake-up may be lost', async () => {
        const { jobs } = await a.take(claim);
        await b.control.drop(entity);
        await b.add(job(4), 'route-only');
        expect(await a.finish(claim, [done(first)], 5)).toEqual({ jobs: [], isRecalled: true });
        await a.giveBack(claim, []);
        expect(await b.control.status(entity)).toMatchObject({ waiting: 1, active: 0 });
        expect(await a.finish(claim, [done(jobs[0])], 1)).toMatchObject({ jobs: [{ data: { n: 4 } }] });
      });

      test('holds for an owner that resyncs or is paused meanwhile: it gives back nothing', async () => {
        await a.take(claim);
        await b.control.drop(entity);
        await b.control.pause(entity, true);
        await a.giveBack(claim, [first.id]);
        expect(await b.control.status(entity)).toMatchObject({ waiting: 0, active: 1 });
        await b.control.pause(entity, false);
        await b.add(job(5), 'route-only');
        await a.take(claim);
        await b.control.drop(entity);
        expect((await a.resync(claim, 2, [done(first)])).jobs).toEqual([]);
        expect(await b.control.status(entity)).toMatchObject({ waiting: 0, active: 0 });
      });

      test('removes a job that waits for its retry, and its hold', async () => {
        const { id } = first;
        const retrying = { kind: 'retrying', reason: 'because', stack: '', delayMs: 60_000 } as const;
        await a.finish(claim, [{ job: first, outcome: retrying }], 1);
        expect((await b.control.list(entity, 'waiting', 0, 9)).map(({ jobId }) => jobId)[0]).toBe(id);
        await b.control.drop(entity);
        await a.add(job(4), { epoch: 1, mayClaim: false, atOnce: 0 });
        expect(numbers((await a.take(claim)).jobs)).toEqual([4]);
      });

      test('I8: leaves nothing scheduled for an unowned entity', async () => {
        await a.finish(claim, [done(first)], 0);
        await a.release(claim, 'hand-over');
        expect(await cluster.dueScore(entity)).toBeDefined();
        await b.control.drop(entity);
        expect(await cluster.dueScore(entity)).toBeUndefined();
        expect(await a.tryClaim(entity, 5)).toBe('later');
      });
    });

    test('a list has the jobs of one state: the next ones first, or the latest first if they have ended', async () => {
      const all = async (state: JobState, from = 0, limit = 9) =>
        (await b.control.list(entity, state, from, limit)).map(({ data }) => (data as { n: number }).n);
      await b.add({ ...job(3), options: { delay: 60_000 } }, 'route-only');
      const { jobs } = await a.take(claim);
      await a.add(job(4), { epoch: 1, mayClaim: false, atOnce: 1 });
      await a.add(job(5), { epoch: 1, mayClaim: false, atOnce: 1 });
      expect(await all('waiting')).toEqual([2, 4, 5]);
      expect(await all('waiting', 1, 1)).toEqual([4]);
      expect(await all('waiting', 3)).toEqual([]);
      expect(await all('active')).toEqual([0, 1]);
      expect(await all('delayed')).toEqual([3]);
      await a.finish(claim, [done(first, 'failed')], 0);
      await a.finish(claim, [done(jobs[0], 'failed')], 0);
      expect(await all('failed')).toEqual([1, 0]);
      const [view] = await b.control.list(entity, 'failed', 1, 1);
      expect(view).toMatchObject({ jobId: first.id, name: 'withdraw', failedReason: 'because' });
      expect(Math.abs((view?.enqueuedAtMs ?? 0) - Date.now())).toBeLessThan(name === 'memory' ? Infinity : 60_000);
      expect(await all('completed')).toEqual([]);
    });

    describe('a job that has used up its attempts and blocks its entity', () => {
      test('prevents every fetch, without a time to ask again; fetched jobs go back', async () => {
        await a.take(claim);
        expect(await a.finish(claim, [blocking(first)], 1)).toEqual({ jobs: [] });
        expect(await a.take(claim)).toEqual({ jobs: [] });
        expect(await a.renew([{ claim, idle: true }], serving())).toMatchObject({ lost: [], kicked: [] });
        const blockedBy = { jobId: first.id, reason: 'because' };
        expect(await b.control.status(entity)).toMatchObject({ waiting: 3, active: 0, blockedBy });
      });

      test('race 16: outlives its owner, and is not due until an operator decides', async () => {
        await a.finish(claim, [blocking(first)], 1);
        expect(await a.release(claim, 'idle')).toBe(true);
        expect(await b.tryClaim(entity, 1)).toBe('later');
        expect(await cluster.dueScore(entity)).toBeUndefined();
        expect(await b.discover(['account'], 1)).toMatchObject({ found: 0 });
        expect(await b.control.status(entity)).toMatchObject({ blockedBy: { jobId: first.id } });
        await b.control.unblock(entity, 'retry');
        expect(await b.due('account', 0, 10)).toEqual([entity]);
      });

      test('blocks once, even if the response to its end was lost', async () => {
        await a.finish(claim, [blocking(first)], 1);
        const resynced = await a.resync(claim, 2, [blocking(first)]);
        expect(resynced.jobs).toEqual([]);
        await b.control.unblock(entity, 'retry');
        expect((await a.take(resynced.claim)).jobs[0]).toMatchObject({ data: { n: 0 }, attemptsMade: 0 });
      });

      test('with retry: gets all its attempts again, before all other jobs; its owner is woken', async () => {
        await a.finish(claim, [blocking(first)], 1);
        expect(await b.control.unblock(entity, 'retry')).toBe(true);
        expect(await a.wakeUps([])).toEqual([entity]);
        const again = await a.take(claim);
        expect(again.jobs[0]).toMatchObject({ data: { n: 0 }, attempt: 2, attemptsMade: 0 });
        expect(numbers((await a.finish(claim, [done(again.jobs[0])], 2)).jobs)).toEqual([1, 2]);
        expect(await b.control.status(entity)).not.toHaveProperty('blockedBy');
      });

      test('with skip: fails with its reason, and does not block again; the next job runs', async () => {
        await a.finish(claim, [blocking(first)], 1);
        expect(await b.control.unblock(entity, 'skip')).toBe(true);
        const skipped = await a.take(claim);
        expect(skipped.jobs[0]).toMatchObject({ id: first.id, mustFail: 'because', isSkipped: true });
        expect(numbers((await a.finish(claim, [done(skipped.jobs[0], 'failed')], 1)).jobs)).toEqual([1]);
        expect(await cluster.failedIds(entity)).toEqual([first.id]);
      });

      test('with drop: is removed, and the next job runs', async () => {
        await a.finish(claim, [blocking(first)], 1);
        expect(await b.control.unblock(entity, 'drop')).toBe(true);
        expect(numbers((await a.take(claim)).jobs)).toEqual([1]);
        expect(await cluster.failedIds(entity)).toEqual([]);
      });

      test('leads to a call of a pod when it is decided and the entity is unowned', async () => {
        await a.finish(claim, [blocking(first)], 1);
        await a.release(claim, 'idle');
        await b.renew([], serving('account'));
        expect(await a.control.unblock(entity, 'retry')).toBe(true);
        expect(await b.wakeUps([])).toEqual([entity]);
        expect(numbers(claimOf(await b.tryClaim(entity, 1)).jobs)).toEqual([0]);
      });

      test('does not exist: there is nothing to decide', async () => {
        expect(await b.control.unblock(entity, 'drop')).toBe(false);
        expect(await b.control.unblock({ type: 'account', id: 'nobody' }, 'retry')).toBe(false);
        expect(await b.control.status(entity)).toMatchObject({ waiting: 2, active: 1 });
      });
    });
  });
}
