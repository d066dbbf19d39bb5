/**
 * The part of a store's contract about drops, whichever process dies meanwhile: no dropped job starts, and no job that was
 * enqueued later is lost. Neighbour: `control-contract.ts`, the operator's other calls.
 */

import type { Claim } from '../../src/core/model/claim.js';
import type { FetchedJob, JobOptions } from '../../src/core/model/job.js';
import { StaleClaimError } from '../../src/core/model/job-errors.js';
import { resolveOptions } from '../../src/core/options/resolve.js';
import type { EntityStore } from '../../src/core/ports/store.js';
import { type Cluster, type CreateCluster, entity, ownedBy, twoPods } from '../support/contract-pods.js';
import { Random } from '../support/random.js';
import { claimOf, done, numbers, serving, withdrawal } from '../support/settlements.js';
import { DropWalk } from '../support/walk/drop-walk.js';

/** More than one step removes. */
const MANY = 1500;

export function dropContract(name: string, createCluster: CreateCluster): void {
  describe(`the contract of a store, drops: ${name}`, () => {
    const config = resolveOptions({ entities: { account: { onExhausted: 'block' } } });
    let cluster: Cluster;
    let a: EntityStore;
    let b: EntityStore;
    let claim: Claim;
    let first: FetchedJob;

    const job = (n: number, options: JobOptions = {}) => withdrawal(config, entity, { n }, options);
    const enter = (n: number, options: JobOptions = {}) => b.add(job(n, options), 'route-only');
    const enterMany = (from: number, options: (n: number) => JobOptions = () => ({})) =>
      Promise.all(b.addAll(Array.from({ length: MANY }, (_, i) => [job(from + i, options(from + i)), 'route-only'])));
    const status = () => b.control.status(entity);
    const waiting = async () => numbers((await b.control.list(entity, 'waiting', 0, 999)) as never);

    /** Pod A owns the entity, runs job 0 and has fetched job 1; job 2 waits. */
    beforeEach(async () => {
      ({ cluster, a, b } = await twoPods(createCluster, config));
      ({ claim, first } = await ownedBy(a, job, 3));
      await a.take(claim);
    });
    afterEach(() => cluster.close());

    test('a drop is pending until the owner has told what it had started; the owner is asked again', async () => {
      await b.control.drop(entity);
      await a.wakeUps([]);
      expect(await b.control.isDropping(entity)).toBe(true);
      expect(await a.wakeUps([])).toEqual([{ ...entity, isRecall: true }]);
      await a.giveBack(claim, [first.id]);
      expect(await b.control.isDropping(entity)).toBe(false);
      expect(await status()).toMatchObject({ waiting: 0, active: 1 });
      expect(await b.control.isDropping({ type: 'account', id: 'nobody' })).toBe(false);
    });

    test('a takeover brings no dropped job that the dead owner had fetched, and brings jobs that were enqueued later', async () => {
      await b.control.drop(entity);
      await enter(3);
      await cluster.expireLeases();
      const taken = claimOf(await b.tryClaim(entity, 1));
      expect([numbers(taken.jobs), taken.recovered]).toEqual([[3], 0]);
      expect(await status()).toMatchObject({ waiting: 0, active: 1 });
      expect((await b.finish(taken.claim, [done(taken.jobs[0])], 1)).isRecalled).toBeUndefined();
    });

    test('a claim by an enqueue, or by the owner that does not know its claim, brings no dropped job either', async () => {
      await b.control.drop(entity);
      const again = claimOf(await a.tryClaim(entity, 2));
      expect([numbers(again.jobs), again.recovered]).toEqual([[], 0]);
      await a.add(job(3), { epoch: 2, mayClaim: false, atOnce: 0 });
      await a.take(again.claim);
      await b.control.drop(entity);
      await cluster.expireLeases();
      const entered = claimOf(await b.add(job(4), { epoch: 9, mayClaim: true, atOnce: 1 }));
      expect(numbers(entered.jobs)).toEqual([4]);
    });

    test.each(['hand-over', 'give-way'] as const)(
      'a pod that releases the entity (%s) gives back no dropped job',
      async mode => {
        await b.control.drop(entity);
        await a.finish(claim, [done(first)], 0);
        expect(await a.release(claim, mode)).toBe(true);
        expect(await status()).toMatchObject({ waiting: 0, active: 0 });
        expect(await b.control.isDropping(entity)).toBe(false);
      },
    );

    test('a job that fails after the drop keeps its place; no job that was fetched with it comes back', async () => {
      await b.control.drop(entity);
      await a.finish(claim, [{ job: first, outcome: { kind: 'retrying', reason: 'x', stack: '', delayMs: 0 } }], 1);
      expect(await waiting()).toEqual([0]);
      await a.giveBack(claim, []);
      expect(numbers((await a.take(claim)).jobs)).toEqual([0]);
    });

    test('if the owner’s lease has passed, a drop removes all that it had fetched, and its claim', async () => {
      await cluster.expireLeases();
      await b.control.drop(entity);
      expect(await b.control.isDropping(entity)).toBe(false);
      expect(await status()).toMatchObject({ waiting: 0, active: 0 });
      await enter(3);
      await expect(a.finish(claim, [done(first)], 1)).rejects.toThrow(StaleClaimError);
      expect(await a.renew([{ claim, idle: false }], serving())).toMatchObject({ lost: [0] });
      expect(numbers(claimOf(await b.tryClaim(entity, 1)).jobs)).toEqual([3]);
    });

    test('if the owner’s lease passes while the drop is pending, all that it had fetched is removed', async () => {
      await b.control.drop(entity);
      expect(await b.control.isDropping(entity)).toBe(true);
      await cluster.expireLeases();
      expect(await b.control.isDropping(entity)).toBe(false);
      expect(await status()).toMatchObject({ waiting: 0, active: 0 });
      expect(await cluster.dueScore(entity)).toBeUndefined();
      await expect(a.giveBack(claim, [first.id])).rejects.toThrow(StaleClaimError);
    });

    test('I8: many dropped jobs are removed in pages, and nothing is left of them', async () => {
      await a.giveBack(claim, []);
      await a.release(claim, 'hand-over');
      await enterMany(10, n => (n % 3 === 0 ? { delay: 60_000 } : n % 3 === 1 ? { priority: n } : {}));
      await b.control.drop(entity);
      expect(await status()).toMatchObject({ waiting: 0, active: 0, delayed: 0 });
      expect(await cluster.keysOf(entity)).toEqual([]);
      expect(await b.leftovers(['account'])).toBe(false);
    });

    test('I6: jobs that are enqueued while dropped ones are removed run in their order', async () => {
      await enterMany(10);
      const dropping = b.control.drop(entity);
      const entered = [enter(9000), enter(9001)];
      await dropping;
      await Promise.all(entered);
      expect(await waiting()).toEqual([9000, 9001]);
    });

    test('an id or a key of a dropped job is free at once, and its new job stays', async () => {
      await enterMany(10, n => (n % 2 ? { jobId: `job-${n}` } : { deduplication: { id: `key-${n}` } }));
      const dropping = b.control.drop(entity);
      const entered = Promise.all([
        enter(8001, { jobId: 'job-11' }),
        enter(8002, { jobId: `job-${MANY - 1}` }),
        enter(8003, { deduplication: { id: 'key-12' } }),
        enter(8004, { deduplication: { id: `key-${MANY}` } }),
      ]);
      await dropping;
      await entered;
      expect(await waiting()).toEqual([8001, 8002, 8003, 8004]);
      expect((await enter(8005, { jobId: 'job-11' })).jobId).toBe('job-11');
      const { jobId } = await enter(8006, { deduplication: { id: `key-${MANY}` } });
      const listed = await b.control.list(entity, 'waiting', 0, 99);
      expect(listed.find(({ data }) => (data as { n: number }).n === 8004)?.jobId).toBe(jobId);
      expect(await waiting()).toEqual([8001, 8002, 8003, 8004]);
    });

    test('an add under the id or key of a job that may be dropped is refused until its owner has told', async () => {
      const bounded = await cluster.pod(resolveOptions({ entities: { account: { maxPending: 100 } } }));
      const named = [{ jobId: 'job-1' }, { deduplication: { id: 'key-2' } }];
      for (const options of named) await enter(5, options);
      expect(numbers((await a.take(claim, 3)).jobs)).toEqual([2, 5, 5]);
      await b.control.drop(entity);
      for (const options of named) {
        await expect(enter(6, options)).rejects.toThrow(/running drop\(\).*try again when the drop has ended/i);
        const bulk = bounded.addAll([7, 8].map(n => [job(n, n === 8 ? options : {}), 'route-only']));
        for (const entered of await Promise.allSettled(bulk)) {
          expect(entered).toMatchObject({ status: 'rejected', reason: { code: 'STORE_REFUSED' } });
        }
      }
      expect(await status()).toMatchObject({ waiting: 0, active: 5 });
      await a.giveBack(claim, [first.id]);
      for (const options of named) await enter(6, options);
      expect(await waiting()).toEqual([6, 6]);
    });

    test('a job that is dropped, added again under its id and dropped again leaves nothing, and the third one runs', async () => {
      await a.giveBack(claim, []);
      await a.release(claim, 'hand-over');
      const jobId = (n: number) => ({ jobId: `job-${n % MANY}` });
      await enterMany(0, jobId);
      const drops = [b.control.drop(entity), enter(8001, jobId(7)), b.control.drop(entity), enter(8002, jobId(7))];
      await Promise.all(drops);
      expect(await waiting()).toEqual([8002]);
      await b.control.drop(entity);
      expect(await cluster.keysOf(entity)).toEqual([]);
    });

    test.each([...Array(name === 'memory' ? 6 : 2).keys()])(
      'no dropped job starts, and no later job is lost, in any schedule of failures (%i)',
      async at => {
        const seed = Number(process.env['SEED'] ?? 1000 * at + 17);
        const walk = new DropWalk(cluster, { config, entity: { ...entity, id: 'walk' } }, new Random(seed));
        await walk.run(name === 'memory' ? 400 : 100);
        expect({ seed, faults: walk.faults, trace: walk.faults.length > 0 ? walk.trace : [] }).toEqual({
          seed,
          faults: [],
          trace: [],
        });
      },
    );
  });
}
