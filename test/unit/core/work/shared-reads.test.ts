/**
 * Shared reads (I2, I5, I6, I7, races 6, 7, 12, 28, 32): the core on the store in memory and a clock that the test moves.
 * Handlers throw if they run alongside a job that excludes them: see `MemoryPods.handle`.
 * What a store must do for them is in `test/contract/shared-contract.ts`.
 */

import type { JobOptions, Settlement } from '../../../../src/core/model/job.js';
import type { EngineOptions, EntityOptions } from '../../../../src/core/options/options.js';
import { LEASE_MS, MemoryPods, type Pod } from '../../../support/memory-pods.js';

const NAMES = ['*', 'read'];
const SECOND = 1000;

describe('shared reads', () => {
  let cluster: MemoryPods;

  beforeEach(() => {
    cluster = new MemoryPods({ instant: false, shared: ['read'] });
  });
  afterEach(async () => {
    await cluster.close();
    const overlaps = cluster.pods.flatMap(({ log }) => log.lines.filter(line => line.includes('overlaps')));
    expect(overlaps).toEqual([]);
  });

  const pod = (name: string, options: EngineOptions = {}) => cluster.pod(name, options, NAMES);
  const typed = (name: string, account: EntityOptions) => pod(name, { entities: { account } });
  const reads = (on: Pod, ...ns: number[]) => on.addNamed('read', '1', ...ns);
  const writes = (on: Pod, ...ns: number[]) => on.addNamed('write', '1', ...ns);
  const add = async (on: Pod, name: string, n: number, options: JobOptions) => {
    await on.engine.enqueue({ entityType: 'account', entityId: '1', name, data: { n }, options });
    await reads(on);
  };
  const running = () => cluster.running.map(({ n }) => n).sort((a, b) => a - b);
  const started = () => cluster.starts.map(start => Number(start.split(':')[2]));
  const entity = () => cluster.stored();
  const active = () => entity().active.map(({ data }) => JSON.parse(data).n);
  const waiting = () => entity().wait.map(({ data }) => JSON.parse(data).n);
  const end = async (...ns: number[]) => {
    for (const n of ns) await cluster.job(n).end();
  };
  const status = (on: Pod) => on.engine.control.status({ type: 'account', id: '1' });
  /** Writes until the prefetch window is wide, and this many jobs behind them, which are fetched by then. */
  const prefetched = async (a: Pod, behind: () => Promise<void>) => {
    await writes(a, 0, 1, 2, 3);
    await behind();
    await end(0, 1, 2);
    expect(running()).toEqual([3]);
  };

  describe('in parallel', () => {
    test('run alongside each other, under one token', async () => {
      const a = await pod('A');
      await reads(a, 0, 1, 2);
      expect(running()).toEqual([0, 1, 2]);
      expect(new Set(cluster.running.map(({ context }) => context.fencingToken)).size).toBe(1);
    });

    test('end before a write behind them starts, and the reads behind the write wait for it', async () => {
      const a = await pod('A');
      await reads(a, 0, 1);
      await writes(a, 2);
      await reads(a, 3, 4);
      await writes(a, 5);
      expect(running()).toEqual([0, 1]);
      await end(1);
      expect(running()).toEqual([0]);
      await end(0);
      expect(running()).toEqual([2]);
      await end(2);
      expect(running()).toEqual([3, 4]);
      await end(3, 4);
      expect(running()).toEqual([5]);
      await end(5);
      expect(a.store.calls).not.toContain('resync');
    });

    test('that come without end do not keep a write from running', async () => {
      const a = await pod('A');
      await reads(a, 0);
      await writes(a, 1);
      for (let n = 2; n < 40; n++) await reads(a, n);
      await end(0);
      expect(running()).toEqual([1]);
      await end(1);
      expect(running()).toHaveLength(16);
    });

    test('are at most maxSharedReads at once; one that ends makes room for the next', async () => {
      cluster.mostReads = 2;
      const a = await typed('A', { maxSharedReads: 2 });
      await reads(a, 0, 1, 2, 3);
      expect(running()).toEqual([0, 1]);
      await end(1);
      expect(running()).toEqual([0, 2]);
      await end(0);
      expect(running()).toEqual([2, 3]);
    });

    test('run like any other job with maxSharedReads 1', async () => {
      const a = await typed('A', { maxSharedReads: 1 });
      await reads(a, 0, 1);
      expect(running()).toEqual([0]);
      await end(0);
      expect(running()).toEqual([1]);
    });

    test('run one by one on a pod that has no handler for shared reads', async () => {
      cluster.shared = [];
      const a = await pod('A');
      await reads(a, 0, 1);
      expect(running()).toEqual([0]);
      await end(0, 1);
      const [, settlements = []] = a.store.lastArguments.get('finish') ?? [];
      const [settlement] = settlements as Settlement[];
      expect(settlement).toBeDefined();
      expect(settlement).not.toHaveProperty('alongside');
    });

    test('end before a batch behind them starts, and the batch runs alone', async () => {
      const a = await cluster.pod('A', {}, NAMES, { many: { max: 2 } });
      await reads(a, 0, 1);
      await a.addNamed('many', '1', 2, 3);
      await reads(a, 4);
      await end(0);
      expect(cluster.runningBatches).toEqual([]);
      await end(1);
      expect([cluster.batch.ns, running()]).toEqual([[2, 3], []]);
      await cluster.batch.end();
      expect(running()).toEqual([4]);
    });

    test('keep to the rate of their type', async () => {
      const a = await typed('A', { rateLimit: { max: 2, durationMs: SECOND } });
      await reads(a, 0, 1, 2, 3);
      expect(running()).toEqual([0, 1]);
      await cluster.clock.advance(SECOND);
      expect(running()).toEqual([0, 1, 2, 3]);
    });

    test('I2: do not start under a lease that has expired', async () => {
      const a = await pod('A');
      await reads(a, 0);
      cluster.clock.stall(LEASE_MS);
      a.store.next('renew', 'drop');
      await reads(a, 1);
      expect(running()).toEqual([0]);
      await cluster.clock.advance(LEASE_MS);
      expect(running()).toEqual([0, 1]);
    });
  });

  describe('enqueued while reads run', () => {
    test('start at once, also from another pod, though one read runs for long', async () => {
      const a = await pod('A');
      const b = await pod('B');
      await reads(a, 0);
      await reads(b, 1);
      await reads(a, 2);
      await reads(b, 3);
      expect(running()).toEqual([0, 1, 2, 3]);
      expect(cluster.starts.every(start => start.startsWith('A:'))).toBe(true);
    });

    test('start at once also in the next group of reads, after a write', async () => {
      const a = await pod('A');
      const b = await pod('B', { producerOnly: true });
      await reads(a, 0);
      await writes(a, 1);
      await end(0, 1);
      await reads(b, 2);
      await reads(b, 3);
      await reads(b, 4);
      expect(running()).toEqual([2, 3, 4]);
    });

    test('start at once also after a batch that has waited for jobs', async () => {
      const a = await cluster.pod('A', {}, NAMES, { many: { max: 2, maxWaitMs: 100 } });
      const b = await pod('B', { producerOnly: true });
      await reads(a, 0);
      await end(0);
      await a.addNamed('many', '1', 1);
      await cluster.clock.advance(100);
      await cluster.batch.end();
      await reads(b, 2);
      await reads(b, 3);
      await reads(b, 4);
      expect(running()).toEqual([2, 3, 4]);
    });

    test('start at once if several arrive together for an idle worker, from its pod or another', async () => {
      const a = await pod('A');
      const b = await pod('B', { producerOnly: true });
      await reads(a, 0);
      await end(0);
      await reads(a, 1, 2, 3);
      expect(running()).toEqual([1, 2, 3]);
      await end(1, 2, 3);
      await reads(b, 4, 5, 6);
      expect(running()).toEqual([4, 5, 6]);
    });

    test('start at once also after a resync of the worker', async () => {
      const a = await pod('A');
      const b = await pod('B', { producerOnly: true });
      await reads(a, 0);
      a.store.next('finish', 'lose');
      await end(0);
      expect(a.store.calls).toContain('resync');
      await reads(b, 1);
      await reads(b, 2);
      expect(running()).toEqual([1, 2]);
    });

    test('start at once also while the response to an end is pending', async () => {
      const a = await pod('A');
      const b = await pod('B', { producerOnly: true });
      await reads(a, 0, 1);
      const release = a.store.hold('finish');
      await end(0);
      await reads(b, 2);
      expect(running()).toEqual([1, 2]);
      release();
    });

    test('I7: are found with the next renewal if no wake-up announced them', async () => {
      const a = await pod('A');
      const b = await pod('B', { producerOnly: true });
      await reads(a, 0);
      const wake = cluster.server.inspections.wake;
      cluster.server.inspections.wake = () => {};
      await reads(b, 1);
      cluster.server.inspections.wake = wake;
      expect(running()).toEqual([0]);
      await cluster.clock.advance(LEASE_MS / 3);
      expect(running()).toEqual([0, 1]);
    });

    test('cost no more calls than a write, from the second read of a claim on', async () => {
      const a = await pod('A');
      await reads(a, 0);
      await end(0);
      const callsOf = async (act: () => Promise<void>) => {
        const before = a.store.calls.length;
        await act();
        return a.store.calls.slice(before).filter(call => ['add', 'take', 'finish', 'resync'].includes(call));
      };
      expect(await callsOf(() => reads(a, 1))).toEqual(['add']);
      expect(await callsOf(() => reads(a, 2))).toEqual(['add']);
      expect(await callsOf(() => end(1, 2))).toEqual(['finish', 'finish']);
      expect(await callsOf(() => writes(a, 3))).toEqual(['add']);
    });

    test('are not fetched one by one in vain while a write is next', async () => {
      const a = await pod('A');
      const b = await pod('B', { producerOnly: true });
      await reads(a, 0);
      await writes(a, 1);
      const before = a.count('take');
      for (const n of [2, 3, 4]) await reads(b, n);
      expect(a.count('take')).toBe(before);
      await end(0, 1);
      expect(running()).toEqual([2, 3, 4]);
    });
  });

  describe('that end', () => {
    test('do so in any order, each by itself', async () => {
      const a = await pod('A');
      await reads(a, 0, 1, 2);
      await end(2);
      await cluster.job(1).fail();
      expect(active()).toEqual([0]);
      await end(0);
      expect([active(), a.store.calls.includes('resync')]).toEqual([[], false]);
      expect(entity().failed.map(({ data }) => JSON.parse(data).n)).toEqual([1]);
    });

    test('I6: do not overtake the end of an older write', async () => {
      const a = await pod('A');
      await prefetched(a, () => reads(a, 4, 5));
      const release = a.store.delay('finish');
      await end(3);
      expect(running()).toEqual([4, 5]);
      await end(5);
      expect(active()).toEqual([3, 4, 5]);
      await end(4);
      expect([active(), started()]).toEqual([[], [0, 1, 2, 3, 4, 5]]);
      release();
      await writes(a, 6);
      await end(6);
      expect(started()).toEqual([0, 1, 2, 3, 4, 5, 6]);
    });

    test('I6: do not delay a write until they are confirmed, and the write does not overtake their ends', async () => {
      const a = await pod('A');
      await prefetched(a, async () => {
        await reads(a, 4, 5);
        await writes(a, 6);
      });
      await end(3, 5);
      const release = a.store.delay('finish');
      await end(4);
      expect(running()).toEqual([6]);
      await end(6);
      // The ends that were refused with the first one are made good with it.
      expect([active(), started()]).toEqual([[], [0, 1, 2, 3, 4, 5, 6]]);
      expect(a.store.calls).toContain('resync');
      release();
    });

    test('I6: run before the write again after a crash, if their end was not confirmed', async () => {
      const a = await pod('A');
      await prefetched(a, async () => {
        await reads(a, 4, 5);
        await writes(a, 6);
      });
      await end(3, 5);
      a.store.break('drop');
      await end(4);
      const [zombie] = cluster.running;
      if (zombie) cluster.forget(zombie);
      expect(zombie?.n).toBe(6);
      await pod('B');
      await cluster.clock.advance(3 * LEASE_MS);
      expect(running()).toEqual([4]);
      await end(4);
      expect(running()).toEqual([6]);
      await end(6);
      await zombie?.end();
      expect(cluster.starts.slice(-2)).toEqual(['B:1:4', 'B:1:6']);
    });

    test('race 28: hold back all starts after a lost response until all reads have ended, and none runs twice', async () => {
      const a = await pod('A');
      await reads(a, 0, 1, 2);
      await writes(a, 3);
      a.store.next('finish', 'lose');
      await end(1);
      await reads(a, 4);
      await end(2);
      expect(running()).toEqual([0]);
      await end(0);
      expect(running()).toEqual([3]);
      await end(3);
      expect(running()).toEqual([4]);
      expect(started()).toEqual([0, 1, 2, 3, 4]);
    });
  });

  describe('on a pod that dies', () => {
    test('race 7: cause no suspect; they run one at a time, in order, and then alongside each other again', async () => {
      const a = await pod('A');
      await reads(a, 0, 1, 2);
      await end(1);
      await reads(a, 3);
      const dead = [...cluster.running];
      a.store.break('drop');
      for (const zombie of dead) cluster.forget(zombie);
      const b = await pod('B');
      await cluster.clock.advance(2 * LEASE_MS);
      await reads(b, 4, 5);
      for (const n of [0, 2, 3]) {
        expect(running()).toEqual([n]);
        await end(n);
      }
      expect(running()).toEqual([4, 5]);
      expect(entity().active.map(({ stalled }) => stalled)).toEqual([0, 0]);
      for (const zombie of dead) await zombie.end();
    });

    test('I1: must all end before any job of a lost entity starts here again', async () => {
      const a = await pod('A');
      await reads(a, 0, 1);
      const [zero, one] = [cluster.job(0), cluster.job(1)];
      entity().owner = undefined;
      await cluster.clock.advance(LEASE_MS / 3);
      expect([zero, one].map(({ context }) => context.signal.aborted)).toEqual([true, true]);
      await zero.end();
      await cluster.clock.advance(LEASE_MS);
      expect(running()).toEqual([1]);
      await one.end();
      await cluster.clock.advance(2 * LEASE_MS);
      expect(started()).toEqual([0, 1, 0]);
    });
  });

  describe('that fail', () => {
    const twice = (delay: number): JobOptions => ({ attempts: 2, backoff: { type: 'fixed', delay } });

    test('race 6: come next again; the reads alongside them end, and nothing new starts before them', async () => {
      const a = await pod('A');
      await add(a, 'read', 0, twice(SECOND));
      await reads(a, 1);
      await writes(a, 2);
      await cluster.job(0).fail();
      expect([running(), waiting()]).toEqual([[1], [0, 2]]);
      await reads(a, 3);
      expect(running()).toEqual([1]);
      await end(1);
      expect([running(), active(), a.store.calls.includes('resync')]).toEqual([[], [], false]);
      await cluster.clock.advance(SECOND);
      expect(running()).toEqual([0]);
      await end(0);
      expect(running()).toEqual([2]);
      await end(2);
      expect(running()).toEqual([3]);
    });

    test('run alongside the others again when their backoff is over', async () => {
      const a = await pod('A');
      await add(a, 'read', 0, twice(SECOND));
      await reads(a, 1);
      await cluster.job(0).fail();
      await cluster.clock.advance(SECOND);
      expect(running()).toEqual([0, 1]);
      expect(cluster.job(0).context.attempt).toBe(2);
      await end(1, 0);
      expect(a.store.calls).not.toContain('resync');
    });

    test('run again at once without a backoff', async () => {
      const a = await pod('A');
      await add(a, 'read', 0, twice(0));
      await reads(a, 1, 2);
      await writes(a, 3);
      await cluster.job(0).fail();
      expect(running()).toEqual([0, 1, 2]);
      await end(0, 1, 2);
      expect(running()).toEqual([3]);
    });

    test.each([
      [1, 3],
      [3, 1],
    ])('wait together for the later of their backoffs (%i s, %i s)', async (first, second) => {
      const a = await pod('A');
      await add(a, 'read', 0, twice(first * SECOND));
      await add(a, 'read', 1, twice(second * SECOND));
      await writes(a, 2);
      await cluster.job(0).fail();
      await cluster.job(1).fail();
      await cluster.clock.advance(3 * SECOND - 1);
      expect(running()).toEqual([]);
      await cluster.clock.advance(1);
      expect(running()).toEqual([0, 1]);
      await end(1, 0);
      expect(running()).toEqual([2]);
      expect(started().filter(n => n < 2)).toHaveLength(4);
    });

    test('count one attempt if the response was lost, and the reads alongside are not given back', async () => {
      const a = await pod('A');
      await add(a, 'read', 0, { ...twice(SECOND), attempts: 3 });
      await reads(a, 1);
      a.store.next('finish', 'lose');
      await cluster.job(0).fail();
      expect(active()).toEqual([1]);
      await end(1);
      await cluster.clock.advance(2 * SECOND);
      expect(running()).toEqual([0]);
      expect(entity().active[0]?.attemptsMade).toBe(1);
      await end(0);
      expect(started()).toEqual([0, 1, 0]);
    });

    test('I6: do not put back reads that have ended and are not confirmed', async () => {
      const a = await pod('A');
      await add(a, 'read', 0, twice(0));
      await reads(a, 1);
      a.store.next('finish', 'refuse');
      const [zero, one] = [cluster.job(0), cluster.job(1)];
      // Both end before the response to the first arrives.
      await Promise.all([one.end(), zero.fail()]);
      expect(running()).toEqual([0]);
      await end(0);
      expect(started()).toEqual([0, 1, 0]);
      expect(a.log.lines.filter(line => line.includes('could not'))).toEqual([]);
    });

    test('let the others go on if their type has relaxed order', async () => {
      const a = await typed('A', { ordering: 'relaxed' });
      await add(a, 'read', 0, twice(SECOND));
      await reads(a, 1);
      await cluster.job(0).fail();
      await reads(a, 2);
      expect(running()).toEqual([1, 2]);
      await cluster.clock.advance(SECOND);
      expect(running()).toEqual([0, 1, 2]);
    });

    test('block if they have no attempts left: the reads alongside end, and all other jobs wait for an operator', async () => {
      const a = await typed('A', { onExhausted: 'block' });
      await reads(a, 0, 1);
      await writes(a, 2);
      await cluster.job(0).fail();
      await end(1);
      await cluster.clock.advance(2 * LEASE_MS);
      expect([running(), waiting()]).toEqual([[], [0, 2]]);
      expect((await status(a)).blockedBy?.reason).toBe('the handler threw');
      await a.engine.control.unblock({ type: 'account', id: '1' }, 'retry');
      await reads(a);
      expect(running()).toEqual([0]);
      await end(0);
      expect(running()).toEqual([2]);
    });

    test('block one after the other: an operator decides about each, and neither runs again without a decision', async () => {
      const a = await typed('A', { onExhausted: 'block' });
      await reads(a, 0, 1);
      await cluster.job(1).fail(new Error('one'));
      await cluster.job(0).fail(new Error('zero'));
      expect((await status(a)).blockedBy?.reason).toBe('one');
      await a.engine.control.unblock({ type: 'account', id: '1' }, 'drop');
      await cluster.clock.advance(2 * LEASE_MS);
      expect((await status(a)).blockedBy?.reason).toBe('zero');
      expect(started()).toEqual([0, 1]);
      await a.engine.control.unblock({ type: 'account', id: '1' }, 'retry');
      await reads(a);
      expect(running()).toEqual([0]);
      await end(0);
    });

    test('both stay if one of two is retried and the other blocks', async () => {
      const a = await typed('A', { onExhausted: 'block' });
      await add(a, 'read', 0, twice(SECOND));
      await reads(a, 1);
      await writes(a, 2);
      await cluster.job(0).fail();
      await cluster.job(1).fail(new Error('one'));
      await cluster.clock.advance(SECOND);
      expect(running()).toEqual([0]);
      await end(0);
      expect((await status(a)).blockedBy?.reason).toBe('one');
      expect([started(), waiting()]).toEqual([
        [0, 1, 0],
        [1, 2],
      ]);
    });
  });

  describe('of an entity that its pod releases', () => {
    test('end during a pause, and the rest is given back', async () => {
      const a = await pod('A');
      await reads(a, 0, 1);
      await writes(a, 2);
      const ref = { type: 'account', id: '1' };
      await a.engine.control.pause(ref, true);
      await reads(a, 3);
      expect([running(), waiting()]).toEqual([
        [0, 1],
        [2, 3],
      ]);
      await end(0, 1);
      expect(running()).toEqual([]);
      await a.engine.control.pause(ref, false);
      await reads(a);
      expect(running()).toEqual([2]);
      await end(2);
      expect(running()).toEqual([3]);
    });

    test('race 12: end before a shutdown hands the entity over', async () => {
      const a = await pod('A');
      const b = await pod('B');
      await reads(a, 0, 1);
      await writes(a, 2);
      const closing = a.engine.close();
      await reads(b, 3);
      await end(1);
      expect(running()).toEqual([0]);
      await end(0);
      await closing;
      expect(cluster.starts.at(-1)).toBe('B:1:2');
      await end(2);
      expect(cluster.starts.at(-1)).toBe('B:1:3');
    });

    test('race 32: end before the pod defers a job of an unknown name', async () => {
      const a = await cluster.pod('A', {}, ['read']);
      await reads(a, 0, 1);
      await writes(a, 2);
      await reads(a, 3);
      await end(0);
      expect([running(), active().includes(2)]).toEqual([[1], true]);
      await end(1);
      expect([active(), waiting()]).toEqual([[], [2, 3]]);
      await pod('B');
      await cluster.clock.advance(2 * SECOND);
      expect(cluster.starts.at(-1)).toBe('B:1:2');
    });

    test('race 16: let others have the room between reads, but not while the others would wait for a read that runs for long', async () => {
      cluster.mostReads = 3;
      const small = await pod('S', { maxWorkersPerPod: 1, entities: { account: { maxSharedReads: 3 } } });
      await reads(small, ...Array.from({ length: 100 }, (_, i) => i));
      await small.addNamed('read', '2', 900);
      for (let i = 0; i < 40; i++) {
        await cluster.clock.advance(250);
        for (const handler of [...cluster.running]) if (handler.n > 0) await handler.end();
      }
      expect(cluster.starts.length).toBeGreaterThan(70);
    });
  });
});
