/**
 * The part of a store's contract about batches: several jobs fetched together and ended in one step (I6), and calls for
 * an owner that waits for more. Neighbour: `retry-contract.ts`, attempts of one job.
 */

import type { Claim } from '../../src/core/model/claim.js';
import type { FetchedJob, JobOptions, Settlement } from '../../src/core/model/job.js';
import { StaleClaimError } from '../../src/core/model/job-errors.js';
import { StoreRefusedError } from '../../src/core/model/store-errors.js';
import { type EngineConfig } from '../../src/core/options/config.js';
import type { EntityOptions } from '../../src/core/options/options.js';
import { resolveOptions } from '../../src/core/options/resolve.js';
import type { EntityStore } from '../../src/core/ports/store.js';
import { type Cluster, type CreateCluster, entity, isCalled, ownedBy, twoPods } from '../support/contract-pods.js';
import { claimOf, done, numbers, serving, tries, withdrawal } from '../support/settlements.js';

const LONG_MS = 60_000;

export function batchContract(name: string, createCluster: CreateCluster): void {
  describe(`the contract of a store, batches: ${name}`, () => {
    let config: EngineConfig;
    let cluster: Cluster;
    let a: EntityStore;
    let b: EntityStore;
    let claim: Claim;
    let jobs: FetchedJob[];

    const job = (n: number, options: JobOptions = { attempts: 3 }) => withdrawal(config, entity, { n }, options);
    const again = (n: number, delayMs = 0): Settlement => ({
      job: done(jobs[n]).job,
      outcome: { kind: 'retrying', reason: `because ${n}`, stack: 'Error: because', delayMs },
    });
    const forGood = (n: number, kind: 'blocked' | 'postponed' | 'dead' | 'failed'): Settlement => ({
      job: done(jobs[n]).job,
      outcome: { kind, reason: `because ${n}`, stack: 'Error: because' },
    });
    const ok = (n: number) => done(jobs[n]);
    const waiting = async () =>
      (await a.control.list(entity, 'waiting', 0, 100)).map(({ data }) => (data as { n: number }).n);

    /** Pod A owns the entity; so many jobs were added, and so many of them are fetched. */
    const start = async (added: number, fetched: number, options: EntityOptions = {}) => {
      config = resolveOptions({ entities: { account: options } });
      ({ cluster, a, b } = await twoPods(createCluster, config));
      ({ claim, jobs } = await ownedBy(a, job, added, fetched));
    };
    afterEach(() => cluster.close());

    test('a fetch brings as many jobs as it asks for, in their order, or all that there are', async () => {
      await start(6, 3);
      expect(numbers((await a.take(claim, 2)).jobs)).toEqual([3, 4]);
      expect(numbers((await a.take(claim, 9)).jobs)).toEqual([5]);
      expect((await a.take(claim, 9)).jobs).toEqual([]);
    });

    test('a batch ends in one step, which brings the next jobs', async () => {
      await start(7, 3);
      expect(numbers((await a.finish(claim, [ok(0), ok(1), ok(2)], 3)).jobs)).toEqual([3, 4, 5]);
      expect(await a.control.status(entity)).toMatchObject({ waiting: 1, active: 3, failed: 0 });
    });

    test('some jobs of a batch fail, and the others complete', async () => {
      await start(4, 3);
      const next = await a.finish(claim, [ok(0), forGood(1, 'failed'), ok(2)], 1);
      expect(numbers(next.jobs)).toEqual([3]);
      expect(await cluster.failedIds(entity)).toEqual([jobs[1]?.id]);
    });

    test('I6: jobs of a batch that are retried go back in their order, before all that was fetched', async () => {
      await start(8, 6);
      const { jobs: next } = await a.finish(claim, [ok(0), again(1), ok(2), again(3)], 9);
      expect(tries(next)).toEqual([
        [1, 2, 1],
        [3, 2, 1],
        [4, 1, 0],
        [5, 1, 0],
        [6, 1, 0],
        [7, 1, 0],
      ]);
    });

    test('the backoff of a batch holds all its jobs, for every call', async () => {
      await start(6, 5);
      const { jobs: next, againInMs } = await a.finish(claim, [again(0, LONG_MS), ok(1), again(2, LONG_MS)], 9);
      expect([next, (againInMs ?? 0) > LONG_MS - 5000]).toEqual([[], true]);
      expect(await waiting()).toEqual([0, 2, 3, 4, 5]);
      expect((await a.take(claim, 9)).jobs).toEqual([]);
      await cluster.endHold(entity);
      expect(tries((await a.take(claim, 2)).jobs)).toEqual([
        [0, 2, 1],
        [2, 2, 1],
      ]);
    });

    test('I6: a batch does not overtake an older job, and is not an obstacle itself', async () => {
      await start(5, 4);
      await expect(a.finish(claim, [ok(1), ok(2)], 1)).rejects.toBeInstanceOf(StoreRefusedError);
      expect(await a.control.status(entity)).toMatchObject({ waiting: 1, active: 4 });
      expect(numbers((await a.finish(claim, [ok(0), ok(1), ok(2)], 1)).jobs)).toEqual([4]);
      expect((await a.finish(claim, [ok(3)], 0)).jobs).toEqual([]);
    });

    test('I3: a stale claim ends no batch', async () => {
      await start(3, 2);
      const resynced = await a.resync(claim, 2, []);
      await expect(a.finish(claim, [ok(0), ok(1)], 1)).rejects.toBeInstanceOf(StaleClaimError);
      expect(numbers(resynced.jobs)).toEqual([0]);
      expect(await waiting()).toEqual([1, 2]);
    });

    test('a job that an operator removed while it ran does not affect its batch', async () => {
      await start(4, 3);
      await cluster.removeJob(entity, done(jobs[1]).job.id);
      expect(numbers((await a.finish(claim, [ok(0), ok(1), ok(2)], 1)).jobs)).toEqual([3]);
      expect(await a.control.status(entity)).toMatchObject({ waiting: 0, active: 1, failed: 0 });
    });

    describe('a resync', () => {
      const partly = () => [ok(0), again(1), ok(2), again(3)];

      test('race 28: does not run completed jobs of a batch again whose end did not arrive', async () => {
        await start(7, 6);
        const { jobs: next, claim: renewed } = await a.resync(claim, 2, partly());
        expect(tries(next)).toEqual([[1, 2, 1]]);
        expect(tries((await a.take(renewed, 9)).jobs)).toEqual([
          [3, 2, 1],
          [4, 1, 0],
          [5, 1, 0],
          [6, 1, 0],
        ]);
      });

      test.each([0, 1, 3])(
        'race 1: does not run a batch again whose response was lost, and counts no attempt twice (%i fetched)',
        async n => {
          await start(7, 6);
          const settlements = partly();
          await a.finish(claim, settlements, n);
          const { jobs: next, claim: renewed } = await a.resync(claim, 2, settlements);
          // The fetch whose response was lost was a start that no pod knows of, and no attempt.
          expect(tries([...next, ...(await a.take(renewed, 9)).jobs])).toEqual([
            [1, 2, 1],
            [3, 2, 1],
            [4, 1, 0],
            [5, 1, 0],
            [6, 1, 0],
          ]);
        },
      );

      test('ends earlier jobs, and then a batch, each in its turn', async () => {
        await start(6, 5);
        const { jobs: next } = await a.resync(claim, 2, [ok(0), ok(1), again(2, LONG_MS), ok(3)]);
        expect(next).toEqual([]);
        expect(await waiting()).toEqual([2, 4, 5]);
      });
    });

    test('race 7: no job of a batch is suspected when its pod dies, and the order is kept', async () => {
      await start(5, 3);
      await cluster.expireLeases();
      const taken = claimOf(await b.tryClaim(entity, 1));
      expect([numbers(taken.jobs), taken.recovered]).toEqual([[0], 3]);
      expect(numbers((await b.take(taken.claim, 9)).jobs)).toEqual([1, 2, 3, 4]);
    });

    describe('jobs of a batch that block when their attempts are used up', () => {
      beforeEach(() => start(7, 5, { onExhausted: 'block' }));

      test('the first one blocks; the ones behind it block when their turn comes, without running', async () => {
        await a.finish(claim, [ok(0), forGood(1, 'blocked'), again(2), forGood(3, 'postponed')], 9);
        expect(await waiting()).toEqual([1, 2, 3, 4, 5, 6]);
        expect((await a.control.status(entity)).blockedBy).toMatchObject({ reason: 'because 1' });
        expect(await a.control.unblock(entity, 'drop')).toBe(true);
        const { jobs: next } = await a.take(claim, 2);
        expect(tries(next)).toEqual([
          [2, 2, 1],
          [3, 2, 0],
        ]);
        expect(next.map(({ mustFail }) => mustFail)).toEqual([undefined, 'because 3']);
        jobs = [...next];
        await a.finish(claim, [ok(0), forGood(1, 'blocked')], 9);
        expect((await a.control.status(entity)).blockedBy).toMatchObject({ reason: 'because 1' });
        expect(await a.control.unblock(entity, 'retry')).toBe(true);
        expect(tries((await a.take(claim, 1)).jobs)).toEqual([[3, 3, 0]]);
      });

      test('behind one that is retried: its backoff is kept, then the next one blocks', async () => {
        await a.finish(claim, [again(0, LONG_MS), forGood(1, 'postponed'), ok(2)], 9);
        expect((await a.take(claim, 9)).againInMs).toBeGreaterThan(LONG_MS - 5000);
        expect((await a.control.status(entity)).blockedBy).toBeUndefined();
        await cluster.endHold(entity);
        expect((await a.take(claim, 3)).jobs.map(({ mustFail }) => mustFail)).toEqual([
          undefined,
          'because 1',
          undefined,
        ]);
      });

      test('an end that arrives twice postpones once', async () => {
        const settlements = [again(0, LONG_MS), forGood(1, 'postponed'), ok(2)];
        await a.finish(claim, settlements, 0);
        const { claim: renewed } = await a.resync(claim, 2, settlements);
        await cluster.endHold(entity);
        expect(tries((await a.take(renewed, 2)).jobs)).toEqual([
          [0, 2, 1],
          [1, 2, 0],
        ]);
      });
    });

    test('dead letters of a batch keep their order', async () => {
      await start(4, 3, { onExhausted: 'deadLetter' });
      await a.finish(claim, [forGood(0, 'dead'), ok(1), forGood(2, 'dead')], 1);
      const letters = await a.deadLetters.list('account', 0, 9);
      expect(letters.map(({ jobId, failedReason }) => [jobId, failedReason])).toEqual([
        [jobs[0]?.id, 'because 0'],
        [jobs[2]?.id, 'because 2'],
      ]);
    });

    test('relaxed order: jobs of a batch that are retried go behind all others, or wait by themselves', async () => {
      await start(6, 4, { ordering: 'relaxed' });
      const { jobs: next } = await a.finish(claim, [again(0), ok(1), again(2, LONG_MS), ok(3)], 9);
      expect(tries(next)).toEqual([
        [4, 1, 0],
        [5, 1, 0],
        [0, 2, 1],
      ]);
      expect(await a.control.status(entity)).toMatchObject({ delayed: 1 });
    });

    test('several handlers at once: a batch ends alongside an older job that runs', async () => {
      await start(6, 4, { workerConfig: { concurrency: 2 } });
      expect(numbers((await a.finish(claim, [ok(2), ok(3)], 2)).jobs)).toEqual([4, 5]);
      expect((await a.finish(claim, [ok(0), ok(1)], 0)).jobs).toEqual([]);
    });

    test('the rate of a type counts each job of a batch', async () => {
      await start(6, 2, { rateLimit: { max: 3, durationMs: LONG_MS } });
      const next = await a.finish(claim, [ok(0), ok(1)], 4);
      expect(numbers(next.jobs)).toEqual([2]);
      expect([next.isLimited, (next.againInMs ?? 0) > LONG_MS - 5000]).toEqual([true, true]);
    });

    test('the end of a batch tells of a pause; running jobs are not given back', async () => {
      await start(6, 4);
      await a.control.pause(entity, true);
      await a.giveBack(
        claim,
        [0, 1].map(n => done(jobs[n]).job.id),
      );
      expect(await waiting()).toEqual([2, 3, 4, 5]);
      expect((await a.finish(claim, [ok(0), again(1)], 4)).jobs).toEqual([]);
      await a.control.pause(entity, false);
      expect(tries((await a.take(claim, 9)).jobs)).toEqual([
        [1, 2, 1],
        [2, 1, 0],
        [3, 1, 0],
        [4, 1, 0],
        [5, 1, 0],
      ]);
    });

    describe('an owner that waits for more jobs', () => {
      test('is called for jobs that others add, until it has as many as it wants', async () => {
        await start(1, 1);
        expect((await a.take(claim, 2, { upTo: 3, forMs: LONG_MS })).jobs).toEqual([]);
        expect((await b.add(job(1), 'route-only')).route).toBe('remote');
        expect(await isCalled(a, b, job(0))).toBe(true);
        expect(numbers((await a.take(claim, 2, { upTo: 3, forMs: LONG_MS })).jobs)).toEqual([1]);
        await b.add(job(2), 'route-only');
        expect(numbers((await a.take(claim, 1, { upTo: 3, forMs: LONG_MS })).jobs)).toEqual([2]);
        expect(await isCalled(a, b, job(0))).toBe(true);
        await b.add(job(3), 'route-only');
        expect(await isCalled(a, b, job(0))).toBe(false);
      });

      test('is not called any more when its time is over', async () => {
        await start(1, 1);
        await a.take(claim, 2, { upTo: 3, forMs: 1 });
        await cluster.timePasses(2);
        await b.add(job(1), 'route-only');
        expect(await isCalled(a, b, job(0))).toBe(false);
      });

      test('is not called under a later claim', async () => {
        await start(1, 1);
        await a.take(claim, 2, { upTo: 3, forMs: LONG_MS });
        await a.resync(claim, 2, []);
        await b.add(job(1), 'route-only');
        expect(await isCalled(a, b, job(0))).toBe(false);
      });

      test('gets the jobs of its own pod with the response to their add', async () => {
        await start(1, 1);
        await a.take(claim, 2, { upTo: 3, forMs: LONG_MS });
        const entered = await a.add(job(1), { epoch: 1, mayClaim: false, atOnce: 3 });
        expect(entered.route === 'local' && numbers(entered.fetched.jobs)).toEqual([1]);
        expect(await a.renew([{ claim, idle: false }], serving('account'))).toMatchObject({ lost: [], kicked: [] });
      });
    });
  });
}
