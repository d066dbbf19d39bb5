/**
 * The part of a store's contract about intake: bounded backlogs, many jobs in one step, and jobs that are enqueued
 * for the second time. Neighbour: `store-contract.ts`, all other adds.
 */

import type { Claim } from '../../src/core/model/claim.js';
import type { EntityRef } from '../../src/core/model/entity.js';
import type { JobOptions } from '../../src/core/model/job.js';
import { BacklogFullError } from '../../src/core/model/store-errors.js';
import { resolveOptions } from '../../src/core/options/resolve.js';
import type { IntakeResult } from '../../src/core/ports/intake.js';
import type { EntityStore } from '../../src/core/ports/store.js';
import { type Cluster, type CreateCluster, entity, twoPods } from '../support/contract-pods.js';
import { claimOf, done, numbers, withdrawal } from '../support/settlements.js';

export function intakeContract(name: string, createCluster: CreateCluster): void {
  describe(`the contract of a store, intake: ${name}`, () => {
    const config = resolveOptions({
      entities: { account: { maxPending: 3 }, paced: { rateLimit: { max: 2, durationMs: 300 } } },
    });
    const other: EntityRef = { type: 'account', id: 'other' };
    const mine = { epoch: 1, mayClaim: true, atOnce: 1 };
    let cluster: Cluster;
    let a: EntityStore;
    let b: EntityStore;

    beforeEach(async () => {
      ({ cluster, a, b } = await twoPods(createCluster, config));
    });
    afterEach(() => cluster.close());

    const job = (n: number, options: JobOptions = {}, of = entity) =>
      withdrawal(config, of, { n, text: '"…\u2028' }, options);
    const status = (of = entity) => b.control.status(of);
    const cold = async (): Promise<{ claim: Claim; entered: IntakeResult }> => {
      const entered = await a.add(job(0), mine);
      return { claim: claimOf(entered).claim, entered };
    };

    describe('a bounded backlog', () => {
      test('refuses more jobs with a typed error, from any pod, and changes nothing', async () => {
        const { claim, entered } = await cold();
        await a.add(job(1), mine);
        await b.add(job(2, { delay: 60_000 }), 'route-only');
        await expect(b.add(job(3), 'route-only')).rejects.toThrow(BacklogFullError);
        await expect(a.add(job(3), mine)).rejects.toMatchObject({
          code: 'BACKLOG_FULL',
          entityType: 'account',
          entityId: entity.id,
          maxPending: 3,
        });
        expect(await status()).toMatchObject({ waiting: 1, active: 1, delayed: 1 });
        const { jobs } = claimOf(entered);
        expect(numbers((await a.finish(claim, [done(jobs[0])], 1)).jobs)).toEqual([1]);
        expect((await a.add(job(3), mine)).route).toBe('local');
      });

      test('does not count the next run of a schedule', async () => {
        await b.schedules.put(job(0), { id: 's', every: 60_000 });
        await a.add(job(1), 'route-only');
        await a.add(job(2), 'route-only');
        await b.add(job(3), 'route-only');
        await expect(b.add(job(4), 'route-only')).rejects.toThrow(BacklogFullError);
      });

      test('does not count a job that is known already', async () => {
        await cold();
        const known = await a.add(job(1, { jobId: 'x' }), mine);
        const once = await a.add(job(2, { deduplication: { id: 'k', ttl: 60_000 } }), mine);
        expect((await b.add(job(3, { jobId: 'x' }), 'route-only')).jobId).toBe(known.jobId);
        expect((await b.add(job(4, { deduplication: { id: 'k', ttl: 60_000 } }), 'route-only')).jobId).toBe(once.jobId);
        await expect(b.add(job(5, { jobId: 'y' }), 'route-only')).rejects.toThrow(BacklogFullError);
      });
    });

    describe('a limited rate', () => {
      const paced: EntityRef = { type: 'paced', id: '1' };

      test('lets that many jobs be fetched within its time; then the response says when there are more', async () => {
        const entered = await a.add(job(0, {}, paced), mine);
        for (const n of [1, 2, 3]) await a.add(job(n, {}, paced), mine);
        const { claim, jobs } = claimOf(entered);
        const second = await a.finish(claim, [done(jobs[0])], 1);
        expect(numbers(second.jobs)).toEqual([1]);
        const none = await a.finish(claim, [done(second.jobs[0])], 1);
        expect(none.jobs).toEqual([]);
        expect(none.againInMs).toBeGreaterThan(0);
        expect(none.againInMs).toBeLessThanOrEqual(300);
        expect(none.isLimited).toBe(true);
        expect((await a.take(claim)).jobs).toEqual([]);
        await cluster.timePasses(320);
        const third = await a.take(claim);
        expect(numbers(third.jobs)).toEqual([2]);
        expect(numbers((await a.finish(claim, [done(third.jobs[0])], 4)).jobs)).toEqual([3]);
      });
    });

    describe('an enqueue of several jobs in one step', () => {
      test('counts a job that is repeated within it once', async () => {
        const once = { deduplication: { id: 'k', ttl: 60_000 } };
        const entered = await Promise.all(
          b.addAll([
            [job(0, once), 'route-only'],
            [job(1, once), 'route-only'],
            [job(2, { jobId: 'x' }), 'route-only'],
            [job(3, { jobId: 'x' }), 'route-only'],
            [job(4), 'route-only'],
          ]),
        );
        expect(new Set(entered.map(({ jobId }) => jobId)).size).toBe(3);
        expect(await status()).toMatchObject({ waiting: 3 });
      });

      test('returns for each job what it would get alone, in their order', async () => {
        const [first, second, third] = await Promise.all(
          a.addAll([
            [job(0), mine],
            [job(7, {}, other), 'route-only'],
            [job(1), mine],
          ]),
        );
        if (!first || !second || !third) throw new Error('an answer is missing');
        const { claim, jobs } = claimOf(first);
        expect(jobs[0]?.data).toEqual({ n: 0, text: '"…\u2028' });
        expect([second.route, third.route]).toEqual(['unowned', 'local']);
        expect(numbers((await a.finish(claim, [done(jobs[0])], 1)).jobs)).toEqual([1]);
        expect(await status(other)).toMatchObject({ waiting: 1 });
      });

      test('adds nothing to any entity if one has no room', async () => {
        await cold();
        const entered = b.addAll([
          [job(7, {}, other), 'route-only'],
          [job(1), 'route-only'],
          [job(2), 'route-only'],
          [job(3), 'route-only'],
        ]);
        const outcomes = await Promise.allSettled(entered);
        expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected', 'rejected']);
        expect(outcomes[0]).toMatchObject({ reason: { code: 'BACKLOG_FULL', entityId: entity.id } });
        expect(await status()).toMatchObject({ waiting: 0, active: 1 });
        expect(await status(other)).toMatchObject({ waiting: 0, active: 0 });
        const two = b.addAll([
          [job(1), 'route-only'],
          [job(2), 'route-only'],
        ]);
        expect((await Promise.all(two)).map(({ route }) => route)).toEqual(['remote', 'remote']);
      });
    });

    describe('a job with an idempotency key', () => {
      const once = (n: number, ttl = 60_000) => job(n, { deduplication: { id: 'key', ttl } });

      test('is the first job again, while it waits, while it runs, and when it has ended', async () => {
        const entered = await a.add(once(0), mine);
        const { claim, jobs } = claimOf(entered);
        expect(await b.add(once(1), 'route-only')).toMatchObject({ jobId: entered.jobId });
        expect((await a.finish(claim, [done(jobs[0])], 1)).jobs).toEqual([]);
        expect((await b.add(once(2), 'route-only')).jobId).toBe(entered.jobId);
        expect((await a.take(claim)).jobs).toEqual([]);
        await a.release(claim, 'idle');
        expect((await b.add(once(3), 'route-only')).jobId).toBe(entered.jobId);
        expect(await status()).toMatchObject({ waiting: 0, active: 0 });
      });

      test('is the first job again if it has an id of its own, even when the first one is gone and the key was repeated', async () => {
        const own = (n: number) => job(n, { jobId: 'own', deduplication: { id: 'key', ttl: 60_000 } });
        const { claim, jobs } = claimOf(await a.add(own(0), mine));
        await a.finish(claim, [done(jobs[0])], 1);
        for (const again of [own(1), once(2)]) {
          expect(await a.add(again, mine)).toMatchObject({ jobId: 'own', fetched: { jobs: [] } });
        }
        expect(await status()).toMatchObject({ waiting: 0, active: 0 });
      });

      test('has an id that no other job gets, even when all keys of its entity are gone', async () => {
        const first = await a.add(once(0), mine);
        const { claim, jobs } = claimOf(first);
        await a.finish(claim, [done(jobs[0])], 0);
        await a.release(claim, 'idle');
        const next = await a.add(job(1), { ...mine, epoch: 2 });
        expect(next.jobId).not.toBe(first.jobId);
        expect((await b.add(once(2), 'route-only')).jobId).toBe(first.jobId);
      });

      test('is the first job again after a failure; another entity has its own keys', async () => {
        const entered = await a.add(once(0), mine);
        const { claim, jobs } = claimOf(entered);
        await a.finish(claim, [done(jobs[0], 'failed')], 0);
        expect((await a.add(once(1), mine)).jobId).toBe(entered.jobId);
        const elsewhere = { ...once(2), entity: other };
        await b.add(elsewhere, 'route-only');
        expect(await status(other)).toMatchObject({ waiting: 1 });
      });

      test('is a new job when the time of its key is over', async () => {
        await a.add(once(0, 50), mine);
        await cluster.timePasses(60);
        await a.add(once(1, 50), mine);
        expect(await status()).toMatchObject({ waiting: 1, active: 1 });
      });
    });
  });
}
