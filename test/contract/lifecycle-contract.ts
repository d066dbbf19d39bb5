/**
 * The part of a store's contract about pods: several handlers at once, names that a pod does not know, requests
 * for workers, the load of pods, and jobs that were added outside the library. Neighbour: `store-contract.ts`, jobs and claims.
 */
import type { EntityRef } from '../../src/core/model/entity.js';
import type { FetchedJob } from '../../src/core/model/job.js';
import { StaleClaimError } from '../../src/core/model/job-errors.js';
import { type EngineConfig } from '../../src/core/options/config.js';
import { resolveOptions } from '../../src/core/options/resolve.js';
import type { EntityStore } from '../../src/core/ports/store.js';
import { type Cluster, entity } from '../support/contract-pods.js';
import { claimOf, done, numbers, serving, withdrawal } from '../support/settlements.js';

export function lifecycleContract(name: string, createCluster: () => Promise<Cluster>): void {
  describe(`the contract of a store, pods: ${name}`, () => {
    const other: EntityRef = { type: 'order', id: '1' };
    let cluster: Cluster;
    let a: EntityStore;
    let b: EntityStore;

    const job = (n: number, of = entity) => withdrawal(resolveOptions({}), of, { n });
    const start = async (config: EngineConfig = resolveOptions({})) => {
      a = await cluster.pod(config);
      b = await cluster.pod(config);
    };

    beforeEach(async () => {
      cluster = await createCluster();
    });
    afterEach(() => cluster.close());

    describe('several handlers at once', () => {
      beforeEach(() => start(resolveOptions({ entities: { account: { maxWorkersPerEntity: 2 } } })));

      test('an add brings the owner its job while a handler is free, and calls an owner on another pod', async () => {
        const { claim } = claimOf(await a.add(job(0), { epoch: 1, mayClaim: true, atOnce: 2 }));
        const second = await a.add(job(1), { epoch: 1, mayClaim: false, atOnce: 2 });
        expect(second.route === 'local' && numbers(second.fetched.jobs)).toEqual([1]);
        const third = await a.add(job(2), { epoch: 1, mayClaim: false, atOnce: 2 });
        expect(third.route === 'local' && third.fetched.jobs).toEqual([]);
        await b.add(job(3), 'route-only');
        await a.finish(claim, [done(second.route === 'local' ? second.fetched.jobs[0] : undefined)], 0);
        await b.add(job(4), 'route-only');
        expect(await a.wakeUps([])).toEqual([entity]);
      });

      test('ends count in any order', async () => {
        const { claim, jobs } = claimOf(await a.add(job(0), { epoch: 1, mayClaim: true, atOnce: 2 }));
        const second = await a.add(job(1), { epoch: 1, mayClaim: false, atOnce: 2 });
        await a.finish(claim, [done(second.route === 'local' ? second.fetched.jobs[0] : undefined)], 0);
        await a.finish(claim, [done(jobs[0])], 0);
        expect(await a.release(claim, 'idle')).toBe(true);
      });
    });

    describe('names that a pod does not know (races 13, 32)', () => {
      beforeEach(() => start());

      test('defer gives all jobs back in order and releases the claim; the entity is due, and no attempt is counted', async () => {
        const { claim, jobs } = claimOf(await a.add(job(0), { epoch: 1, mayClaim: true, atOnce: 2 }));
        await a.add(job(1), { epoch: 1, mayClaim: false, atOnce: 2 });
        const [first] = jobs;
        if (!first) throw new Error('no job was fetched');
        await a.take(claim);
        expect(await a.defer(claim, first, 60_000)).toBe(true);
        expect(await b.due('account', 0, 10)).toEqual([entity]);
        const taken = claimOf(await b.tryClaim(entity, 1));
        expect(taken.recovered).toBe(0);
        expect(taken.jobs[0]).toMatchObject({ data: { n: 0 }, attempt: 1 });
        expect(numbers((await b.take(taken.claim)).jobs)).toEqual([1]);
      });

      test('I3: a stale claim defers nothing', async () => {
        const { claim, jobs } = claimOf(await a.add(job(0), { epoch: 1, mayClaim: true, atOnce: 2 }));
        await cluster.expireLeases();
        await b.tryClaim(entity, 1);
        await expect(a.defer(claim, jobs[0] as FetchedJob, 60_000)).rejects.toBeInstanceOf(StaleClaimError);
      });

      test('defer is refused without a grace period, for a job that is gone, and after the grace period', async () => {
        const { claim, jobs } = claimOf(await a.add(job(0), { epoch: 1, mayClaim: true, atOnce: 2 }));
        const [first] = jobs;
        if (!first) throw new Error('no job was fetched');
        expect(await a.defer(claim, first, 0)).toBe(false);
        expect(await a.defer(claim, { ...first, id: 'gone' }, 60_000)).toBe(false);
        expect(await a.defer(claim, first, 60_000)).toBe(true);
        const again = claimOf(await a.tryClaim(entity, 2));
        await cluster.timePasses(5);
        expect(await a.defer(again.claim, again.jobs[0] as FetchedJob, 1)).toBe(false);
        // Tried again later, it has its time again.
        expect(await a.defer(again.claim, again.jobs[0] as FetchedJob, 60_000)).toBe(true);
        const last = claimOf(await a.tryClaim(entity, 3));
        expect((await a.finish(last.claim, [done(last.jobs[0], 'failed')], 1)).jobs).toEqual([]);
      });
    });

    describe('requests for a worker', () => {
      beforeEach(() => start());

      test('the first pod with capacity gets the request, once, and only for its types', async () => {
        expect((await a.add(job(0), 'route-only')).route).toBe('unowned');
        expect((await a.add(job(1, other), 'route-only')).route).toBe('unowned');
        expect((await a.add(job(2), 'route-only')).route).toBe('unowned');
        expect(await b.wakeUps(['account'])).toEqual([entity]);
        expect(await b.wakeUps(['account', 'order'])).toEqual([other]);
      });

      test('a pod that waits gets the request at once', async () => {
        const waiting = b.wakeUps(['account']);
        await a.requestWorker(entity);
        expect(await waiting).toEqual([entity]);
      });

      test('a hand-over requests a worker, too', async () => {
        const { claim } = claimOf(await a.add(job(0), { epoch: 1, mayClaim: true, atOnce: 2 }));
        expect(await a.release(claim, 'hand-over')).toBe(true);
        expect(await b.wakeUps(['account'])).toEqual([entity]);
      });
    });

    test('a renewal tells how many pods take more of a type, and how many entities they work', async () => {
      // However long the calls take, the first pod counts as heard.
      await start(resolveOptions({ workerDefaults: { heartbeatTTL: 60 } }));
      await a.renew([], { ...serving('account', 'order'), workers: 10 });
      const { loads } = await b.renew([], { ...serving('order', 'account', 'none'), workers: 4 });
      expect(loads).toEqual([
        { pods: 2, workers: 14 },
        { pods: 2, workers: 14 },
        { pods: 1, workers: 4 },
      ]);
    });

    test('a peek says whether there is something to claim, and claims nothing', async () => {
      await start();
      expect(await a.peek(entity)).toBe('later');
      await b.add(job(0), 'route-only');
      expect(await a.peek(entity)).toBe('waiting');
      expect(await a.due('account', 0, 10)).toEqual([entity]);
      await cluster.pause(entity, true);
      expect(await a.peek(entity)).toBe('paused');
      expect(await a.due('account', 0, 10)).toEqual([]);
      await cluster.pause(entity, false);
      const { claim } = claimOf(await b.tryClaim(entity, 1));
      expect(await a.peek(entity)).toBe('owned');
      // The caller does not know of its own claim (race 26).
      expect(await b.peek(entity)).toBe('waiting');
      await cluster.pause(entity, true);
      expect(await b.peek(entity)).toBe('later');
      await cluster.pause(entity, false);
      expect((await b.take(claim)).jobs).toEqual([]);
    });

    test('giving way requests no worker: entities that wait longer come first', async () => {
      await start();
      const { claim } = claimOf(await a.add(job(0), { epoch: 1, mayClaim: true, atOnce: 1 }));
      expect(await a.release(claim, 'give-way')).toBe(true);
      expect(await b.due('account', 0, 10)).toEqual([entity]);
      await a.requestWorker(other);
      expect(await b.wakeUps(['account', 'order'])).toEqual([other]);
    });

    test('a pod that takes no more entities is not called any more', async () => {
      await start();
      await b.renew([], serving('account'));
      await b.renew([], { ...serving('account'), takesMore: false });
      await a.add(job(0), 'route-only');
      // Had b been called, there would be no request.
      expect(await a.wakeUps(['account'])).toEqual([entity]);
      expect(await b.due('account', 0, 10)).toEqual([entity]);
    });

    test('backlogs count waiting and running jobs', async () => {
      await start();
      await a.add(job(0), { epoch: 1, mayClaim: true, atOnce: 2 });
      await a.add(job(1), { epoch: 1, mayClaim: false, atOnce: 2 });
      await b.add(job(2), 'route-only');
      expect(await a.backlogs([entity, other])).toEqual([3, 0]);
    });

    describe('race 10: work that was added outside the library', () => {
      beforeEach(() => start());

      const search = async (store: EntityStore, types: string[]) => {
        let found = 0;
        let next: string | undefined;
        do {
          const step = await store.discover(types, 60_000, next);
          found += step.found;
          next = step.next;
        } while (next !== undefined);
        return found;
      };

      test('is found by a search, once; owned or due entities are not', async () => {
        await cluster.addPast(entity, { n: 0 });
        await a.add(job(1, other), 'route-only');
        expect(await a.due('account', 0, 10)).toEqual([]);
        expect(await search(a, ['account', 'order'])).toBe(1);
        expect(await a.due('account', 0, 10)).toEqual([entity]);
        expect(numbers(claimOf(await a.tryClaim(entity, 1)).jobs)).toEqual([0]);
      });

      test('is found even if the entity is due tomorrow only', async () => {
        const { jobOptions } = resolveOptions({}).entityType('account');
        await a.add({ ...job(0), options: { ...jobOptions, delay: 86_400_000 } }, 'route-only');
        await cluster.addPast(entity, { n: 1 });
        expect(await a.due('account', 0, 10)).toEqual([]);
        expect(await search(a, ['account'])).toBe(1);
        expect(await a.due('account', 0, 10)).toEqual([entity]);
      });

      test('is searched by one pod in an interval, and only for the types that it works', async () => {
        await cluster.addPast(entity, { n: 0 });
        expect(await search(a, ['order'])).toBe(0);
        expect(await search(b, ['account'])).toBe(0);
      });
    });
  });
}
