/**
 * Shared reads (I2, I5, I6, I7, races 6, 7, 12, 28, 32): the core on the memory store and a clock that the test moves. Handlers refuse
 * to run beside what they must not: see `MemoryPods.handle`.
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
    cluster = new MemoryPods();
    cluster.instant = false;
    cluster.shared = ['read'];
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
  const entity = () => cluster.server.entity({ type: 'account', id: '1' });
  const active = () => entity().active.map(({ data }) => JSON.parse(data).n);
  const waiting = () => entity().wait.map(({ data }) => JSON.parse(data).n);
  const end = async (...ns: number[]) => {
    for (const n of ns) await cluster.job(n).end();
  };
  const status = (on: Pod) => on.engine.control.status({ type: 'account', id: '1' });
  /** Writes until the window is wide, and so many jobs behind them that are fetched by then. */
  const prefetched = async (a: Pod, behind: () => Promise<void>) => {
    await writes(a, 0, 1, 2, 3);
    await behind();
    await end(0, 1, 2);
    expect(running()).toEqual([3]);
  };

  describe('what runs beside what', () => {
    test('reads run beside each other, under one token', async () => {
      const a = await pod('A');
      await reads(a, 0, 1, 2);
      expect(running()).toEqual([0, 1, 2]);
      expect(new Set(cluster.running.map(({ context }) => context.fencingToken)).size).toBe(1);
    });

    test('a write waits for all reads before it, and the reads behind it wait for the write', async () => {
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

    test('reads that come without end do not keep a write from running', async () => {
      const a = await pod('A');
      await reads(a, 0);
      await writes(a, 1);
      for (let n = 2; n < 40; n++) await reads(a, n);
      await end(0);
      expect(running()).toEqual([1]);
      await end(1);
      expect(running()).toHaveLength(16);
    });

    test('at most maxSharedReads at once; one that ends makes room for the next', async () => {
      cluster.mostReads = 2;
      const a = await typed('A', { maxSharedReads: 2 });
      await reads(a, 0, 1, 2, 3);
      expect(running()).toEqual([0, 1]);
      await end(1);
      expect(running()).toEqual([0, 2]);
      await end(0);
      expect(running()).toEqual([2, 3]);
    });

    test('with maxSharedReads 1 they are as any other job', async () => {
      const a = await typed('A', { maxSharedReads: 1 });
      await reads(a, 0, 1);
      expect(running()).toEqual([0]);
      await end(0);
      expect(running()).toEqual([1]);
    });

    test('reads of a pod that has none are run one by one there', async () => {
      cluster.shared = [];
      const a = await pod('A');
      await reads(a, 0, 1);
      expect(running()).toEqual([0]);
      await end(0, 1);
      const [, settlements = []] = a.store.lastArguments.get('finish') ?? [];
      const [settlement] = settlements as Settlement[];
      expect(settlement).toBeDefined();
      expect(settlement).not.toHaveProperty('beside');
    });

    test('a batch waits for the reads before it, and is itself beside nothing', async () => {
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

    test('the rate of a type is kept', async () => {
      const a = await typed('A', { rateLimit: { max: 2, durationMs: SECOND } });
      await reads(a, 0, 1, 2, 3);
      expect(running()).toEqual([0, 1]);
      await cluster.clock.advance(SECOND);
      expect(running()).toEqual([0, 1, 2, 3]);
    });

    test('I2: none starts under a lease that has run out', async () => {
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

  describe('what is enqueued while reads run', () => {
    test('starts at once, also from another pod, though one runs for long', async () => {
      const a = await pod('A');
      const b = await pod('B');
      await reads(a, 0);
      await reads(b, 1);
      await reads(a, 2);
      await reads(b, 3);
      expect(running()).toEqual([0, 1, 2, 3]);
      expect(cluster.starts.every(start => start.startsWith('A:'))).toBe(true);
    });

    test('starts at once also in the next span of reads, after a write', async () => {
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

    test('starts at once also after a batch that has waited for jobs', async () => {
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

    test('starts at once where several come together for an idle worker, from its pod or another', async () => {
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

    test('starts at once also after the worker has begun anew', async () => {
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

    test('starts at once also while the answer to an end is owed', async () => {
      const a = await pod('A');
      const b = await pod('B', { producerOnly: true });
      await reads(a, 0, 1);
      const release = a.store.hold('finish');
      await end(0);
      await reads(b, 2);
      expect(running()).toEqual([1, 2]);
      release();
    });

    test('I7: of which no wake-up told is found with the next renewal', async () => {
      const a = await pod('A');
      const b = await pod('B', { producerOnly: true });
      await reads(a, 0);
      const wake = cluster.server.wake;
      cluster.server.wake = () => {};
      await reads(b, 1);
      cluster.server.wake = wake;
      expect(running()).toEqual([0]);
      await cluster.clock.advance(LEASE_MS / 3);
      expect(running()).toEqual([0, 1]);
    });

    test('costs no more calls than a write, from the second read of a claim on', async () => {
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

    test('is not fetched one by one in vain while a write is next', async () => {
      const a = await pod('A');
      const b = await pod('B', { producerOnly: true });
      await reads(a, 0);
      await writes(a, 1);
      const before = a.store.calls.filter(call => call === 'take').length;
      for (const n of [2, 3, 4]) await reads(b, n);
      expect(a.store.calls.filter(call => call === 'take')).toHaveLength(before);
      await end(0, 1);
      expect(running()).toEqual([2, 3, 4]);
    });
  });

  describe('ends', () => {
    test('in any order, each by itself', async () => {
      const a = await pod('A');
      await reads(a, 0, 1, 2);
      await end(2);
      await cluster.job(1).fail();
      expect(active()).toEqual([0]);
      await end(0);
      expect([active(), a.store.calls.includes('resync')]).toEqual([[], false]);
      expect(entity().failed.map(({ data }) => JSON.parse(data).n)).toEqual([1]);
    });

    test('I6: the end of a read does not overtake that of an older write', async () => {
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

    test('I6: a write does not wait for the confirmation of reads, and does not overtake their ends', async () => {
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
      // What was refused with the first is made good with it.
      expect([active(), started()]).toEqual([[], [0, 1, 2, 3, 4, 5, 6]]);
      expect(a.store.calls).toContain('resync');
      release();
    });

    test('I6: a crash before the end of a read was confirmed puts it before the write again', async () => {
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

    test('race 28: after a lost answer nothing starts until all reads have ended, and none runs twice', async () => {
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

  describe('a pod that dies', () => {
    test('race 7: nobody is blamed; its reads run one at a time, in order, and then beside each other again', async () => {
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

    test('I1: a lost entity waits for all its reads before anything of it starts here again', async () => {
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

  describe('a read that fails', () => {
    const twice = (delay: number): JobOptions => ({ attempts: 2, backoff: { type: 'fixed', delay } });

    test('race 6: is the next again; what runs beside it ends, and nothing new starts before it', async () => {
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

    test('runs again beside the others, when its time has come', async () => {
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

    test('without a backoff runs again at once', async () => {
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
    ])('two wait for the later of their times (%i s, %i s)', async (first, second) => {
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

    test('counts one try where the answer was lost, and what runs beside it is not given back', async () => {
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

    test('I6: does not put back what has ended and is not confirmed', async () => {
      const a = await pod('A');
      await add(a, 'read', 0, twice(0));
      await reads(a, 1);
      a.store.next('finish', 'refuse');
      const [zero, one] = [cluster.job(0), cluster.job(1)];
      // Both end before the first of them is answered.
      await Promise.all([one.end(), zero.fail()]);
      expect(running()).toEqual([0]);
      await end(0);
      expect(started()).toEqual([0, 1, 0]);
      expect(a.log.lines.filter(line => line.includes('could not'))).toEqual([]);
    });

    test('is relaxed where its type is: the others go on', async () => {
      const a = await typed('A', { ordering: 'relaxed' });
      await add(a, 'read', 0, twice(SECOND));
      await reads(a, 1);
      await cluster.job(0).fail();
      await reads(a, 2);
      expect(running()).toEqual([1, 2]);
      await cluster.clock.advance(SECOND);
      expect(running()).toEqual([0, 1, 2]);
    });

    test('and blocks: those beside it end, and all others wait for a person', async () => {
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

    test('where two block, a person decides about one after the other, and neither runs again unasked', async () => {
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

    test('of two, one to be tried again and one that blocks, both are kept', async () => {
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

  describe('the entity is given up', () => {
    test('a pause lets the reads end, and gives back the rest', async () => {
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

    test('race 12: a shutdown hands it over when all reads have ended', async () => {
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

    test('race 32: a job of an unknown name is left once the reads before it have ended', async () => {
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

    test('race 16: for room it gives way between reads, and not while others would wait for one that runs for long', async () => {
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
