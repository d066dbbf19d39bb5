/**
 * The part of a store's contract about shared reads: jobs that run alongside each other on one pod, end in any order, and go
 * back alongside each other (I6). Neighbours: `retry-contract.ts`, attempts of one job; `batch-contract.ts`, jobs that run as one.
 */

import type { Claim } from '../../src/core/model/claim.js';
import { type FetchedJob, type Settlement } from '../../src/core/model/job.js';
import { StoreRefusedError } from '../../src/core/model/store-errors.js';
import { type EngineConfig } from '../../src/core/options/config.js';
import type { EntityOptions } from '../../src/core/options/options.js';
import { resolveOptions } from '../../src/core/options/resolve.js';
import type { EntityStore } from '../../src/core/ports/store.js';
import { WHILE_CLAIMED_MS } from '../../src/core/ports/work.js';
import { type Cluster, type CreateCluster, entity, isCalled, ownedBy, twoPods } from '../support/contract-pods.js';
import { claimOf, done, numbers, tries, withdrawal } from '../support/settlements.js';

const LONG_MS = 60_000;

export function sharedContract(name: string, createCluster: CreateCluster): void {
  describe(`the contract of a store, shared reads: ${name}`, () => {
    let config: EngineConfig;
    let cluster: Cluster;
    let a: EntityStore;
    let b: EntityStore;
    let claim: Claim;
    let jobs: FetchedJob[];

    const job = (n: number) => withdrawal(config, entity, { n }, { attempts: 3 });
    const idOf = (n: number) => done(jobs[n]).job.id;
    const ok = (n: number): Settlement => done(jobs[n]);
    /** The end of a read alongside others. */
    const read = (n: number, ...alongside: number[]): Settlement => ({ ...ok(n), alongside: alongside.map(idOf) });
    const again = (n: number, delayMs: number, ...alongside: number[]): Settlement => ({
      ...read(n, ...alongside),
      outcome: { kind: 'retrying', reason: `because ${n}`, stack: 'Error: because', delayMs },
    });
    const blocked = (n: number, ...alongside: number[]): Settlement => ({
      ...read(n, ...alongside),
      outcome: { kind: 'blocked', reason: `because ${n}`, stack: 'Error: because' },
    });
    const waiting = async () => numbers((await a.control.list(entity, 'waiting', 0, 100)) as never);
    const active = async () => (await a.control.status(entity)).active;

    /** Pod A owns the entity; so many jobs were added, and so many of them are fetched. */
    const start = async (added: number, fetched: number, options: EntityOptions = {}) => {
      config = resolveOptions({ entities: { account: options } }, new Set(['account']));
      ({ cluster, a, b } = await twoPods(createCluster, config));
      ({ claim, jobs } = await ownedBy(a, job, added, fetched));
    };
    afterEach(() => cluster.close());

    describe('ends of reads and writes', () => {
      test('a younger read may end before the reads alongside it, and brings the next job', async () => {
        await start(4, 3);
        expect(numbers((await a.finish(claim, [read(2, 0, 1)], 1)).jobs)).toEqual([3]);
        expect((await a.finish(claim, [read(1, 0)], 1)).jobs).toEqual([]);
        await a.finish(claim, [read(0)], 1);
        expect(await active()).toBe(1);
      });

      test('I6: the end of a read is refused if it overtakes a job that does not run alongside it, a write or a read', async () => {
        await start(3, 3);
        await expect(a.finish(claim, [read(2, 1)], 1)).rejects.toBeInstanceOf(StoreRefusedError);
        await expect(a.finish(claim, [read(1)], 1)).rejects.toBeInstanceOf(StoreRefusedError);
        expect(await active()).toBe(3);
      });

      test('I6: the end of a write is refused if it overtakes reads before it', async () => {
        await start(2, 2);
        await expect(a.finish(claim, [ok(1)], 1)).rejects.toBeInstanceOf(StoreRefusedError);
        expect(await active()).toBe(2);
      });

      test('I6: after a crash, reads that had not ended run in their order, before later jobs', async () => {
        await start(5, 4);
        await a.finish(claim, [read(1, 0, 2)], 0);
        await cluster.expireLeases();
        const taken = claimOf(await b.tryClaim(entity, 5));
        expect([taken.recovered, numbers(taken.jobs)]).toEqual([3, [0]]);
        expect(numbers((await b.take(taken.claim, 9)).jobs)).toEqual([2, 3, 4]);
      });
    });

    describe('a read that comes back', () => {
      test('is the next job, with a hold; reads alongside it stay, and the rest goes back behind it', async () => {
        await start(6, 5);
        const { jobs: next, againInMs } = await a.finish(claim, [again(1, LONG_MS, 0, 2)], 4);
        expect([next, (againInMs ?? 0) > LONG_MS - 5000]).toEqual([[], true]);
        expect([await waiting(), await active()]).toEqual([[1, 3, 4, 5], 2]);
        expect((await a.finish(claim, [read(2, 0)], 4)).jobs).toEqual([]);
        expect((await a.finish(claim, [read(0)], 4)).jobs).toEqual([]);
        await cluster.endHold(entity);
        expect(tries((await a.take(claim, 2)).jobs)).toEqual([
          [1, 2, 1],
          [3, 1, 0],
        ]);
      });

      test('runs at once without a delay, alongside the others', async () => {
        await start(4, 3);
        expect(tries((await a.finish(claim, [again(0, 0, 1)], 1)).jobs)).toEqual([[0, 2, 1]]);
        expect([await waiting(), await active()]).toEqual([[2, 3], 2]);
        expect((await a.finish(claim, [read(1, 0)], 0)).jobs).toEqual([]);
      });

      test.each([
        [LONG_MS, 2 * LONG_MS],
        [2 * LONG_MS, LONG_MS],
      ])('waits behind another one, and both until their times have come (%i, %i ms)', async (first, second) => {
        await start(4, 3);
        await a.finish(claim, [again(0, first, 1)], 1);
        const { againInMs = 0 } = await a.finish(claim, [again(1, second)], 1);
        expect([againInMs > 2 * LONG_MS - 5000, againInMs <= 2 * LONG_MS]).toEqual([true, true]);
        expect(await waiting()).toEqual([0, 1, 2, 3]);
        await cluster.endHold(entity);
        expect(tries((await a.take(claim, 3)).jobs)).toEqual([
          [0, 2, 1],
          [1, 2, 1],
          [2, 1, 0],
        ]);
      });

      test('waits without a delay behind one with a hold, too', async () => {
        await start(3, 2);
        await a.finish(claim, [again(0, LONG_MS, 1)], 1);
        expect((await a.finish(claim, [again(1, 0)], 1)).jobs).toEqual([]);
        expect(await waiting()).toEqual([0, 1, 2]);
      });

      test('waits behind another that blocks, and blocks when its turn comes, without running', async () => {
        await start(3, 2, { onExhausted: 'block' });
        await a.finish(claim, [blocked(1, 0)], 1);
        await a.finish(claim, [blocked(0)], 1);
        expect((await a.control.status(entity)).blockedBy).toEqual({ jobId: idOf(1), reason: 'because 1' });
        expect(await waiting()).toEqual([1, 0, 2]);
        expect(await a.control.unblock(entity, 'drop')).toBe(true);
        const [next] = (await a.take(claim, 1)).jobs;
        expect(next).toMatchObject({ id: idOf(0), mustFail: 'because 0', attemptsMade: 0 });
      });

      test('waits behind one that is retried, and fails when its turn comes, if it is to block', async () => {
        await start(3, 2, { onExhausted: 'block' });
        await a.finish(claim, [again(0, LONG_MS, 1)], 1);
        await a.finish(claim, [blocked(1)], 1);
        expect((await a.control.status(entity)).blockedBy).toBeUndefined();
        await cluster.endHold(entity);
        const next = (await a.take(claim, 2)).jobs;
        expect(numbers(next)).toEqual([0, 1]);
        expect(next.map(({ mustFail }) => mustFail)).toEqual([undefined, 'because 1']);
      });

      test('does not end the block of another', async () => {
        await start(3, 2, { onExhausted: 'block' });
        await a.finish(claim, [blocked(0, 1)], 1);
        expect((await a.finish(claim, [again(1, LONG_MS)], 1)).againInMs).toBeUndefined();
        expect((await a.control.status(entity)).blockedBy?.jobId).toBe(idOf(0));
        expect(await waiting()).toEqual([0, 1, 2]);
        expect((await a.take(claim, 9)).jobs).toEqual([]);
      });
    });

    test('race 28: a resync ends all reads by the same rules, once', async () => {
      await start(6, 5, { onExhausted: 'block' });
      const ends = [read(2, 0, 1, 3), again(0, LONG_MS, 1, 3), blocked(1, 3), ok(3)];
      const { claim: renewed, jobs: next } = await a.resync(claim, 2, ends);
      expect([next, await active()]).toEqual([[], 0]);
      expect((await waiting()).toSorted()).toEqual([0, 1, 4, 5]);
      expect((await waiting()).slice(2)).toEqual([4, 5]);
      const twice = await a.resync(renewed, 3, ends);
      expect([twice.jobs, (await waiting()).slice(2)]).toEqual([[], [4, 5]]);
      expect((await a.control.status(entity)).blockedBy?.jobId).toBe(idOf(1));
    });

    test('I7: the owner of reads is called for jobs that others add, as long as the claim lasts, while it may have more', async () => {
      await start(1, 1);
      await b.add(job(1), 'route-only');
      expect(await isCalled(a, b, job(0))).toBe(false);
      await a.take(claim, 2, { upTo: 3, forMs: WHILE_CLAIMED_MS });
      await b.add(job(2), 'route-only');
      expect(await isCalled(a, b, job(0))).toBe(true);
      expect(numbers((await a.take(claim)).jobs)).toEqual([2]);
      await b.add(job(3), 'route-only');
      expect(await isCalled(a, b, job(0))).toBe(false);
    });
  });
}
