/**
 * What every store must do: the same suite runs on memory and on real Redis.
 * `docs/protocol.md` defines the numbers of races and invariants.
 */

import type { Claim } from '../../src/core/model/claim.js';
import type { EntityRef } from '../../src/core/model/entity.js';
import type { FetchedJob, JobOptions } from '../../src/core/model/job.js';
import { StaleClaimError } from '../../src/core/model/job-errors.js';
import { StoreRefusedError } from '../../src/core/model/store-errors.js';
import { resolveOptions } from '../../src/core/options/resolve.js';
import type { EntityStore } from '../../src/core/ports/store.js';
import { type Cluster, type CreateCluster, entity, twoPods } from '../support/contract-pods.js';
import { claimOf, done, numbers, serving, withdrawal } from '../support/settlements.js';

export function storeContract(name: string, createCluster: CreateCluster): void {
  describe(`the contract of a store: ${name}`, () => {
    const config = resolveOptions({ entities: { account: { workerConfig: { maxStalledCount: 1 } } } });
    let cluster: Cluster;
    let a: EntityStore;
    let b: EntityStore;

    beforeEach(async () => {
      ({ cluster, a, b } = await twoPods(createCluster, config));
    });
    afterEach(() => cluster.close());

    const job = (n: number, options: JobOptions = {}) => withdrawal(config, entity, { n }, options);
    const failed = (fetched: FetchedJob | undefined) => done(fetched, 'failed');
    /** Pod A owns the entity with the jobs 0 … n-1 waiting or, the first `fetch` of them, fetched. */
    const owned = async (n: number, fetch: number): Promise<{ claim: Claim; jobs: FetchedJob[] }> => {
      const first = claimOf(await a.add(job(0), { epoch: 1, mayClaim: true, atOnce: 1 }));
      for (let i = 1; i < n; i++) await a.add(job(i), { epoch: 1, mayClaim: false, atOnce: 1 });
      const jobs = [...first.jobs];
      while (jobs.length < fetch) jobs.push(...(await a.take(first.claim)).jobs);
      return { claim: first.claim, jobs };
    };

    test('an add for an unowned entity claims it and brings the job, in one call', async () => {
      const entered = await a.add(job(7), { epoch: 1, mayClaim: true, atOnce: 1 });
      const { claim, jobs, recovered } = claimOf(entered);
      expect(claim).toMatchObject({ entity, epoch: 1 });
      expect(Number(claim.token)).toBeGreaterThan(0);
      expect(recovered).toBe(0);
      expect(jobs).toHaveLength(1);
      expect(jobs[0]).toMatchObject({ id: entered.jobId, name: 'withdraw', data: { n: 7 }, attempt: 1 });
    });

    test('an add of the owner brings the job only when nothing is fetched', async () => {
      const { claim, jobs } = await owned(1, 1);
      expect(await a.add(job(1), { epoch: 1, mayClaim: false, atOnce: 1 })).toMatchObject({
        route: 'local',
        fetched: { jobs: [] },
      });
      expect(numbers((await a.finish(claim, [done(jobs[0])], 1)).jobs)).toEqual([1]);
    });

    test('an idle owner gets the job with the response to its add', async () => {
      const { claim, jobs } = await owned(1, 1);
      await a.finish(claim, [done(jobs[0])], 1);
      const entered = await a.add(job(1), { epoch: 1, mayClaim: false, atOnce: 1 });
      expect(entered.route === 'local' && numbers(entered.fetched.jobs)).toEqual([1]);
    });

    test('jobs come in the order in which they were added, one or two with the end of another', async () => {
      const { claim, jobs } = await owned(5, 1);
      const two = await a.finish(claim, [done(jobs[0])], 2);
      expect(numbers(two.jobs)).toEqual([1, 2]);
      expect((await a.finish(claim, [done(two.jobs[0])], 0)).jobs).toEqual([]);
      expect(numbers((await a.finish(claim, [done(two.jobs[1])], 1)).jobs)).toEqual([3]);
    });

    test('I1: no other pod gets the entity while the lease lasts; its idle owner is called', async () => {
      const { claim, jobs } = await owned(1, 1);
      expect((await b.add(job(1), { epoch: 9, mayClaim: true, atOnce: 1 })).route).toBe('remote');
      expect(await b.tryClaim(entity, 10)).toBe('owned');
      expect(numbers((await a.finish(claim, [done(jobs[0])], 1)).jobs)).toEqual([1]);
    });

    test('an add for an entity of another pod wakes the owner only when nothing is fetched there', async () => {
      const { claim, jobs } = await owned(1, 1);
      await b.add(job(1), { epoch: 9, mayClaim: true, atOnce: 1 });
      const { jobs: next } = await a.finish(claim, [done(jobs[0])], 1);
      await a.finish(claim, [done(next[0])], 1);
      // Nothing has been called so far: this is the first wake-up.
      await b.add(job(2), { epoch: 9, mayClaim: true, atOnce: 1 });
      expect(await a.wakeUps([])).toEqual([entity]);
      expect(numbers((await a.take(claim)).jobs)).toEqual([2]);
    });

    test('a pod that may not claim leaves the entity for others to find', async () => {
      expect((await b.add(job(0), 'route-only')).route).toBe('unowned');
      expect(await a.due('account', 0, 10)).toEqual([entity]);
      expect(await a.due('account', 1, 10)).toEqual([]);
      expect(numbers(claimOf(await a.tryClaim(entity, 1)).jobs)).toEqual([0]);
      expect(await a.due('account', 0, 10)).toEqual([]);
    });

    test('a pod that may not claim calls a pod that works the type', async () => {
      await a.renew([], serving('account'));
      await b.add(job(0), 'route-only');
      expect(await a.wakeUps([])).toEqual([entity]);
    });

    test('I3: nothing can be taken, ended or released under an old epoch', async () => {
      const { claim, jobs } = await owned(3, 2);
      const again = await a.resync(claim, 2, []);
      await expect(a.take(claim)).rejects.toBeInstanceOf(StaleClaimError);
      await expect(a.finish(claim, [done(jobs[0])], 1)).rejects.toBeInstanceOf(StaleClaimError);
      await expect(a.release(claim, 'idle')).rejects.toBeInstanceOf(StaleClaimError);
      await expect(a.release(claim, 'hand-over')).rejects.toBeInstanceOf(StaleClaimError);
      expect(numbers(again.jobs)).toEqual([0]);
      expect(numbers((await a.finish(again.claim, [done(again.jobs[0])], 2)).jobs)).toEqual([1, 2]);
    });

    test.each([1, 2])(
      'I6: after %i ends of jobs that the store does not know, as after a failover, fetched jobs go back before the next fetch',
      async ends => {
        const { claim, jobs } = await owned(3, 1);
        const unknown = Array.from({ length: ends }, (_, n) =>
          done({ ...(jobs[0] as FetchedJob), id: `forgotten${n}` }),
        );
        expect(await a.finish(claim, unknown, 2)).toMatchObject({ jobs: [], isRecalled: true });
        await a.giveBack(claim, []);
        expect(numbers((await a.take(claim, 3)).jobs)).toEqual([0, 1, 2]);
      },
    );

    test('after the end of a job that the store does not know, the next one is fetched if no other is', async () => {
      const { claim, jobs } = await owned(2, 1);
      await a.finish(claim, [done(jobs[0])], 0);
      expect(numbers((await a.finish(claim, [done(jobs[0])], 1)).jobs)).toEqual([1]);
    });

    test('I6: an end that would overtake an older refused one is refused; both count after the resync', async () => {
      const { claim, jobs } = await owned(4, 1);
      const { jobs: more } = await a.finish(claim, [done(jobs[0])], 2);
      await expect(a.finish(claim, [done(more[1])], 1)).rejects.toBeInstanceOf(StoreRefusedError);
      const anew = await a.resync(claim, 2, [done(more[0]), done(more[1])]);
      expect(numbers(anew.jobs)).toEqual([3]);
    });

    test('I3, I4, I6: a takeover gets a larger token and the jobs in their old order; the old owner is refused', async () => {
      const { claim, jobs } = await owned(4, 3);
      await cluster.expireLeases();
      const taken = claimOf(await b.tryClaim(entity, 1));
      expect(BigInt(taken.claim.token)).toBeGreaterThan(BigInt(claim.token));
      expect(taken.recovered).toBe(3);
      await expect(a.finish(claim, [done(jobs[0])], 1)).rejects.toBeInstanceOf(StaleClaimError);
      await expect(a.resync(claim, 5, [done(jobs[0])])).rejects.toBeInstanceOf(StaleClaimError);
      const order = numbers(taken.jobs);
      let [next] = taken.jobs;
      while (next) {
        const { jobs: more } = await b.finish(taken.claim, [done(next)], 1);
        order.push(...numbers(more));
        next = more[0];
      }
      expect(order).toEqual([0, 1, 2, 3]);
    });

    test('a lease that has passed harms nothing while no other pod takes over', async () => {
      const { claim, jobs } = await owned(2, 1);
      await cluster.expireLeases();
      expect(numbers((await a.finish(claim, [done(jobs[0])], 1)).jobs)).toEqual([1]);
      expect(await a.renew([{ claim, idle: false }], serving())).toMatchObject({ lost: [], kicked: [] });
      expect(await b.tryClaim(entity, 1)).toBe('owned');
    });

    test('race 7: a job that was fetched alone by a lost pod counts as stalled, and fails above the limit; of several none is suspected', async () => {
      await owned(1, 1);
      await cluster.expireLeases();
      const second = claimOf(await b.tryClaim(entity, 1));
      expect(second.jobs[0]).toMatchObject({ attempt: 2, mustFail: undefined });
      await cluster.expireLeases();
      const third = claimOf(await a.tryClaim(entity, 2));
      expect(third.jobs[0]?.mustFail).toMatch(/stalled more than allowable/);
      await a.finish(third.claim, [failed(third.jobs[0])], 1);
      expect(await cluster.failedIds(entity)).toEqual([third.jobs[0]?.id]);

      for (let i = 0; i < 3; i++) await a.add(job(i), { epoch: 2, mayClaim: false, atOnce: 1 });
      let owner = third.claim;
      for (let round = 0; round < 4; round++) {
        const [mine, other] = round % 2 === 0 ? [a, b] : [b, a];
        const { jobs: second } = await mine.take(owner);
        expect(second[0]?.mustFail).toBeUndefined();
        await cluster.expireLeases();
        const taken = claimOf(await other.tryClaim(entity, 10 + round));
        expect(taken.recovered).toBe(2);
        expect(taken.jobs[0]?.mustFail).toBeUndefined();
        owner = taken.claim;
      }
    });

    test('race 7: an owner that resyncs, or adopts its claim, is not dead: no job is suspected', async () => {
      const { claim } = await owned(1, 1);
      let again = await a.resync(claim, 2, []);
      again = await a.resync(again.claim, 3, []);
      again = claimOf(await a.tryClaim(entity, 4));
      again = claimOf(await a.tryClaim(entity, 5));
      expect(again).toMatchObject({ recovered: 0, jobs: [{ mustFail: undefined }] });
    });

    test('race 28: a resync ends what is settled, which does not run again; the rest comes in order', async () => {
      const { claim, jobs } = await owned(4, 3);
      const again = await a.resync(claim, 2, [done(jobs[0]), failed(jobs[1])]);
      expect(again.claim.token).toBe(claim.token);
      expect(numbers(again.jobs)).toEqual([2]);
      expect(await cluster.failedIds(entity)).toEqual([jobs[1]?.id]);
      expect(numbers((await a.finish(again.claim, [done(again.jobs[0])], 2)).jobs)).toEqual([3]);
    });

    test.each(['completed', 'dead'] as const)(
      'race 28: an end (%s) whose response was lost does not end the job that was added under the same id since',
      async kind => {
        const hint = { epoch: 1, mayClaim: true, atOnce: 1 };
        // Added in the same millisecond.
        const own = { jobId: 'mine', timestamp: 1 };
        const { claim, jobs } = claimOf(await a.add(job(0, own), hint));
        await a.finish(claim, [done(jobs[0], kind)], 1);
        const second = await a.add(job(1, own), { ...hint, mayClaim: false });
        expect(second.route === 'local' && numbers(second.fetched.jobs)).toEqual([1]);
        const again = await a.resync(claim, 2, [done(jobs[0], kind)]);
        expect(numbers(again.jobs)).toEqual([1]);
        await a.finish(again.claim, [done(again.jobs[0])], 1);
        expect((await a.resync(again.claim, 3, [done(again.jobs[0])])).jobs).toEqual([]);
      },
    );

    test('race 27: a resync that arrives late is stale; one whose response was lost is no obstacle', async () => {
      const { claim } = await owned(2, 2);
      await a.resync(claim, 3, []);
      // epoch 3 was never answered, as the pod sees it: it still knows epoch 1
      const again = await a.resync(claim, 4, []);
      expect(numbers(again.jobs)).toEqual([0]);
      await expect(a.resync(claim, 2, [])).rejects.toBeInstanceOf(StaleClaimError);
      expect(numbers((await a.finish(again.claim, [done(again.jobs[0])], 1)).jobs)).toEqual([1]);
    });

    test('race 27: an inspection that arrives late settles nothing of the claim that came after it', async () => {
      const { claim } = await owned(1, 1);
      const again = await a.resync(claim, 3, []);
      await a.finish(again.claim, [done(again.jobs[0])], 1);
      expect(await a.tryClaim(entity, 2)).toBe('later');
      expect((await a.take(again.claim)).jobs).toEqual([]);
    });

    test('race 27: a renewal that was sent before the response to a resync renews the claim', async () => {
      const { claim } = await owned(1, 1);
      const again = await a.resync(claim, 2, []);
      expect(await a.renew([{ claim, idle: false }], serving())).toMatchObject({ lost: [], kicked: [] });
      expect((await a.finish(again.claim, [done(again.jobs[0])], 1)).jobs).toEqual([]);
    });

    test('race 26: a claim whose response was lost is adopted, and its job is not lost', async () => {
      await a.add(job(0), { epoch: 1, mayClaim: true, atOnce: 1 });
      expect((await a.add(job(1), { epoch: 2, mayClaim: true, atOnce: 1 })).route).toBe('unknown-claim');
      const adopted = claimOf(await a.tryClaim(entity, 3));
      expect(numbers(adopted.jobs)).toEqual([0]);
      expect(adopted.jobs[0]?.mustFail).toBeUndefined();
      expect(numbers((await a.finish(adopted.claim, [done(adopted.jobs[0])], 1)).jobs)).toEqual([1]);
    });

    test('race 24: a renewal never brings a claim back', async () => {
      const { claim, jobs } = await owned(1, 1);
      await a.finish(claim, [done(jobs[0])], 1);
      expect(await a.release(claim, 'idle')).toBe(true);
      expect(await a.renew([{ claim, idle: true }], serving())).toMatchObject({ lost: [0], kicked: [] });
      expect(claimOf(await b.add(job(1), { epoch: 1, mayClaim: true, atOnce: 1 })).claim.epoch).toBe(1);
    });

    test('race 37: a renewal tells which idle workers have work', async () => {
      const { claim, jobs } = await owned(2, 2);
      expect(await a.renew([{ claim, idle: true }], serving())).toMatchObject({ lost: [], kicked: [0] });
      await a.finish(claim, [done(jobs[0])], 0);
      await a.finish(claim, [done(jobs[1])], 0);
      expect(await a.renew([{ claim, idle: true }], serving())).toMatchObject({ lost: [], kicked: [] });
    });

    test('I7, race 37: a renewal of many claims moves each entity on in the schedule of its type, and reports only those with work', async () => {
      const refs = ['account', 'order'].flatMap(type => ['1', '2', '3', '4'].map(id => ({ type, id })));
      const claims: Claim[] = [];
      for (const ref of refs) {
        const { claim, jobs } = claimOf(
          await a.add({ ...job(0), entity: ref }, { epoch: 1, mayClaim: true, atOnce: 1 }),
        );
        await a.finish(claim, [done(jobs[0])], 0);
        claims.push(claim);
      }
      const add = (ref: EntityRef | undefined, options = {}) =>
        a.add({ ...job(1, options), entity: ref ?? entity }, { epoch: 1, mayClaim: false, atOnce: 0 });
      await add(refs[1]);
      await add(refs[2], { delay: 3_600_000 });
      await add(refs[6], { delay: 60_000 });
      await cluster.ripenDelayed(refs[6] ?? entity);
      await add(refs[7]);
      await cluster.pause(refs[7] ?? entity, true);
      const before = await Promise.all(refs.map(ref => cluster.dueScore(ref)));
      await cluster.timePasses(1);
      const renewals = claims.map((claim, index) => ({ claim, idle: index !== 0 }));
      expect(await a.renew(renewals, serving())).toMatchObject({ lost: [], kicked: [1, 6] });
      for (const [index, ref] of refs.entries()) {
        expect(await cluster.dueScore(ref)).toBeGreaterThan(before[index] ?? Number.POSITIVE_INFINITY);
      }
    });

    test('a release is refused while there is work; otherwise the entity is unscheduled', async () => {
      const { claim, jobs } = await owned(2, 1);
      expect(await a.release(claim, 'idle')).toBe(false);
      const {
        jobs: [second],
      } = await a.finish(claim, [done(jobs[0])], 1);
      await a.finish(claim, [done(second)], 1);
      expect(await cluster.dueScore(entity)).toBeDefined();
      expect(await a.release(claim, 'idle')).toBe(true);
      expect(await cluster.dueScore(entity)).toBeUndefined();
    });

    test('race 4: an add right behind a hand-over, in the same step, gets a new claim', async () => {
      const { claim } = await owned(2, 1);
      const [isReleased, entered] = await Promise.all([
        a.release(claim, 'hand-over'),
        a.add(job(2), { epoch: 2, mayClaim: true, atOnce: 1 }),
      ]);
      expect(isReleased).toBe(true);
      expect(numbers(claimOf(entered).jobs)).toEqual([0]);
    });

    test('race 4: an add right behind a release claims again, and the entity stays scheduled', async () => {
      const { claim, jobs } = await owned(1, 1);
      await a.finish(claim, [done(jobs[0])], 1);
      const [released, entered] = await Promise.all([
        a.release(claim, 'idle'),
        a.add(job(1), { epoch: 2, mayClaim: true, atOnce: 1 }),
      ]);
      expect(released).toBe(true);
      expect(numbers(claimOf(entered).jobs)).toEqual([1]);
      expect(BigInt(claimOf(entered).claim.token)).toBeGreaterThan(BigInt(claim.token));
      expect(await cluster.dueScore(entity)).toBeDefined();
    });

    test('race 11: an inspection that finds nothing forgets the entity; one after an add does not', async () => {
      await b.add(job(0), 'route-only');
      // One after the other: calls of two pods have no order of their own.
      expect(numbers(claimOf(await a.tryClaim(entity, 1)).jobs)).toEqual([0]);
      expect((await b.add(job(1), 'route-only')).route).toBe('remote');
      expect(await b.tryClaim(entity, 1)).toBe('owned');
      expect(await cluster.dueScore(entity)).toBeDefined();
      expect(await a.tryClaim({ type: 'account', id: 'never seen' }, 2)).toBe('later');
      expect(await cluster.dueScore({ type: 'account', id: 'never seen' })).toBeUndefined();
    });

    test('a hand-over gives back what was fetched in order, and calls another pod that works the type', async () => {
      await a.renew([], serving('account'));
      await b.renew([], serving('account'));
      const { claim, jobs } = await owned(4, 3);
      await a.finish(claim, [done(jobs[0])], 0);
      expect(await a.release(claim, 'hand-over')).toBe(true);
      expect(await b.wakeUps([])).toEqual([entity]);
      expect(await b.due('account', 0, 10)).toEqual([entity]);
      const taken = claimOf(await b.tryClaim(entity, 1));
      expect(taken.recovered).toBe(0);
      expect(
        numbers([...taken.jobs, ...(await b.take(taken.claim)).jobs, ...(await b.take(taken.claim)).jobs]),
      ).toEqual([1, 2, 3]);
    });

    test('a delayed job waits for its time, holds no worker, and is found when it is due', async () => {
      expect((await a.add(job(0, { delay: 60_000 }), { epoch: 1, mayClaim: true, atOnce: 1 })).route).toBe('delayed');
      expect(await a.due('account', 0, 10)).toEqual([]);
      expect(await cluster.dueScore(entity)).toBeDefined();
      expect(await a.tryClaim(entity, 2)).toBe('later');
      await cluster.ripenDelayed(entity);
      expect(numbers(claimOf(await a.tryClaim(entity, 3)).jobs)).toEqual([0]);
    });

    test('an owner learns when its next delayed job is due, and a release keeps that time', async () => {
      const { claim, jobs } = await owned(1, 1);
      await a.add(job(1, { delay: 60_000 }), { epoch: 1, mayClaim: false, atOnce: 1 });
      const { againInMs } = await a.finish(claim, [done(jobs[0])], 1);
      expect(againInMs).toBeGreaterThan(50_000);
      expect(againInMs).toBeLessThanOrEqual(60_000);
      expect(await a.release(claim, 'idle')).toBe(true);
      expect(await cluster.dueScore(entity)).toBeDefined();
    });

    test('race 16: a paused queue brings nothing, releases its worker, and is not due', async () => {
      const { claim, jobs } = await owned(2, 1);
      await cluster.pause(entity, true);
      expect((await a.finish(claim, [done(jobs[0])], 1)).jobs).toEqual([]);
      expect(await a.renew([{ claim, idle: true }], serving())).toMatchObject({ lost: [], kicked: [] });
      expect(await a.release(claim, 'idle')).toBe(true);
      expect(await cluster.dueScore(entity)).toBeUndefined();
      expect(await a.tryClaim(entity, 2)).toBe('paused');
      expect(await cluster.dueScore(entity)).toBeUndefined();
      await cluster.pause(entity, false);
      expect(numbers(claimOf(await a.tryClaim(entity, 3)).jobs)).toEqual([1]);
    });

    test('the same job id twice is one job', async () => {
      const first = await a.add(job(0, { jobId: 'order-1' }), { epoch: 1, mayClaim: true, atOnce: 1 });
      const second = await a.add(job(1, { jobId: 'order-1' }), { epoch: 1, mayClaim: false, atOnce: 1 });
      expect([first.jobId, second.jobId]).toEqual(['order-1', 'order-1']);
      const { claim, jobs } = claimOf(first);
      expect((await a.finish(claim, [done(jobs[0])], 1)).jobs).toEqual([]);
    });

    test('a failed job is kept, and its successor runs', async () => {
      const { claim, jobs } = await owned(2, 1);
      expect(numbers((await a.finish(claim, [failed(jobs[0])], 1)).jobs)).toEqual([1]);
      expect(await cluster.failedIds(entity)).toEqual([jobs[0]?.id]);
    });

    test('race 5: the end of a job that is gone does not stop the worker', async () => {
      const { claim, jobs } = await owned(2, 1);
      await a.finish(claim, [done(jobs[0])], 0);
      expect(numbers((await a.finish(claim, [done(jobs[0])], 1)).jobs)).toEqual([1]);
    });

    test('promises settle in the order of the calls, for all calls and however they end', async () => {
      const { claim, jobs } = await owned(3, 1);
      const old: Claim = { ...claim, epoch: 0 };
      const order: string[] = [];
      const note = (name: string) => () => void order.push(name);
      const calls = [
        a.finish(claim, [done(jobs[0])], 1).then(note('finish')),
        a.take(old).then(note('never'), note('stale take')),
        a.add(job(9), { epoch: 1, mayClaim: false, atOnce: 1 }).then(note('add')),
        a.take(claim).then(note('take')),
        a.tryClaim({ type: 'account', id: 'other' }, 9).then(note('tryClaim')),
        a.release(old, 'idle').then(note('never'), note('stale release')),
        a.resync(claim, 7, []).then(note('resync')),
      ];
      await Promise.all(calls);
      expect(order).toEqual(['finish', 'stale take', 'add', 'take', 'tryClaim', 'stale release', 'resync']);
    });

    test('I4: an adopted claim gets a new token, since a failover may have brought it back; a resync keeps the token', async () => {
      const { claim } = await owned(1, 1);
      const adopted = claimOf(await a.tryClaim(entity, 2)).claim;
      expect(BigInt(adopted.token)).toBeGreaterThan(BigInt(claim.token));
      expect((await a.resync(adopted, 3, [])).claim.token).toBe(adopted.token);
    });

    test('I4: tokens of an entity only grow, across releases and owners', async () => {
      const tokens: bigint[] = [];
      for (let round = 0; round < 6; round++) {
        const pod = round % 2 === 0 ? a : b;
        const { claim, jobs } = claimOf(await pod.add(job(round), { epoch: 100 + round, mayClaim: true, atOnce: 1 }));
        tokens.push(BigInt(claim.token));
        await pod.finish(claim, [done(jobs[0])], 1);
        await pod.release(claim, round % 3 === 0 ? 'hand-over' : 'idle');
      }
      expect(tokens).toEqual([...new Set(tokens)].sort((x, y) => (x < y ? -1 : 1)));
    });
  });
}
