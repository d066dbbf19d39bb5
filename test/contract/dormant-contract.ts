/**
 * The part of a store's contract about dormant claims: those of idle workers with empty queues, which live
 * while their pod is heard and are seldom renewed. Neighbour: `store-contract.ts`, all other claims.
 */

import type { Claim } from '../../src/core/model/claim.js';
import type { JobOptions } from '../../src/core/model/job.js';
import { StaleClaimError } from '../../src/core/model/job-errors.js';
import { resolveOptions } from '../../src/core/options/resolve.js';
import type { EntityStore } from '../../src/core/ports/store.js';
import { DORMANT_LEASES } from '../../src/core/run/lease.js';
import { type Cluster, type CreateCluster, entity, twoPods } from '../support/contract-pods.js';
import { claimOf, done, numbers, serving, withdrawal } from '../support/settlements.js';

export function dormantContract(name: string, createCluster: CreateCluster): void {
  describe(`the contract of a store, dormant claims: ${name}`, () => {
    const config = resolveOptions({ workerDefaults: { heartbeatTTL: 1 } });
    const LEASE_MS = 1000;
    const idle = { epoch: 1, mayClaim: false, atOnce: 1 };
    const claiming = { ...idle, epoch: 7, mayClaim: true };
    let cluster: Cluster;
    let a: EntityStore;
    let b: EntityStore;
    let claim: Claim;

    const job = (n: number, options: JobOptions = {}) => withdrawal(config, entity, { n }, options);
    const renew = (idle = true) => a.renew([{ claim, idle }], serving('account'));
    /** It becomes dormant, and its pod has no claims in its list any more. */
    const rests = async () => {
      expect(await renew()).toMatchObject({ dormant: [0] });
      await a.renew([], serving('account'));
    };
    const dueInMs = async () => (await cluster.dueInMs(entity)) ?? Number.POSITIVE_INFINITY;

    /** Pod A has worked job 0, and is idle. */
    beforeEach(async () => {
      ({ cluster, a, b } = await twoPods(createCluster, config));
      const claimed = claimOf(await a.add(job(0), { ...idle, mayClaim: true }));
      claim = claimed.claim;
      await a.finish(claim, [done(claimed.jobs[0])], 1);
    });
    afterEach(() => cluster.close());

    test('the claim of an idle worker with an empty queue becomes dormant, and is due late', async () => {
      expect(await renew()).toMatchObject({ lost: [], kicked: [], dormant: [0] });
      expect(await dueInMs()).toBeGreaterThan((DORMANT_LEASES - 1) * LEASE_MS);
      expect(await dueInMs()).toBeLessThanOrEqual(DORMANT_LEASES * LEASE_MS);
    });

    test('a claim does not become dormant if its worker is not idle, or there is a job, even a delayed one', async () => {
      expect(await renew(false)).toMatchObject({ dormant: [] });
      await a.add(job(1), { ...idle, atOnce: 0 });
      expect(await renew()).toMatchObject({ kicked: [0], dormant: [] });
      const { jobs } = await a.take(claim);
      expect(await renew()).toMatchObject({ kicked: [0], dormant: [] });
      await a.finish(claim, [done(jobs[0])], 1);
      await a.add(job(2, { delay: 60_000 }), idle);
      expect(await renew()).toMatchObject({ kicked: [], dormant: [] });
      expect(await dueInMs()).toBeLessThanOrEqual(LEASE_MS);
    });

    test('I1: a dormant claim lasts while its pod is heard, by any renewal', async () => {
      await renew();
      await cluster.timePasses(0.7 * LEASE_MS);
      await a.renew([], serving('account'));
      await cluster.timePasses(0.7 * LEASE_MS);
      expect(await b.tryClaim(entity, 7)).toBe('owned');
      expect((await b.add(job(1), claiming)).route).toBe('remote');
      expect(numbers((await a.take(claim)).jobs)).toEqual([1]);
    });

    test('I3, I4: a dormant claim is free once its pod is not heard for a lease; its pod learns it', async () => {
      await renew();
      await cluster.fallSilent();
      const taken = claimOf(await b.add(job(1), claiming));
      expect(numbers(taken.jobs)).toEqual([1]);
      expect(taken.recovered).toBe(0);
      expect(Number(taken.claim.token)).toBeGreaterThan(Number(claim.token));
      await expect(a.take(claim)).rejects.toThrow(StaleClaimError);
      expect(await renew()).toMatchObject({ lost: [0], dormant: [] });
    });

    test('a dormant claim that no pod took continues when its pod is heard again', async () => {
      await renew();
      await cluster.fallSilent();
      expect(await renew()).toMatchObject({ lost: [], dormant: [0] });
      expect(await b.tryClaim(entity, 7)).toBe('owned');
    });

    test('I7: a fetch and an add of its own pod reactivate a dormant claim: it has a lease, and is due with it', async () => {
      await renew();
      expect(await a.take(claim)).toEqual({ jobs: [], isReactivated: true });
      expect(await dueInMs()).toBeLessThanOrEqual(LEASE_MS);
      await cluster.fallSilent();
      expect(await b.tryClaim(entity, 7)).toBe('owned');
      expect(await a.take(claim)).toEqual({ jobs: [] });
      await renew();
      const entered = await a.add(job(1), idle);
      expect(entered).toMatchObject({ route: 'local', fetched: { isReactivated: true } });
      expect(entered.route === 'local' && numbers(entered.fetched.jobs)).toEqual([1]);
      expect(await dueInMs()).toBeLessThanOrEqual(LEASE_MS);
      await cluster.fallSilent();
      expect(await b.tryClaim(entity, 7)).toBe('owned');
      expect(await a.add(job(2), idle)).not.toHaveProperty('fetched.isReactivated');
    });

    test('I7: an add that fetches nothing reactivates a dormant claim, too', async () => {
      await renew();
      expect(await a.add(job(1), { ...idle, atOnce: 0 })).toMatchObject({ fetched: { jobs: [], isReactivated: true } });
      expect(await dueInMs()).toBeLessThanOrEqual(LEASE_MS);
    });

    test('I7: an add of another pod wakes the owner of a dormant claim, and makes it due within a lease', async () => {
      await renew();
      expect((await b.add(job(1), claiming)).route).toBe('remote');
      expect(await a.wakeUps([])).toEqual([entity]);
      expect(await dueInMs()).toBeLessThanOrEqual(LEASE_MS);
      await cluster.fallSilent();
      expect(numbers(claimOf(await b.tryClaim(entity, 8)).jobs)).toEqual([1]);
    });

    test('I7: an add of another pod shortens a dormant claim whose owner is heard but has no worker, and no later add extends it', async () => {
      await rests();
      await b.add(job(1), claiming);
      await cluster.timePasses(0.6 * LEASE_MS);
      await a.renew([], serving('account'));
      expect(await b.tryClaim(entity, 8)).toBe('owned');
      expect((await b.add(job(2), claiming)).route).toBe('remote');
      await cluster.timePasses(0.6 * LEASE_MS);
      await cluster.heardFor(LEASE_MS);
      expect(await b.due('account', 0, 10)).toEqual([entity]);
      expect(numbers(claimOf(await b.tryClaim(entity, 9)).jobs)).toEqual([1]);
    });

    test('I7: an owner that has heard of the work keeps its claim', async () => {
      await rests();
      await b.add(job(1), claiming);
      await cluster.timePasses(0.6 * LEASE_MS);
      expect(await a.take(claim)).toMatchObject({ isReactivated: true });
      await cluster.timePasses(0.6 * LEASE_MS);
      expect(await b.tryClaim(entity, 9)).toBe('owned');
    });

    test('race 10: a search finds jobs that were added outside the library under a dormant claim, and calls its owner', async () => {
      await renew();
      await cluster.addPast(entity, { n: 1 });
      expect(await b.discover(['account'], 60_000)).toMatchObject({ found: 1 });
      expect(await a.wakeUps([])).toEqual([entity]);
      expect(await dueInMs()).toBeLessThanOrEqual(LEASE_MS);
    });

    test('I7: an add under a claim that its own pod does not know makes the entity due within a lease', async () => {
      await renew();
      expect((await a.add(job(1), 'route-only')).route).toBe('unknown-claim');
      expect(await dueInMs()).toBeLessThanOrEqual(LEASE_MS);
    });

    test('a renewal of a worker that is not idle reactivates its claim; so does one of an idle worker with jobs', async () => {
      await renew();
      expect(await renew(false)).toMatchObject({ lost: [], dormant: [] });
      expect(await dueInMs()).toBeLessThanOrEqual(LEASE_MS);
      await cluster.fallSilent();
      expect(await b.tryClaim(entity, 7)).toBe('owned');
      await renew();
      await cluster.addPast(entity, { n: 1 });
      expect(await renew()).toMatchObject({ kicked: [0], dormant: [] });
      await cluster.fallSilent();
      expect(await b.tryClaim(entity, 8)).toBe('owned');
    });

    test('I1: a new claim is not dormant, nor is one after a resync or a release', async () => {
      await renew();
      await a.resync(claim, 2, []);
      await cluster.fallSilent();
      expect(await b.tryClaim(entity, 7)).toBe('owned');
      claim = { ...claim, epoch: 2 };
      await renew();
      await a.release(claim, 'idle');
      claim = claimOf(await a.add(job(1), { ...idle, epoch: 3, mayClaim: true })).claim;
      await cluster.fallSilent();
      expect(await b.tryClaim(entity, 8)).toBe('owned');
    });

    test('I1: a claim after a takeover is not dormant', async () => {
      await renew();
      await cluster.fallSilent();
      await b.add(job(1), claiming);
      await cluster.fallSilent();
      expect(await a.tryClaim(entity, 9)).toBe('owned');
    });
  });
}
