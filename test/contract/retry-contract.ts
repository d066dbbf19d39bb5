/**
 * The part of a store's contract about retries: a job that has failed and is retried keeps its place (I6, races 6
 * and 33), or with `ordering: 'relaxed'` does not. Neighbour: `store-contract.ts`, jobs and claims.
 */

import type { Claim } from '../../src/core/model/claim.js';
import type { FetchedJob, Settlement } from '../../src/core/model/job.js';
import { StaleClaimError } from '../../src/core/model/job-errors.js';
import { type EngineConfig } from '../../src/core/options/config.js';
import { resolveOptions } from '../../src/core/options/resolve.js';
import type { EntityStore } from '../../src/core/ports/store.js';
import { type Cluster, type CreateCluster, entity, ownedBy, twoPods } from '../support/contract-pods.js';
import { claimOf, done, numbers, serving, tries, withdrawal } from '../support/settlements.js';

const LONG_MS = 60_000;
const SHORT_MS = 900;

export function retryContract(name: string, createCluster: CreateCluster): void {
  describe(`the contract of a store, retries: ${name}`, () => {
    let config: EngineConfig;
    let cluster: Cluster;
    let a: EntityStore;
    let b: EntityStore;
    let claim: Claim;
    let first: FetchedJob;

    const job = (n: number) => withdrawal(config, entity, { n }, { attempts: 3 });
    const again = (fetched: FetchedJob | undefined, delayMs: number): Settlement => ({
      job: done(fetched).job,
      outcome: { kind: 'retrying', reason: 'because', stack: 'Error: because', delayMs },
    });
    const add = async (n: number) => {
      const entered = await a.add(job(n), { epoch: 1, mayClaim: false, atOnce: 1 });
      if (entered.route !== 'local') throw new Error(`not mine but ${entered.route}`);
      return entered.fetched;
    };

    const start = async (ordering: 'strict' | 'relaxed') => {
      config = resolveOptions({ entities: { account: { ordering } } });
      ({ cluster, a, b } = await twoPods(createCluster, config));
      ({ claim, first } = await ownedBy(a, job, 3));
    };
    afterEach(() => cluster.close());

    describe('strict order', () => {
      beforeEach(() => start('strict'));

      test('race 6: A fails twice while B is fetched: A A A B C run, and the fetch of B was no attempt', async () => {
        expect(tries((await a.take(claim)).jobs)).toEqual([[1, 1, 0]]);
        const second = await a.finish(claim, [again(first, 0)], 1);
        expect(tries(second.jobs)).toEqual([[0, 2, 1]]);
        const third = await a.finish(claim, [again(second.jobs[0], 0)], 1);
        expect(tries(third.jobs)).toEqual([[0, 3, 2]]);
        const next = await a.finish(claim, [done(third.jobs[0])], 2);
        expect(tries(next.jobs)).toEqual([
          [1, 1, 0],
          [2, 1, 0],
        ]);
      });

      test('the last attempt keeps the stacks of all attempts, and its reason', async () => {
        const second = await a.finish(claim, [again(first, 0)], 1);
        await a.finish(claim, [done(second.jobs[0], 'failed')], 0);
        expect(await cluster.failedIds(entity)).toEqual([first.id]);
      });

      test('nothing is fetched during a backoff, by any call; then the same job is the first', async () => {
        const { jobs, againInMs } = await a.finish(claim, [again(first, LONG_MS)], 1);
        expect(jobs).toEqual([]);
        expect(againInMs).toBeGreaterThan(LONG_MS - 5000);
        expect(againInMs).toBeLessThanOrEqual(LONG_MS);
        expect((await a.take(claim)).againInMs).toBeGreaterThan(LONG_MS - 5000);
        expect((await add(3)).againInMs).toBeGreaterThan(LONG_MS - 5000);
        expect(await a.renew([{ claim, idle: true }], serving())).toMatchObject({ lost: [], kicked: [] });
        await cluster.endHold(entity);
        expect(await a.renew([{ claim, idle: true }], serving())).toMatchObject({ lost: [], kicked: [0] });
        const second = await a.take(claim);
        expect(tries(second.jobs)).toEqual([[0, 2, 1]]);
        expect(numbers((await a.finish(claim, [done(second.jobs[0])], 3)).jobs)).toEqual([1, 2, 3]);
      });

      test('a short backoff ends by itself', async () => {
        const { againInMs } = await a.finish(claim, [again(first, 20)], 1);
        await cluster.timePasses((againInMs ?? 0) + 1);
        expect(tries((await a.take(claim)).jobs)).toEqual([[0, 2, 1]]);
      });

      test('a hold outlives the owner: an inspection leaves the entity until shortly before the end, then claims it', async () => {
        await a.finish(claim, [again(first, LONG_MS)], 1);
        await cluster.expireLeases();
        expect(await b.tryClaim(entity, 1)).toBe('later');
        expect(await b.peek(entity)).toBe('later');
        expect(await b.due('account', 0, 10)).toEqual([]);
        expect(await cluster.dueScore(entity)).toBeDefined();
        await cluster.endHold(entity);
        const taken = claimOf(await b.tryClaim(entity, 2));
        expect([tries(taken.jobs), taken.recovered]).toEqual([[[0, 2, 1]], 0]);
        expect(numbers((await b.finish(taken.claim, [done(taken.jobs[0])], 1)).jobs)).toEqual([1]);
      });

      test('a pod that claims an entity with a hold knows when to ask again', async () => {
        await a.finish(claim, [again(first, SHORT_MS)], 1);
        await cluster.expireLeases();
        const taken = claimOf(await b.tryClaim(entity, 1));
        expect(taken.jobs).toEqual([]);
        expect(taken.againInMs).toBeLessThanOrEqual(SHORT_MS);
        expect(taken.againInMs).toBeGreaterThan(0);
      });

      test.each(['idle', 'hand-over', 'give-way'] as const)(
        'a release (%s) during a hold calls no pod before its time',
        async mode => {
          await b.renew([], serving('account'));
          await a.finish(claim, [again(first, LONG_MS)], 1);
          expect(await a.release(claim, mode)).toBe(true);
          expect(await b.due('account', 0, 10)).toEqual([]);
          expect(await cluster.dueScore(entity)).toBeDefined();
          await cluster.endHold(entity);
          expect(tries(claimOf(await b.tryClaim(entity, 1)).jobs)).toEqual([[0, 2, 1]]);
        },
      );

      test('a worker whose hold ends soon is not released; a hand-over calls another pod', async () => {
        await b.renew([], serving('account'));
        await a.finish(claim, [again(first, SHORT_MS)], 1);
        expect(await a.release(claim, 'idle')).toBe(false);
        expect(await a.release(claim, 'hand-over')).toBe(true);
        expect(await b.wakeUps([])).toEqual([entity]);
      });

      test('a failed attempt whose response was lost is not counted twice; one that was not executed is counted', async () => {
        const settlement = again(first, 0);
        await a.finish(claim, [settlement], 1);
        const resynced = await a.resync(claim, 2, [settlement]);
        expect(tries(resynced.jobs)).toEqual([[0, 2, 1]]);
        const last = await a.resync(resynced.claim, 3, [again(resynced.jobs[0], LONG_MS)]);
        expect(last.jobs).toEqual([]);
        expect(last.againInMs).toBeGreaterThan(LONG_MS - 5000);
        await cluster.endHold(entity);
        expect(tries((await a.take(last.claim)).jobs)).toEqual([[0, 3, 2]]);
      });

      test('a start whose pod died is no attempt', async () => {
        await cluster.expireLeases();
        const taken = claimOf(await b.tryClaim(entity, 1));
        expect(tries(taken.jobs)).toEqual([[0, 2, 0]]);
        expect(tries((await b.finish(taken.claim, [again(taken.jobs[0], 0)], 1)).jobs)).toEqual([[0, 3, 1]]);
      });

      test('race 33: a hold holds its own job, and no other', async () => {
        await a.finish(claim, [again(first, LONG_MS)], 1);
        await cluster.removeJob(entity, first.id);
        const next = await a.take(claim);
        expect(numbers(next.jobs)).toEqual([1]);
        expect(numbers((await a.finish(claim, [done(next.jobs[0])], 1)).jobs)).toEqual([2]);
      });

      test('I3: a stale claim sets no hold', async () => {
        await a.resync(claim, 2, []);
        await expect(a.finish(claim, [again(first, LONG_MS)], 1)).rejects.toBeInstanceOf(StaleClaimError);
        await cluster.expireLeases();
        expect(tries(claimOf(await b.tryClaim(entity, 1)).jobs)).toEqual([[0, 2, 0]]);
      });

      test('the end of an attempt whose job is gone brings the next job', async () => {
        await cluster.removeJob(entity, first.id);
        expect(numbers((await a.finish(claim, [again(first, LONG_MS)], 1)).jobs)).toEqual([1]);
      });
    });

    describe('relaxed order', () => {
      beforeEach(() => start('relaxed'));

      test('A fails once: A B C A run', async () => {
        const order: unknown[] = [];
        let next: FetchedJob | undefined = (await a.finish(claim, [again(first, 0)], 1)).jobs[0];
        while (next) {
          order.push(...tries([next]));
          [next] = (await a.finish(claim, [done(next)], 1)).jobs;
        }
        expect(order).toEqual([
          [1, 1, 0],
          [2, 1, 0],
          [0, 2, 1],
        ]);
      });

      test('a job with a backoff joins the others when it is due', async () => {
        const { jobs } = await a.finish(claim, [again(first, LONG_MS)], 1);
        expect(numbers(jobs)).toEqual([1]);
        const { jobs: more } = await a.finish(claim, [done(jobs[0])], 1);
        expect(numbers(more)).toEqual([2]);
        expect((await a.finish(claim, [done(more[0])], 1)).againInMs).toBeGreaterThan(LONG_MS - 5000);
        await cluster.ripenDelayed(entity);
        expect(tries((await a.take(claim)).jobs)).toEqual([[0, 2, 1]]);
      });
    });
  });
}
