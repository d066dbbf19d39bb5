/**
 * The part of a store's contract about sizes (I11): large jobs are fetched in parts, stored failures are bounded,
 * and a resync ends any number of jobs.
 * Neighbours: `batch-contract.ts` and `dead-letter-contract.ts`, the same with small jobs.
 */

import type { Claim } from '../../src/core/model/claim.js';
import { MAX_STACKS_LENGTH } from '../../src/core/model/error-text.js';
import type { FetchedJob, Settlement } from '../../src/core/model/job.js';
import { resolveOptions } from '../../src/core/options/resolve.js';
import type { EntityStore } from '../../src/core/ports/store.js';
import { type Cluster, type CreateCluster, entity, ownedBy } from '../support/contract-pods.js';
import { claimOf, done, numbers, withdrawal } from '../support/settlements.js';

export function sizeContract(name: string, createCluster: CreateCluster): void {
  describe(`the contract of a store, sizes: ${name}`, () => {
    const config = resolveOptions({ entities: { account: { onExhausted: 'deadLetter', maxResultBytes: 8_000_000 } } });
    let cluster: Cluster;
    let a: EntityStore;
    let claim: Claim;
    let first: FetchedJob;

    const start = async (count: number, bytes: number) => {
      const text = '€"'.repeat(bytes / 4);
      const job = (n: number) => withdrawal(config, entity, { n, text }, { attempts: 30 });
      ({ claim, first } = await ownedBy(a, job, count));
    };
    beforeEach(async () => {
      cluster = await createCluster(config);
      a = await cluster.pod(config);
    });
    afterEach(() => cluster.close());

    test('a fetch of large jobs ends early and says that there may be more; the next fetch continues there', async () => {
      await start(12, 300_000);
      const one = await a.take(claim, 11);
      expect(one.isPartial).toBe(true);
      expect(one.jobs.length).toBeLessThan(5);
      const jobs = [...one.jobs];
      while (jobs.length < 11) jobs.push(...(await a.take(claim, 11 - jobs.length)).jobs);
      expect(numbers(jobs)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
      expect((await a.take(claim, 5)).isPartial).toBeUndefined();
    });

    test('a fetch brings at least one job of any size, and a fetch of one job brings the whole job', async () => {
      await start(3, 2_000_000);
      const one = await a.take(claim, 2);
      expect([numbers(one.jobs), one.isPartial]).toEqual([[1], true]);
      const two = await a.take(claim, 1);
      expect([numbers(two.jobs), two.isPartial]).toEqual([[2], undefined]);
    });

    test('the stacks of all attempts of a job are bounded together, and the latest are kept', async () => {
      await start(1, 4);
      let job = first;
      for (let attempt = 1; attempt <= 12; attempt++) {
        const stack = `${attempt} ${'s'.repeat(9000)}`;
        const next = await a.finish(claim, [{ job, outcome: { kind: 'retrying', reason: 'r', stack, delayMs: 0 } }], 1);
        job = done(next.jobs[0]).job;
      }
      await a.finish(claim, [{ job, outcome: { kind: 'dead', reason: 'r', stack: 'the last' } }], 0);
      const [letter] = await a.deadLetters.list('account', 0, 1);
      expect(letter?.stacks.join('').length).toBeLessThanOrEqual(MAX_STACKS_LENGTH);
      expect(letter?.stacks.map(stack => stack.split(' ')[0])).toEqual(['10', '11', '12', 'the']);
    });

    test('race 28: a resync ends any number of ended jobs in their order, and a batch in one step', async () => {
      await start(12, 4);
      const jobs = [first, ...(await a.take(claim, 10)).jobs];
      const value = JSON.stringify('r'.repeat(1_500_000));
      const settled = jobs
        .slice(0, 10)
        .map((job, n): Settlement => ({ job, batch: n < 5 ? 1 : 2, outcome: { kind: 'completed', value } }));
      const back: Settlement = {
        job: done(jobs[10]).job,
        outcome: { kind: 'retrying', reason: 'because', stack: 'Error: because', delayMs: 0 },
      };
      const { claim: anew, jobs: next } = await a.resync(claim, 2, [...settled, back]);
      expect(numbers(next)).toEqual([10]);
      expect(next[0]).toMatchObject({ attempt: 2, attemptsMade: 1 });
      expect(numbers((await a.finish(anew, [done(next[0])], 1)).jobs)).toEqual([11]);
      expect(await a.control.status(entity)).toMatchObject({ waiting: 0, active: 1, failed: 0 });
    });

    test('I3: a large resync is refused, and ends nothing, when another pod owns the entity', async () => {
      await start(12, 4);
      const jobs = [first, ...(await a.take(claim, 9)).jobs];
      const value = JSON.stringify('r'.repeat(1_500_000));
      const b = await cluster.pod(config);
      await cluster.expireLeases();
      await cluster.fallSilent();
      claimOf(await b.tryClaim(entity, 1));
      const settled = jobs.map((job): Settlement => ({ job, outcome: { kind: 'completed', value } }));
      await expect(a.resync(claim, 2, settled)).rejects.toMatchObject({ code: 'STALE_CLAIM' });
      const { waiting, active } = await b.control.status(entity);
      expect(waiting + active).toBe(12);
    });
  });
}
