/** The part of a store's contract about retention: how many ended jobs are kept, and for how long. */

import type { Claim } from '../../src/core/model/claim.js';
import type { FetchedJob, JobOptions } from '../../src/core/model/job.js';
import { resolveOptions } from '../../src/core/options/resolve.js';
import type { EntityStore } from '../../src/core/ports/store.js';
import { type Cluster, type CreateCluster, entity } from '../support/contract-pods.js';
import { claimOf, done, withdrawal } from '../support/settlements.js';

export function retentionContract(name: string, createCluster: CreateCluster): void {
  describe(`the contract of a store, retention: ${name}`, () => {
    const config = resolveOptions({});
    let cluster: Cluster;
    let a: EntityStore;
    let claim: Claim | undefined;
    let n: number;

    beforeEach(async () => {
      cluster = await createCluster(config);
      a = await cluster.pod(config);
      claim = undefined;
      n = 0;
    });
    afterEach(() => cluster.close());

    /** A job runs to its end. */
    const run = async (outcome: 'completed' | 'failed', options: JobOptions) => {
      const hint = { epoch: 1, mayClaim: claim === undefined, atOnce: 1 };
      const entered = await a.add(withdrawal(config, entity, { n: ++n }, options), hint);
      let [fetched]: readonly FetchedJob[] = [];
      if (entered.route === 'local') [fetched] = entered.fetched.jobs;
      else {
        const claimed = claimOf(entered);
        claim = claimed.claim;
        [fetched] = claimed.jobs;
      }
      await a.finish(claim as Claim, [done(fetched, outcome)], 0);
    };
    const kept = async (state: 'completed' | 'failed') =>
      (await a.control.list(entity, state, 0, 99)).map(({ data }) => (data as { n: number }).n);
    const release = () => a.release(claim as Claim, 'idle');

    test('I8: by default a completed job leaves at once, and so do all keys of its entity', async () => {
      await run('completed', {});
      expect(await kept('completed')).toEqual([]);
      expect(await release()).toBe(true);
      expect(await cluster.dueScore(entity)).toBeUndefined();
    });

    test.each(['completed', 'failed'] as const)('as many %s jobs are kept as their options say', async outcome => {
      const option = outcome === 'failed' ? 'removeOnFail' : 'removeOnComplete';
      for (let i = 0; i < 4; i++) await run(outcome, { [option]: { count: 2 } });
      expect(await kept(outcome)).toEqual([4, 3]);
      await run(outcome, { [option]: false });
      expect(await kept(outcome)).toEqual([5, 4, 3]);
      await run(outcome, { [option]: true });
      expect(await kept(outcome)).toEqual([5, 4, 3]);
      await run(outcome, { [option]: 1 });
      expect(await kept(outcome)).toEqual([7]);
    });

    test('jobs are kept for as long as their options say, when the next one ends', async () => {
      const options = { removeOnFail: { age: 1 } };
      for (let i = 0; i < 2; i++) await run('failed', options);
      await cluster.timePasses(1100);
      await run('failed', options);
      expect(await kept('failed')).toEqual([3]);
    });

    test('I8: age is enforced even after the entity goes idle; it is due when the oldest job is old enough', async () => {
      await run('failed', { removeOnFail: { age: 1 } });
      await run('completed', { removeOnComplete: { age: 5 } });
      expect(await release()).toBe(true);
      expect(await cluster.dueInMs(entity)).toBeLessThanOrEqual(1000);
      expect(await cluster.dueInMs(entity)).toBeGreaterThan(0);
      await cluster.timePasses(1100);
      expect(await a.tryClaim(entity, 2)).toBe('later');
      expect([await kept('failed'), await kept('completed')]).toEqual([[], [2]]);
      expect(await cluster.dueInMs(entity)).toBeGreaterThan(2000);
    });

    test('I5: an idempotency key outlives a job that was kept for a shorter time', async () => {
      const key = { deduplication: { id: 'k', ttl: 60_000 } };
      await run('completed', { removeOnComplete: { age: 1 }, ...key });
      expect(await kept('completed')).toEqual([1]);
      expect(await release()).toBe(true);
      await cluster.timePasses(1100);
      expect(await a.tryClaim(entity, 2)).toBe('later');
      expect(await kept('completed')).toEqual([]);
      await a.add(withdrawal(config, entity, { n: 2 }, key), 'route-only');
      expect((await a.control.status(entity)).waiting).toBe(0);
    });

    test('I8: with the last kept job all keys of the entity go', async () => {
      await run('failed', { removeOnFail: { age: 1, count: 5 } });
      await release();
      await cluster.timePasses(1100);
      expect(await a.tryClaim(entity, 2)).toBe('later');
      expect(await kept('failed')).toEqual([]);
      expect(await cluster.dueScore(entity)).toBeUndefined();
      expect(await cluster.keysOf(entity)).toEqual([]);
    });

    /** Inspects the entity as often as it is due at once; returns in how many ms it is due then. */
    const lookUntilDone = async (): Promise<number | undefined> => {
      for (let epoch = 100; epoch < 150; epoch++) {
        expect(await a.tryClaim(entity, epoch)).toBe('later');
        const dueInMs = await cluster.dueInMs(entity);
        if (dueInMs === undefined || dueInMs > 100) return dueInMs;
      }
      throw new Error('it is due without an end');
    };

    test('I8: a job that is kept without an end does not keep jobs that ended after it', async () => {
      await run('failed', { removeOnFail: false });
      await run('failed', { removeOnFail: { age: 30 } });
      await run('failed', { removeOnFail: { age: 1 } });
      expect(await release()).toBe(true);
      expect(await cluster.dueInMs(entity)).toBeLessThanOrEqual(1000);
      await cluster.timePasses(1100);
      expect(await lookUntilDone()).toBeGreaterThan(20_000);
      expect(await kept('failed')).toEqual([2, 1]);
    });

    test('I11: hundreds of jobs that are kept without an end do not keep later ones, and are checked once', async () => {
      for (let i = 0; i < 250; i++) await run('completed', { removeOnComplete: false });
      await run('completed', { removeOnComplete: { age: 1 } });
      expect(await release()).toBe(true);
      expect(await lookUntilDone()).toBeLessThanOrEqual(1000);
      await cluster.timePasses(1100);
      expect(await lookUntilDone()).toBeUndefined();
      expect((await a.control.status(entity)).waiting).toBe(0);
      expect((await a.control.list(entity, 'completed', 0, 1)).map(({ data }) => data)).toEqual([{ n: 250 }]);
      claim = undefined;
      await run('completed', { removeOnComplete: { age: 1 } });
      expect(await release()).toBe(true);
      expect(await cluster.dueInMs(entity)).toBeGreaterThan(100);
    });

    test('I11: if far more jobs are kept than the option allows, each end removes a part of them', async () => {
      for (let i = 0; i < 500; i++) await run('completed', { removeOnComplete: false });
      await run('completed', { removeOnComplete: 3 });
      for (let i = 0; i < 2; i++) await run('completed', { removeOnComplete: 3 });
      expect(await kept('completed')).toEqual([503, 502, 501]);
    });

    test('jobs that are kept without an end cause no inspection, and new work finds them', async () => {
      await run('failed', { removeOnFail: false, jobId: 'one' });
      await release();
      expect(await cluster.dueScore(entity)).toBeUndefined();
      expect((await a.add(withdrawal(config, entity, { n: 9 }, { jobId: 'one' }), 'route-only')).jobId).toBe('one');
      expect(await kept('failed')).toEqual([1]);
    });
  });
}
