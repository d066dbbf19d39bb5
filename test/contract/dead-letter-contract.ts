/** The part of a store's contract about dead letters: jobs that have used up their attempts and are kept for an operator. */

import type { Claim } from '../../src/core/model/claim.js';
import type { FetchedJob, JobOptions, Settlement } from '../../src/core/model/job.js';
import { StaleClaimError } from '../../src/core/model/job-errors.js';
import { resolveOptions } from '../../src/core/options/resolve.js';
import type { EntityStore } from '../../src/core/ports/store.js';
import { type Cluster, type CreateCluster, entity, ownedBy, twoPods } from '../support/contract-pods.js';
import { claimOf, done, numbers, withdrawal } from '../support/settlements.js';

export function deadLetterContract(name: string, createCluster: CreateCluster): void {
  describe(`the contract of a store, dead letters: ${name}`, () => {
    const config = resolveOptions({ entities: { account: { onExhausted: 'deadLetter' } } });
    let cluster: Cluster;
    let a: EntityStore;
    let b: EntityStore;
    let claim: Claim;
    let first: FetchedJob;

    const job = (n: number, options: JobOptions = {}) => withdrawal(config, entity, { n }, options);
    const dead = (fetched: FetchedJob | undefined): Settlement => ({
      job: done(fetched).job,
      outcome: { kind: 'dead', reason: 'because', stack: 'Error: because' },
    });
    const letters = (type = 'account') => b.deadLetters.list(type, 0, 9);
    const letterIds = async () => (await letters()).map(({ letterId }) => letterId);

    beforeEach(async () => {
      ({ cluster, a, b } = await twoPods(createCluster, config));
      const options = { jobId: 'first', attempts: 3, deduplication: { id: 'k', ttl: 60_000 } };
      ({ claim, first } = await ownedBy(a, n => job(n, n === 0 ? options : {}), 3));
    });
    afterEach(() => cluster.close());

    test('the end of a job makes it a dead letter, and its response brings the next job', async () => {
      expect(numbers((await a.finish(claim, [dead(first)], 2)).jobs)).toEqual([1, 2]);
      const [letter, ...others] = await letters();
      expect(others).toEqual([]);
      expect(letter).toMatchObject({
        entityId: entity.id,
        jobId: 'first',
        name: 'withdraw',
        data: { n: 0 },
        attemptsMade: 1,
        failedReason: 'because',
        stacks: ['Error: because'],
      });
      expect(letter?.diedAtMs).toBeGreaterThanOrEqual(letter?.enqueuedAtMs ?? Infinity);
      expect(await b.control.status(entity)).toMatchObject({ failed: 0, active: 2 });
      expect(await letters('order')).toEqual([]);
    });

    test('I5: an end whose response was lost makes one dead letter, a stale one makes none', async () => {
      await a.finish(claim, [dead(first)], 0);
      const resynced = await a.resync(claim, 2, [dead(first)]);
      expect(await letters()).toHaveLength(1);
      expect(numbers(resynced.jobs)).toEqual([1]);
      await expect(a.finish(claim, [dead(resynced.jobs[0])], 0)).rejects.toThrow(StaleClaimError);
      expect(await letters()).toHaveLength(1);
      await a.resync(resynced.claim, 3, [dead(resynced.jobs[0])]);
      expect((await letters()).map(({ data }) => data)).toEqual([{ n: 0 }, { n: 1 }]);
    });

    test('I6: replayed jobs join the queue in the order of their letters, with all their attempts', async () => {
      const { jobs } = await a.finish(claim, [dead(first)], 2);
      await a.finish(claim, [dead(jobs[0])], 0);
      await a.add(job(3), { epoch: 1, mayClaim: false, atOnce: 1 });
      for (const letterId of await letterIds()) expect(await b.deadLetters.replay('account', letterId)).toBeDefined();
      expect(await letters()).toEqual([]);
      const next = await a.finish(claim, [done(jobs[1])], 3);
      expect(numbers(next.jobs)).toEqual([3, 0, 1]);
      expect(next.jobs[1]).toMatchObject({ name: 'withdraw', attempt: 1, attemptsMade: 0, options: { attempts: 3 } });
      expect(next.jobs[1]?.id).not.toBe('first');
    });

    test('I7: a replay wakes the owner, or calls a pod', async () => {
      const { jobs } = await a.finish(claim, [dead(first)], 2);
      await a.finish(claim, [dead(jobs[0])], 0);
      await a.finish(claim, [done(jobs[1])], 0);
      const [one = '', two = ''] = await letterIds();
      await b.deadLetters.replay('account', one);
      expect(await a.wakeUps([])).toEqual([entity]);
      const taken = await a.take(claim);
      await a.finish(claim, [done(taken.jobs[0])], 0);
      expect(await a.release(claim, 'idle')).toBe(true);
      await a.deadLetters.replay('account', two);
      expect(await b.due('account', 0, 9)).toEqual([entity]);
      expect(numbers(claimOf(await b.tryClaim(entity, 5)).jobs)).toEqual([1]);
    });

    test('a dead letter has the history of the earlier attempts, too', async () => {
      const outcome = { kind: 'retrying', reason: 'first', stack: 'Error: first', delayMs: 0 } as const;
      const { jobs } = await a.finish(claim, [{ job: first, outcome }], 1);
      await a.finish(claim, [dead(jobs[0])], 0);
      expect(await letters()).toMatchObject([{ attemptsMade: 2, stacks: ['Error: first', 'Error: because'] }]);
    });

    test('an id that is no dead letter can neither be removed nor replayed', async () => {
      const { jobs } = await a.finish(claim, [dead(first)], 1);
      await a.finish(claim, [dead(jobs[0])], 0);
      for (const id of ['failed', 'id', '', '0', 'first']) {
        expect(await b.deadLetters.remove('account', id)).toBe(false);
        expect(await b.deadLetters.replay('account', id)).toBeUndefined();
      }
      expect(await letters()).toHaveLength(2);
    });

    test('a dead letter can be replayed or removed once', async () => {
      const { jobs } = await a.finish(claim, [dead(first)], 1);
      await a.finish(claim, [dead(jobs[0])], 0);
      const [one = '', two = ''] = await letterIds();
      expect(await b.deadLetters.replay('account', one)).toBeDefined();
      expect(await b.deadLetters.replay('account', one)).toBeUndefined();
      expect(await b.deadLetters.remove('account', two)).toBe(true);
      expect(await b.deadLetters.remove('account', two)).toBe(false);
      expect(await b.deadLetters.replay('account', two)).toBeUndefined();
      expect(await b.control.status(entity)).toMatchObject({ waiting: 2 });
    });
  });
}
