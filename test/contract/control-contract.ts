/**
 * The part of a store's contract that is about what a person does to an entity: pauses it, and decides about a job that has
 * used up its tries. Neighbour: `retry-contract.ts`, the tries.
 */

import type { Claim } from '../../src/core/model/claim.js';
import type { EntityRef } from '../../src/core/model/entity.js';
import type { FetchedJob, Settlement } from '../../src/core/model/job.js';
import { StaleClaimError } from '../../src/core/model/job-errors.js';
import { type EngineConfig } from '../../src/core/options/config.js';
import { resolveOptions } from '../../src/core/options/resolve.js';
import type { JobState } from '../../src/core/ports/operator.js';
import type { EntityStore } from '../../src/core/ports/store.js';
import { claimOf, done, numbers, serving, withdrawal } from '../support/settlements.js';
import type { Cluster } from './store-contract.js';

export function controlContract(name: string, createCluster: () => Promise<Cluster>): void {
  describe(`the contract of a store, control: ${name}`, () => {
    const entity: EntityRef = { type: 'account', id: 'a:1 {x}' };
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
      cluster = await createCluster();
      a = await cluster.pod(config);
      b = await cluster.pod(config);
      const claimed = claimOf(await a.add(job(0), { epoch: 1, mayClaim: true, atOnce: 1 }));
      claim = claimed.claim;
      first = done(claimed.jobs[0]).job;
      for (const n of [1, 2]) await a.add(job(n), { epoch: 1, mayClaim: false, atOnce: 1 });
    });
    afterEach(() => cluster.close());

    test('what there is of an entity; nothing of one that nobody knows', async () => {
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

      test('are in the status, with the time that their owner has told, until they end', async () => {
        expect(await running()).toBeUndefined();
        await renew(a, claim, first.id);
        expect(await running()).toEqual([{ jobId: first.id, name: first.name, startedAtMs }]);
        await a.finish(claim, [done(first)], 1);
        expect(await running()).toBeUndefined();
      });

      test('are forgotten with the next renewal that tells of none', async () => {
        await renew(a, claim, first.id);
        await renew(a, claim);
        expect(await running()).toBeUndefined();
      });

      test('are those of the present owner: what another one has told says nothing', async () => {
        await renew(a, claim, first.id, 'gone');
        expect(await running()).toHaveLength(1);
        await cluster.expireLeases();
        expect(await b.tryClaim(entity, 1)).toMatchObject({ jobs: [{ id: first.id }] });
        expect(await running()).toBeUndefined();
      });
    });

    describe('a pause', () => {
      test('its owner is recalled, also in the midst of its work, and gives back what it has not started', async () => {
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

      test('the word may be lost: the end of a job tells its owner, until it has given back, or begun anew', async () => {
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

      test('I3: who is not the owner gives nothing back', async () => {
        await a.take(claim);
        const resynced = await a.resync(claim, 2, []);
        await expect(a.giveBack(claim, [])).rejects.toThrow(StaleClaimError);
        expect(await b.control.status(entity)).toMatchObject({ waiting: 2, active: 1 });
        await a.giveBack(resynced.claim, []);
        expect(await b.control.status(entity)).toMatchObject({ waiting: 3, active: 0 });
      });

      test('an owner whose lease has passed is recalled, too: nobody takes over what is paused', async () => {
        await a.take(claim);
        await cluster.expireLeases();
        await b.control.pause(entity, true);
        expect(await b.tryClaim(entity, 1)).toBe('paused');
        expect(await a.wakeUps([])).toEqual([{ ...entity, isRecall: true }]);
      });

      test('who is free asks for more, and is told, too', async () => {
        await b.control.pause(entity, true);
        expect(await a.take(claim)).toEqual({ jobs: [], isRecalled: true });
        await a.giveBack(claim, [first.id]);
        expect(await a.take(claim)).toEqual({ jobs: [] });
      });

      test('a resume wakes the owner, which goes on', async () => {
        await b.control.pause(entity, true);
        await a.wakeUps([]);
        await a.giveBack(claim, [first.id]);
        await a.finish(claim, [done(first)], 1);
        await b.control.pause(entity, false);
        expect(await a.wakeUps([])).toEqual([entity]);
        expect(numbers((await a.take(claim)).jobs)).toEqual([1]);
      });

      test('of what is paused already, as by a tool that told nobody, the owner is recalled, too', async () => {
        await b.control.pause(entity, true);
        await a.wakeUps([]);
        await a.giveBack(claim, [first.id]);
        await b.control.pause(entity, true);
        expect(await a.wakeUps([])).toEqual([{ ...entity, isRecall: true }]);
        expect(await a.finish(claim, [done(first)], 1)).toEqual({ jobs: [], isRecalled: true });
      });

      test('a claim that was recalled is a new one to whoever takes it over', async () => {
        await b.control.pause(entity, true);
        await b.control.pause(entity, false);
        await cluster.expireLeases();
        const taken = claimOf(await b.tryClaim(entity, 1));
        expect((await b.finish(taken.claim, [done(taken.jobs[0])], 1)).isRecalled).toBeUndefined();
      });

      test('of an entity without an owner: nothing is claimed; with the resume a pod is called', async () => {
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

      test('I8: an entity that has only been paused and resumed leaves nothing in the books', async () => {
        const idle = { type: 'account', id: 'idle' };
        await a.control.pause(idle, true);
        expect(await a.control.status(idle)).toMatchObject({ isPaused: true });
        await a.control.pause(idle, false);
        expect(await a.control.status(idle)).toMatchObject({ isPaused: false });
        expect(await cluster.dueScore(idle)).toBeUndefined();
      });
    });

    describe('a pause of a whole type', () => {
      test('nothing is fetched of any of its entities, present or to come; their owners are recalled', async () => {
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

      test('race 16: its entities are due for nobody until it is resumed; then all are, but those paused by themselves', async () => {
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

      test('with the resume all go on, but those that are paused by themselves', async () => {
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

    describe('dropping what waits', () => {
      test('all that waits goes, also for later; what has started ends, and what comes after it runs', async () => {
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

      test('the word may be lost: the end of a job tells, and fetches nothing that would then go, too', async () => {
        const { jobs } = await a.take(claim);
        await b.control.drop(entity);
        await b.add(job(4), 'route-only');
        expect(await a.finish(claim, [done(first)], 5)).toEqual({ jobs: [], isRecalled: true });
        await a.giveBack(claim, []);
        expect(await b.control.status(entity)).toMatchObject({ waiting: 1, active: 0 });
        expect(await a.finish(claim, [done(jobs[0])], 1)).toMatchObject({ jobs: [{ data: { n: 4 } }] });
      });

      test('an owner that begins anew, or is paused meanwhile, gives back nothing either', async () => {
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

      test('a job that waits for its next try goes, and holds nothing any more', async () => {
        const { id } = first;
        const retrying = { kind: 'retrying', reason: 'because', stack: '', delayMs: 60_000 } as const;
        await a.finish(claim, [{ job: first, outcome: retrying }], 1);
        expect((await b.control.list(entity, 'waiting', 0, 9)).map(({ jobId }) => jobId)[0]).toBe(id);
        await b.control.drop(entity);
        await a.add(job(4), { epoch: 1, mayClaim: false, atOnce: 0 });
        expect(numbers((await a.take(claim)).jobs)).toEqual([4]);
      });

      test('I8: an entity without an owner is in no one’s books then', async () => {
        await a.finish(claim, [done(first)], 0);
        await a.release(claim, 'hand-over');
        expect(await cluster.dueScore(entity)).toBeDefined();
        await b.control.drop(entity);
        expect(await cluster.dueScore(entity)).toBeUndefined();
        expect(await a.tryClaim(entity, 5)).toBe('later');
      });
    });

    test('a list of jobs in one state: the next ones first, of those that have ended the latest', async () => {
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

    describe('a job that has used up its tries and blocks its entity', () => {
      test('nothing is fetched, and no time is told; what is fetched already goes back', async () => {
        await a.take(claim);
        expect(await a.finish(claim, [blocking(first)], 1)).toEqual({ jobs: [] });
        expect(await a.take(claim)).toEqual({ jobs: [] });
        expect(await a.renew([{ claim, idle: true }], serving())).toMatchObject({ lost: [], kicked: [] });
        const blockedBy = { jobId: first.id, reason: 'because' };
        expect(await b.control.status(entity)).toMatchObject({ waiting: 3, active: 0, blockedBy });
      });

      test('race 16: it outlives its owner, and is due for nobody until it is decided about', async () => {
        await a.finish(claim, [blocking(first)], 1);
        expect(await a.release(claim, 'idle')).toBe(true);
        expect(await b.tryClaim(entity, 1)).toBe('later');
        expect(await cluster.dueScore(entity)).toBeUndefined();
        expect(await b.discover(['account'], 1)).toMatchObject({ found: 0 });
        expect(await b.control.status(entity)).toMatchObject({ blockedBy: { jobId: first.id } });
        await b.control.unblock(entity, 'retry');
        expect(await b.due('account', 0, 10)).toEqual([entity]);
      });

      test('an end whose answer was lost blocks once', async () => {
        await a.finish(claim, [blocking(first)], 1);
        const resynced = await a.resync(claim, 2, [blocking(first)]);
        expect(resynced.jobs).toEqual([]);
        await b.control.unblock(entity, 'retry');
        expect((await a.take(resynced.claim)).jobs[0]).toMatchObject({ data: { n: 0 }, attemptsMade: 0 });
      });

      test('retry: all its tries anew, before all others; its owner is woken', async () => {
        await a.finish(claim, [blocking(first)], 1);
        expect(await b.control.unblock(entity, 'retry')).toBe(true);
        expect(await a.wakeUps([])).toEqual([entity]);
        const again = await a.take(claim);
        expect(again.jobs[0]).toMatchObject({ data: { n: 0 }, attempt: 2, attemptsMade: 0 });
        expect(numbers((await a.finish(claim, [done(again.jobs[0])], 2)).jobs)).toEqual([1, 2]);
        expect(await b.control.status(entity)).not.toHaveProperty('blockedBy');
      });

      test('skip: it is to fail with its reason, and not to block again; the next one runs', async () => {
        await a.finish(claim, [blocking(first)], 1);
        expect(await b.control.unblock(entity, 'skip')).toBe(true);
        const skipped = await a.take(claim);
        expect(skipped.jobs[0]).toMatchObject({ id: first.id, mustFail: 'because', isSkipped: true });
        expect(numbers((await a.finish(claim, [done(skipped.jobs[0], 'failed')], 1)).jobs)).toEqual([1]);
        expect(await cluster.failedIds(entity)).toEqual([first.id]);
      });

      test('drop: it is gone, and the next one runs', async () => {
        await a.finish(claim, [blocking(first)], 1);
        expect(await b.control.unblock(entity, 'drop')).toBe(true);
        expect(numbers((await a.take(claim)).jobs)).toEqual([1]);
        expect(await cluster.failedIds(entity)).toEqual([]);
      });

      test('without an owner a pod is called', async () => {
        await a.finish(claim, [blocking(first)], 1);
        await a.release(claim, 'idle');
        await b.renew([], serving('account'));
        expect(await a.control.unblock(entity, 'retry')).toBe(true);
        expect(await b.wakeUps([])).toEqual([entity]);
        expect(numbers(claimOf(await b.tryClaim(entity, 1)).jobs)).toEqual([0]);
      });

      test('where none does, there is nothing to decide', async () => {
        expect(await b.control.unblock(entity, 'drop')).toBe(false);
        expect(await b.control.unblock({ type: 'account', id: 'nobody' }, 'retry')).toBe(false);
        expect(await b.control.status(entity)).toMatchObject({ waiting: 2, active: 1 });
      });
    });
  });
}
