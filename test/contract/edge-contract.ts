/** The part of a store's contract about rare combinations: priorities in flows, lapsed leases, jobs that were skipped, replaced or given back. */

import { planFlow } from '../../src/core/enqueue/flow.js';
import type { EntityRef } from '../../src/core/model/entity.js';
import type { FetchedJob, JobOptions, Settlement } from '../../src/core/model/job.js';
import { type EngineConfig } from '../../src/core/options/config.js';
import { resolveOptions } from '../../src/core/options/resolve.js';
import type { Claimed } from '../../src/core/ports/claims.js';
import type { EntityStore } from '../../src/core/ports/store.js';
import type { Cluster } from '../support/contract-pods.js';
import { claimOf, done, numbers, withdrawal } from '../support/settlements.js';

export function edgeContract(name: string, createCluster: (config: EngineConfig) => Promise<Cluster>): void {
  describe(`the contract of a store, edges: ${name}`, () => {
    const config = resolveOptions({
      entities: {
        account: { onExhausted: 'block' },
        ranked: { ordering: 'relaxed' },
        paced: { rateLimit: { max: 2, durationMs: 60_000 } },
      },
    });
    const entity = (type: string, id = '1'): EntityRef => ({ type, id });
    const [up, low] = [entity('ranked', 'up'), entity('account', 'low')];
    let cluster: Cluster;
    let a: EntityStore;
    let epoch: number;

    beforeEach(async () => {
      epoch = 0;
      cluster = await createCluster(config);
      a = await cluster.pod(config);
    });
    afterEach(() => cluster.close());

    const enter = (of: EntityRef, n: number, options: JobOptions = {}) =>
      a.add(withdrawal(config, of, { n }, options), 'route-only').then(({ jobId }) => jobId);
    const claim = async (of: EntityRef): Promise<Claimed> => claimOf(await a.tryClaim(of, ++epoch));
    const waiting = async (of: EntityRef) =>
      (await a.control.list(of, 'waiting', 0, 9)).map(({ data }) => (data as { n: number }).n);
    /** A parent, job 0 of an entity, and its child, job 1 of another. */
    const flow = (parent: EntityRef, child: EntityRef, options: JobOptions = {}) => {
      const asked = (of: EntityRef, n: number, own: JobOptions) => ({ name: 'withdraw', of, n, options: own });
      const leaf = { job: asked(child, 1, {}), onFailure: 'tellParent' as const, children: () => [] };
      const plan = planFlow({ job: asked(parent, 0, options), children: () => [leaf] }, ({ of, n, options }) =>
        withdrawal(config, of, { n }, options),
      );
      return Promise.all(
        a.addFlow({ id: plan.id, jobs: plan.jobs.map(job => ({ ...job, hint: 'route-only' as const })) }),
      );
    };
    const blocked = (job: FetchedJob | undefined, thrown?: object): Settlement =>
      ({
        job,
        outcome: { kind: 'blocked', reason: 'no money', stack: 'Error', ...(thrown && { thrown }) },
      }) as Settlement;

    describe('a parent with a priority', () => {
      const ranked = async () => {
        await flow(up, low, { priority: 5 });
        await enter(up, 3, { priority: 3 });
        await enter(up, 9, { priority: 9 });
        await enter(up, 2);
      };

      test.each(['ends', 'is removed'])('has its priority when its last child %s', async how => {
        await ranked();
        if (how === 'is removed') {
          await a.control.drop(low);
        } else {
          const { claim: held, jobs } = await claim(low);
          await a.finish(held, [done(jobs[0])], 0);
        }
        expect(await waiting(up)).toEqual([2, 3, 0, 9]);
        await enter(up, 4);
        expect(await waiting(up)).toEqual([2, 4, 3, 0, 9]);
      });
    });

    test('I3: an owner whose lease has passed keeps its claim when a child of the same entity ends and its parent is delayed', async () => {
      await flow(low, low, { delay: 60_000 });
      const { claim: held, jobs } = await claim(low);
      await cluster.expireLeases();
      await a.finish(held, [done(jobs[0])], 1);
      expect(await a.control.status(low)).toMatchObject({ waiting: 0, active: 0, delayed: 1 });
      expect(await cluster.dueScore(low)).toBeDefined();
      expect((await a.take(held)).jobs).toEqual([]);
      expect(await a.release(held, 'idle')).toBe(true);
      expect(await cluster.dueInMs(low)).toBeGreaterThan(50_000);
    });

    test('an owner that stays away after the end of such a child loses its claim, and the entity is due when the parent is', async () => {
      await flow(low, entity('ranked'), { delay: 60_000 });
      await enter(low, 9);
      const own = await claim(low);
      await a.finish(own.claim, [done(own.jobs[0])], 0);
      await cluster.expireLeases();
      const child = await claim(entity('ranked'));
      await a.finish(child.claim, [done(child.jobs[0])], 0);
      const b = await cluster.pod(config);
      expect(await b.due('account', 0, 9)).toEqual([low]);
      expect(await b.tryClaim(low, ++epoch)).toBe('later');
      expect(await cluster.dueInMs(low)).toBeGreaterThan(50_000);
    });

    describe('the reason of a job that blocks its entity', () => {
      const thrown = { name: 'Poor', message: 'no money', code: 'POOR' };

      test('is known when it was skipped, and forgotten when it was retried', async () => {
        await enter(low, 1);
        const { claim: held, jobs } = await claim(low);
        await a.finish(held, [blocked(jobs[0], thrown)], 1);
        await a.control.unblock(low, 'skip');
        const [skipped] = (await a.take(held)).jobs;
        expect(skipped).toMatchObject({ mustFail: 'no money', isSkipped: true, thrown });
        await a.finish(held, [blocked(skipped, thrown)], 1);
        await a.control.unblock(low, 'retry');
        const [again] = (await a.take(held)).jobs;
        expect(again?.mustFail).toBeUndefined();
        expect(again?.thrown).toBeUndefined();
      });

      test('is known when it was postponed behind another job of its batch', async () => {
        await enter(low, 1);
        const { claim: held, jobs } = await claim(low);
        const { job } = done(jobs[0]);
        const outcome = { kind: 'postponed', reason: 'no money', stack: 'Error', thrown } as const;
        expect((await a.finish(held, [{ job, outcome }], 1)).jobs).toMatchObject([{ mustFail: 'no money', thrown }]);
      });
    });

    describe('a deduplication', () => {
      const latest = (more: object = {}): JobOptions => ({
        delay: 60_000,
        deduplication: { id: 'k', ttl: 600_000, replace: true, ...more },
      });

      test('with replace: a delayed job makes way for the next one, a fetched job does not', async () => {
        const first = await enter(low, 1, latest());
        const second = await enter(low, 2, latest());
        expect(second).not.toBe(first);
        expect(await a.control.list(low, 'delayed', 0, 9)).toMatchObject([{ jobId: second, data: { n: 2 } }]);
        await cluster.ripenDelayed(low);
        const { jobs } = await claim(low);
        expect(numbers(jobs)).toEqual([2]);
        expect(await enter(low, 3, latest())).toBe(second);
        expect(await a.control.status(low)).toMatchObject({ waiting: 0, active: 1, delayed: 0 });
      });

      test('without replace: the first job stays', async () => {
        const first = await enter(low, 1, latest({ replace: false }));
        expect(await enter(low, 2, latest({ replace: false }))).toBe(first);
        expect(await a.control.list(low, 'delayed', 0, 9)).toMatchObject([{ data: { n: 1 } }]);
      });
    });

    describe('a limited rate', () => {
      const paced = entity('paced');

      test('does not count a job that was fetched and given back', async () => {
        for (const n of [0, 1, 2, 3]) await enter(paced, n);
        const { claim: held, jobs } = await claim(paced);
        const next = await a.finish(held, [done(jobs[0])], 1);
        expect(numbers(next.jobs)).toEqual([1]);
        await a.giveBack(held, []);
        const again = await a.take(held);
        expect(numbers(again.jobs)).toEqual([1]);
        expect(await a.finish(held, [done(again.jobs[0])], 1)).toMatchObject({ jobs: [], isLimited: true });
      });

      test('counts a job that has started, even if it is retried', async () => {
        for (const n of [0, 1, 2]) await enter(paced, n, { attempts: 3 });
        const { claim: held, jobs } = await claim(paced);
        const outcome = { kind: 'retrying', reason: 'no', stack: 'no', delayMs: 0 } as const;
        const again = await a.finish(held, [{ job: done(jobs[0]).job, outcome }], 1);
        expect(numbers(again.jobs)).toEqual([0]);
        expect(await a.finish(held, [done(again.jobs[0])], 1)).toMatchObject({ jobs: [], isLimited: true });
      });
    });
  });
}
