/**
 * The part of a store's contract about silence. A silence of all pods is no fault of an owner: no claim lapses for a lease
 * after it. A pod that was silent while others were heard loses its claims, and when it is heard again, no job is suspected of
 * having killed it. Neighbour: `dormant-contract.ts`, dormant claims.
 */

import type { Claim } from '../../src/core/model/claim.js';
import { StaleClaimError } from '../../src/core/model/job-errors.js';
import { resolveOptions } from '../../src/core/options/resolve.js';
import type { Claimed, Passed } from '../../src/core/ports/claims.js';
import type { EntityStore } from '../../src/core/ports/store.js';
import { type Cluster, type CreateCluster, entity, twoPods } from '../support/contract-pods.js';
import { claimOf, done, numbers, serving, withdrawal } from '../support/settlements.js';

export function silenceContract(name: string, createCluster: CreateCluster): void {
  describe(`the contract of a store, silence: ${name}`, () => {
    const config = resolveOptions({ entities: { account: { workerConfig: { maxStalledCount: 1 } } } });
    const LEASE_MS = config.leaseMs;
    const claiming = { epoch: 7, mayClaim: true, atOnce: 1 };
    let cluster: Cluster;
    let a: EntityStore;
    let b: EntityStore;
    let claim: Claim;
    let epoch = 10;

    const job = (n: number) => withdrawal(config, entity, { n });
    const beat = (pod: EntityStore) => pod.renew([], serving('account'));
    const lookOf = (pod: EntityStore) => pod.tryClaim(entity, ++epoch);

    /** Pod A runs job 0, the only one that is fetched. */
    beforeEach(async () => {
      ({ cluster, a, b } = await twoPods(createCluster, config));
      ({ claim } = claimOf(await a.add(job(0), { epoch: 1, mayClaim: true, atOnce: 1 })));
    });
    afterEach(() => cluster.close());

    describe('a silence of all pods', () => {
      beforeEach(async () => {
        await cluster.expireLeases();
        await cluster.allFallSilent();
      });

      test('I1: lets no claim lapse while it lasts: not for an inspection, an enqueue or a peek', async () => {
        expect(await lookOf(b)).toBe('owned');
        expect(await b.peek(entity)).toBe('owned');
        expect((await b.add(job(1), claiming)).route).toBe('remote');
      });

      test('I7: makes the entity due again when the grace ends, a lease from now at the latest', async () => {
        await lookOf(b);
        expect(await cluster.dueInMs(entity)).toBeLessThanOrEqual(LEASE_MS);
        await beat(b);
        await lookOf(b);
        expect(await cluster.dueInMs(entity)).toBeLessThanOrEqual(LEASE_MS);
        expect(await lookOf(b)).toBe('owned');
      });

      test('I7: ends with a grace of a lease after the first pod was heard again, for renewals of any pod', async () => {
        await cluster.heardFor(0.5 * LEASE_MS);
        await beat(b);
        expect(await cluster.heardForMs()).toBeGreaterThanOrEqual(0.5 * LEASE_MS);
        await cluster.heardFor(LEASE_MS);
        expect(numbers(claimOf(await lookOf(b)).jobs)).toEqual([0]);
      });

      test('I7: makes a resumed entity due again that was not due while it was paused', async () => {
        await cluster.heardFor(LEASE_MS);
        await b.control.pause(entity, true);
        expect(await lookOf(b)).toBe('paused');
        expect(await cluster.dueScore(entity)).toBeUndefined();
        await cluster.allFallSilent();
        await b.control.pause(entity, false);
        expect(await cluster.dueInMs(entity)).toBeLessThanOrEqual(LEASE_MS);
      });

      test('leaves its claim to an owner that is heard within the grace, and no job has stalled', async () => {
        expect(await a.renew([{ claim, idle: false }], serving('account'))).toMatchObject({ lost: [] });
        await cluster.heardFor(LEASE_MS);
        expect(await lookOf(b)).toBe('owned');
        await expect(a.take(claim)).resolves.toMatchObject({ jobs: [] });
      });

      test('lets a pod take up its own claim again at any time', async () => {
        expect(numbers(claimOf(await lookOf(a)).jobs)).toEqual([0]);
      });

      test('is also a step back of the clock, which ends like any other silence (I7, race 20)', async () => {
        await cluster.heardFor(-10 * LEASE_MS);
        expect(await lookOf(b)).toBe('owned');
        expect(await cluster.dueInMs(entity)).toBeLessThanOrEqual(LEASE_MS);
        await beat(b);
        // The grace began before the renewal: it ends a lease later, however far the clock stepped.
        expect(await cluster.heardForMs()).toBeGreaterThanOrEqual(0);
        let found: Claimed | Passed;
        do {
          await beat(b);
          await cluster.timePasses(LEASE_MS / 10);
          found = await lookOf(b);
        } while (typeof found === 'string');
        expect(numbers(found.jobs)).toEqual([0]);
      }, 60_000);
    });

    test('lets no dormant claim lapse; work makes the entity due within a lease', async () => {
      const adopted = claimOf(await lookOf(a));
      await a.finish(adopted.claim, [done(adopted.jobs[0])], 1);
      expect(await a.renew([{ claim: adopted.claim, idle: true }], serving('account'))).toMatchObject({ dormant: [0] });
      await cluster.fallSilent();
      await cluster.allFallSilent();
      expect((await b.add(job(1), claiming)).route).toBe('remote');
      expect(await lookOf(b)).toBe('owned');
      expect(await cluster.dueInMs(entity)).toBeLessThanOrEqual(LEASE_MS);
      await cluster.heardFor(LEASE_MS);
      expect(numbers(claimOf(await lookOf(b)).jobs)).toEqual([1]);
    });

    describe('a silence of one pod while others are heard', () => {
      /** Takes the entity over from a pod that has fallen silent. */
      const takeOver = async (by: EntityStore) => {
        await cluster.expireLeases();
        const taken = claimOf(await lookOf(by));
        expect(taken.recovered).toBe(1);
        return taken;
      };

      test('race 7: makes its job count as stalled, which fails above the limit', async () => {
        await takeOver(b);
        await expect(takeOver(await cluster.pod(config))).resolves.toMatchObject({
          jobs: [{ mustFail: expect.stringMatching(/stalled more than allowable/) }],
        });
      });

      test('is over for a pod that renews the claim after it has lost it: its job did not kill it, and has not stalled', async () => {
        await takeOver(b);
        await expect(a.take(claim)).rejects.toBeInstanceOf(StaleClaimError);
        expect(await a.renew([{ claim, idle: false }], serving('account'))).toMatchObject({ lost: [0] });
        const again = await takeOver(await cluster.pod(config));
        expect(again.jobs[0]).toMatchObject({ data: { n: 0 }, mustFail: undefined });
      });

      test('leaves the job stalled if the pod only calls under the claim: the job may have blocked it', async () => {
        await takeOver(b);
        await expect(a.take(claim)).rejects.toBeInstanceOf(StaleClaimError);
        await expect(a.resync(claim, 1000, [])).rejects.toBeInstanceOf(StaleClaimError);
        expect((await takeOver(await cluster.pod(config))).jobs[0]?.mustFail).toMatch(/stalled more than allowable/);
      });

      test('is cleared by the pod itself only: a job that may have killed others has stalled', async () => {
        await takeOver(b);
        const c = await cluster.pod(config);
        await c.renew([{ claim, idle: false }], serving('account'));
        const again = await takeOver(c);
        expect(again.jobs[0]?.mustFail).toMatch(/stalled more than allowable/);
      });

      test('lets a job run that was to fail for it, if a pod is heard before its run has begun', async () => {
        await takeOver(b);
        const c = await cluster.pod(config);
        const again = await takeOver(c);
        expect(again.jobs[0]?.mustFail).toMatch(/stalled more than allowable/);
        await c.release(again.claim, 'hand-over');
        await a.renew([{ claim, idle: false }], serving('account'));
        expect(claimOf(await lookOf(c)).jobs[0]).toMatchObject({ data: { n: 0 }, mustFail: undefined });
      });

      test('is cleared once by a pod that is heard twice', async () => {
        await takeOver(b);
        for (let times = 0; times < 3; times++) await a.renew([{ claim, idle: false }], serving('account'));
        await takeOver(await cluster.pod(config));
        const last = await takeOver(await cluster.pod(config));
        expect(last.jobs[0]?.mustFail).toMatch(/stalled more than allowable/);
      });
    });
  });
}
