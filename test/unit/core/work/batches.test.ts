/**
 * Batches (I2, I6, races 6, 7, 12, 28, 32): the core on the store in memory and a clock that the test moves.
 * What a store must do for them is in `test/contract/batch-contract.ts`.
 */
import type { EngineOptions } from '../../../../src/core/options/options.js';
import { settle } from '../../../support/clock.js';
import { LEASE_MS, MemoryPods, type Pod } from '../../../support/memory-pods.js';
import type { Batches } from '../../../support/running-handlers.js';

const WAIT_MS = 500;
const BACKOFF_MS = 20_000;
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
const withAttempts = (attempts: number, delay = 0, more: EngineOptions = {}): EngineOptions => ({
  defaultJobOptions: { attempts, backoff: { type: 'fixed', delay } },
  ...more,
});

describe('batches', () => {
  let cluster: MemoryPods;

  beforeEach(() => {
    cluster = new MemoryPods({ instant: false });
  });
  afterEach(() => cluster.close());

  /** A pod that handles jobs named "withdraw" in batches, and all others one by one. */
  const pod = (name: string, withdraw: Batches[string], options: EngineOptions = {}) =>
    cluster.pod(name, options, ['*'], { withdraw });
  const eventsOf = (a: Pod, type: string) =>
    a.events.filter(event => event.type === type).map(event => 'jobId' in event && event.jobId);
  const ends = async (count: number) => {
    for (let i = 0; i < count; i++) await cluster.batch.end();
  };

  describe('without a wait', () => {
    test('start with the jobs at hand: consecutive jobs, in order, at most max', async () => {
      const a = await pod('A', { max: 4 });
      await a.add('1', ...range(0, 10));
      expect(cluster.batch.ns).toEqual([0, 1, 2, 3]);
      await ends(3);
      expect(cluster.batches).toEqual(['A:1:0,1,2,3', 'A:1:4,5,6,7', 'A:1:8,9']);
      expect(eventsOf(a, 'job.started')).toHaveLength(10);
      expect(eventsOf(a, 'job.completed')).toHaveLength(10);
    });

    test('collect the jobs that arrive during a run into the next batch, in one fetch', async () => {
      const a = await pod('A', { max: 100 });
      await a.add('1', 0);
      for (const n of range(1, 60)) await a.add('1', n);
      const before = a.store.calls.length;
      await cluster.batch.end();
      expect(cluster.batch.ns).toEqual(range(1, 60));
      expect(a.store.calls.slice(before)).toEqual(['finish']);
      await cluster.batch.end();
      expect(cluster.runningBatches).toEqual([]);
    });

    test('I6: are split by jobs of other names, which come in their turn', async () => {
      const a = await pod('A', { max: 10 });
      await a.add('1', 0, 1);
      await a.addNamed('audit', '1', 2);
      await a.add('1', 3, 4);
      await a.addNamed('audit', '1', 5, 6);
      const order: string[] = [];
      for (let i = 0; i < 5; i++) {
        const [running] = cluster.running;
        if (running) {
          order.push(`one ${running.n}`);
          await running.end();
        } else {
          order.push(`batch ${cluster.batch.ns.join()}`);
          await cluster.batch.end();
        }
      }
      expect(order).toEqual(['batch 0,1', 'one 2', 'batch 3,4', 'one 5', 'one 6']);
    });

    test('of one entity do not overlap, but those of two entities do', async () => {
      const a = await pod('A', { max: 2 });
      await a.add('1', ...range(0, 4));
      await a.add('2', ...range(10, 12));
      expect(cluster.runningBatches.map(({ ns }) => ns)).toEqual([
        [0, 1],
        [10, 11],
      ]);
      for (const running of [...cluster.runningBatches]) await running.end();
      await cluster.batch.end();
    });

    test('give each job its result, or give none, and report any other return value as an error', async () => {
      const a = await pod('A', { max: 2 });
      const values: unknown[] = [];
      const remember = () => {
        const [, settlements] = a.store.lastArguments.get('finish') ?? [];
        values.push((settlements as { outcome: unknown }[]).map(({ outcome }) => (outcome as { value: string }).value));
      };
      for (const result of [['x', { y: 1 }], undefined, ['only one'], 7]) {
        await a.add('1', 0, 1);
        await cluster.batch.end(result);
        remember();
      }
      expect(values).toEqual([
        ['"x"', '{"y":1}'],
        ['null', 'null'],
        ['null', 'null'],
        ['null', 'null'],
      ]);
      expect(
        a.log.lines.filter(line => line.includes('did not return an array with one result for each job')),
      ).toHaveLength(2);
    });

    test('keep to the rate of their type: a batch has only as many jobs as the rate allows', async () => {
      const a = await pod('A', { max: 10 }, { entities: { account: { rateLimit: { max: 3, durationMs: 1000 } } } });
      await a.add('1', ...range(0, 7));
      expect(cluster.batch.ns).toEqual([0, 1, 2]);
      await cluster.batch.end();
      expect(cluster.runningBatches).toEqual([]);
      await cluster.clock.advance(1000);
      expect(cluster.batch.ns).toEqual([3, 4, 5]);
      await cluster.batch.end();
      await cluster.clock.advance(1000);
      expect(cluster.batch.ns).toEqual([6]);
    });
  });

  describe('with a wait', () => {
    test('start when the first job has waited long enough, and do not ask the store meanwhile', async () => {
      const a = await pod('A', { max: 5, maxWaitMs: WAIT_MS });
      await a.add('1', 0);
      const before = a.count('take');
      await cluster.clock.advance(WAIT_MS - 1);
      expect(cluster.batches).toEqual([]);
      await cluster.clock.advance(1);
      expect(cluster.batches).toEqual(['A:1:0']);
      expect(a.count('take')).toBe(before);
      await cluster.batch.end();
    });

    test('start at once when they are full: each job of this pod comes with the response to its add', async () => {
      const a = await pod('A', { max: 3, maxWaitMs: WAIT_MS });
      await a.add('1', 0);
      const before = a.count('take');
      await a.add('1', 1);
      expect(cluster.batches).toEqual([]);
      await a.add('1', 2);
      expect(cluster.batches).toEqual(['A:1:0,1,2']);
      expect(a.count('take')).toBe(before);
      await cluster.batch.end();
    });

    test('receive jobs of another pod through a wake-up', async () => {
      const a = await pod('A', { max: 3, maxWaitMs: WAIT_MS });
      const b = await pod('B', { max: 3 }, { producerOnly: true });
      await a.add('1', 0);
      await b.add('1', 1);
      await b.add('1', 2);
      expect(cluster.batches).toEqual(['A:1:0,1,2']);
      await cluster.batch.end();
    });

    test('remember a wake-up that arrives while a fetch is under way', async () => {
      const a = await pod('A', { max: 4, maxWaitMs: WAIT_MS });
      const b = await pod('B', { max: 4 }, { producerOnly: true });
      const answer = a.store.hold('take');
      await a.add('1', 0);
      await b.add('1', 1, 2, 3);
      answer();
      await settle();
      expect(cluster.batches).toEqual(['A:1:0,1,2,3']);
      await cluster.batch.end();
    });

    test('I6: stop waiting when a job of another name comes', async () => {
      const a = await pod('A', { max: 5, maxWaitMs: WAIT_MS });
      await a.add('1', 0, 1);
      await a.addNamed('audit', '1', 2);
      expect(cluster.batches).toEqual(['A:1:0,1']);
      await cluster.batch.end();
      await cluster.job(2).end();
    });

    test('that wait longer than the idle time and the lease keep their claim: it is renewed, and no other pod takes it', async () => {
      const options = { entities: { account: { idleTimeoutSeconds: 1 } } };
      const a = await pod('A', { max: 5, maxWaitMs: 10 * LEASE_MS }, options);
      await pod('B', { max: 5 }, options);
      // The same after the worker was idle.
      await a.addNamed('audit', '1', 9);
      await cluster.job(9).end();
      await a.add('1', 0);
      await cluster.clock.advance(5 * LEASE_MS);
      expect(a.store.calls).not.toContain('resync');
      await a.add('1', 1);
      await cluster.clock.advance(5 * LEASE_MS);
      expect(cluster.batches).toEqual(['A:1:0,1']);
      expect(cluster.batch.context.signal.aborted).toBe(false);
      await cluster.batch.end();
    });

    test('race 12: are given back uncounted by a pod that shuts down while they wait, and nothing starts', async () => {
      const a = await pod('A', { max: 5, maxWaitMs: WAIT_MS });
      await a.add('1', 0, 1);
      const b = await pod('B', { max: 5 });
      await a.engine.drain();
      await cluster.clock.advance(2000);
      expect(cluster.batches).toEqual(['B:1:0,1']);
      expect(cluster.stored().active.map(({ attempt }) => attempt)).toEqual([1, 1]);
      await cluster.batch.end();
      expect(eventsOf(b, 'job.completed')).toHaveLength(2);
    });

    test('stop waiting when an operator pauses the entity, and the jobs are given back', async () => {
      const a = await pod('A', { max: 5, maxWaitMs: WAIT_MS });
      await a.add('1', 0, 1);
      await a.engine.control.pause({ type: 'account', id: '1' }, true);
      await settle();
      expect(cluster.stored().wait.map(({ attempt }) => attempt)).toEqual([0, 0]);
      await cluster.clock.advance(2 * WAIT_MS);
      expect(cluster.batches).toEqual([]);
      await a.engine.control.pause({ type: 'account', id: '1' }, false);
      await settle();
      // The batch waits again.
      expect([cluster.stored().active.length, cluster.batches]).toEqual([2, []]);
      await cluster.clock.advance(WAIT_MS);
      expect(cluster.batches).toEqual(['A:1:0,1']);
      await cluster.batch.end();
    });

    test('stop waiting when the claim is lost', async () => {
      const a = await pod('A', { max: 5, maxWaitMs: 2 * LEASE_MS });
      await a.add('1', 0, 1);
      cluster.stored().owner = { podId: 'other', epoch: 1, untilMs: cluster.clock.monotonicMs() + LEASE_MS };
      await cluster.clock.advance(LEASE_MS);
      expect(a.events.map(({ type }) => type)).toContain('worker.lost');
      expect(cluster.batches).toEqual([]);
      await cluster.clock.advance(3 * LEASE_MS);
      expect(cluster.batches.map(batch => batch.split(':')[0])).toEqual(['A']);
      await cluster.batch.end();
    });

    test('give their room to other entities that wait for it, at once', async () => {
      const a = await pod('A', { max: 5, maxWaitMs: 60_000 }, { maxWorkersPerPod: 1 });
      await a.add('1', 0);
      await a.addNamed('audit', '2', 5);
      await cluster.clock.advance(5000);
      expect(cluster.starts).toEqual(['A:2:5']);
      await cluster.job(5).end();
    });
  });

  describe('that fail', () => {
    test('with a BatchFailure for some jobs: the others complete, and the failed jobs are retried together, before the jobs behind them', async () => {
      const a = await pod('A', { max: 4 }, withAttempts(3));
      await a.add('1', ...range(0, 8));
      await cluster.batch.failSome({ 1: new Error('one'), 3: new Error('three') });
      expect(cluster.batch.ns).toEqual([1, 3, 4, 5]);
      expect(
        cluster
          .stored()
          .active.slice(0, 2)
          .map(({ attemptsMade }) => attemptsMade),
      ).toEqual([1, 1]);
      await cluster.batch.end();
      await cluster.batch.end();
      expect(cluster.batches).toEqual(['A:1:0,1,2,3', 'A:1:1,3,4,5', 'A:1:6,7']);
      expect(eventsOf(a, 'job.retried')).toHaveLength(2);
      expect(eventsOf(a, 'job.completed')).toHaveLength(8);
    });

    test('run nothing of the entity until the longest of their backoffs is over', async () => {
      const a = await pod(
        'A',
        { max: 4 },
        { defaultJobOptions: { attempts: 5, backoff: { type: 'exponential', delay: 1000 } } },
      );
      await a.add('1', 0, 1);
      await cluster.batch.end();
      await a.add('1', ...range(2, 4));
      await cluster.batch.failSome({ [cluster.batch.ns[0] ?? 0]: new Error('first') });
      expect(cluster.runningBatches).toEqual([]);
      const retried = a.events.filter(event => event.type === 'job.retried');
      expect(retried.map(event => event.type === 'job.retried' && event.delayMs)).toEqual([1000]);
      await cluster.clock.advance(1000);
      await cluster.batch.failSome(Object.fromEntries(cluster.batch.ns.map(n => [n, new Error('again')])));
      const delays = a.events.flatMap(event => (event.type === 'job.retried' ? [event.delayMs] : []));
      expect(new Set(delays.slice(1)).size).toBe(1);
      expect(Math.max(...delays.slice(1))).toBe(2000);
      await cluster.clock.advance(1999);
      expect(cluster.runningBatches).toEqual([]);
      await cluster.clock.advance(1);
      await cluster.batch.end();
    });

    test('with another error fail as a whole, each job with an attempt of its own', async () => {
      const a = await pod('A', { max: 3 }, withAttempts(2));
      await a.add('1', 0, 1, 2);
      while (cluster.batch.ns.length < 3) await cluster.batch.end();
      await cluster.batch.fail(new Error('all'));
      const { ns } = cluster.batch;
      await cluster.batch.fail(new Error('all again'));
      expect(cluster.failedReasons()).toEqual(ns.map(() => 'all again'));
    });

    test.each([
      ['names a job of another batch', { 77: new Error('no such') }, 'not part of its batch'],
      ['names no job', {}, 'names no job'],
    ])('with a BatchFailure that %s fail as a whole', async (_, failures, reason) => {
      const a = await pod('A', { max: 3 });
      await a.add('1', 0, 1, 2);
      await cluster.batch.failSome(failures);
      expect(cluster.failedReasons()).toEqual([0, 1, 2].map(() => expect.stringContaining(reason)));
      expect(eventsOf(a, 'job.completed')).toEqual([]);
    });

    test('can have one job that fails finally and another that is retried', async () => {
      const a = await pod('A', { max: 3 }, withAttempts(3));
      await a.add('1', 0, 1, 2);
      const unrecoverable = Object.assign(new Error('for good'), { name: 'UnrecoverableError' });
      await cluster.batch.failSome({ 0: unrecoverable, 2: new Error('later') });
      expect(cluster.failedReasons()).toEqual(['for good']);
      expect(cluster.batch.ns).toEqual([2]);
      await cluster.batch.end();
      expect(eventsOf(a, 'job.failed')).toHaveLength(1);
    });

    test('block one after the other if two jobs have used up their attempts, and do not run those again', async () => {
      const account = { type: 'account', id: '1' };
      const a = await pod('A', { max: 4 }, { entities: { account: { onExhausted: 'block' } } });
      await a.add('1', ...range(0, 5));
      await cluster.batch.failSome({ 1: new Error('one'), 2: new Error('two') });
      expect(await a.engine.control.status(account)).toMatchObject({ blockedBy: { reason: 'one' } });
      expect(eventsOf(a, 'job.blocked')).toHaveLength(1);
      await a.engine.control.unblock(account, 'skip');
      await cluster.clock.advance(LEASE_MS);
      expect(await a.engine.control.status(account)).toMatchObject({ blockedBy: { reason: 'two' } });
      expect(eventsOf(a, 'job.blocked')).toHaveLength(2);
      expect(cluster.batches).toEqual(['A:1:0,1,2,3']);
      await a.engine.control.unblock(account, 'retry');
      await cluster.clock.advance(LEASE_MS);
      expect(cluster.batch.ns).toEqual([2, 4]);
      await cluster.batch.end();
      expect(cluster.failedReasons()).toEqual(['one']);
    });

    test('leave out a job that blocks behind a retried one: it fails when its turn comes', async () => {
      const account = { type: 'account', id: '1' };
      const a = await pod('A', { max: 4 }, withAttempts(2, 0, { entities: { account: { onExhausted: 'block' } } }));
      await a.add('1', ...range(0, 4));
      const unrecoverable = Object.assign(new Error('for good'), { name: 'UnrecoverableError' });
      await cluster.batch.failSome({ 0: new Error('zero'), 1: unrecoverable });
      expect(cluster.batch.ns).toEqual([0]);
      expect((await a.engine.control.status(account)).blockedBy).toBeUndefined();
      await cluster.batch.end();
      expect(await a.engine.control.status(account)).toMatchObject({ blockedBy: { reason: 'for good' } });
      expect(cluster.batches).toEqual(['A:1:0,1,2,3', 'A:1:0']);
    });

    test('in relaxed order: each failed job waits by itself, and the others go on', async () => {
      const a = await pod(
        'A',
        { max: 3 },
        withAttempts(2, BACKOFF_MS, { entities: { account: { ordering: 'relaxed' } } }),
      );
      await a.add('1', ...range(0, 5));
      await cluster.batch.failSome({ 0: new Error('zero') });
      expect(cluster.batch.ns).toEqual([3, 4]);
      await cluster.batch.end();
      await cluster.clock.advance(BACKOFF_MS + 2000);
      expect(cluster.batch.ns).toEqual([0]);
      await cluster.batch.end();
    });
  });

  describe('under faults', () => {
    test.each(['lose', 'drop'] as const)(
      'race 28: run no completed job again and count no attempt twice if the response to their end is lost (%s)',
      async fault => {
        const a = await pod('A', { max: 4 }, withAttempts(3));
        await a.add('1', ...range(0, 6));
        a.store.next('finish', fault);
        await cluster.batch.failSome({ 0: new Error('zero'), 2: new Error('two') });
        await cluster.clock.advance(2000);
        expect(cluster.batch.ns).toEqual([0, 2, 4, 5]);
        expect(cluster.stored().active.map(({ attemptsMade }) => attemptsMade)).toEqual([1, 1, 0, 0]);
        await cluster.batch.end();
        expect(cluster.batches).toEqual(['A:1:0,1,2,3', 'A:1:0,2,4,5']);
      },
    );

    test('whose jobs have ended are not started again while the response is late', async () => {
      const a = await pod('A', { max: 2 }, withAttempts(2));
      await a.add('1', ...range(0, 12));
      await ends(3);
      // By now more jobs are prefetched than the batch that runs has.
      expect([cluster.batch.ns, cluster.stored().active.length]).toEqual([[6, 7], 4]);
      const answer = a.store.hold('finish');
      await cluster.batch.failSome({ 6: new Error('six') });
      expect(cluster.runningBatches).toEqual([]);
      answer();
      await settle();
      expect(cluster.batch.ns).toEqual([6, 8]);
      await ends(3);
      expect(cluster.batches.slice(3)).toEqual(['A:1:6,7', 'A:1:6,8', 'A:1:9,10', 'A:1:11']);
    });

    test('race 7: run their jobs one at a time after a crash, each alone, until all have finished', async () => {
      const a = await pod('A', { max: 4, maxWaitMs: 0 });
      await a.add('1', ...range(0, 8));
      expect(cluster.batch.ns).toEqual([0, 1, 2, 3]);
      // Its process is gone: it sends nothing any more.
      a.store.break('drop');
      const dead = cluster.batch;
      cluster.runningBatches.splice(0);
      const b = await pod('B', { max: 4, maxWaitMs: WAIT_MS });
      await cluster.clock.advance(3 * LEASE_MS);
      const taken = b.events.find(event => event.type === 'worker.takeover');
      expect(taken).toMatchObject({ recovered: expect.any(Number) });
      expect(cluster.stored().active.length + cluster.stored().wait.length).toBe(8);
      for (const n of range(0, 4)) {
        expect(cluster.batch.ns).toEqual([n]);
        expect(cluster.stored().active).toHaveLength(1);
        await cluster.batch.end();
      }
      await cluster.clock.advance(WAIT_MS);
      while (cluster.runningBatches.length > 0) {
        await cluster.batch.end();
        await cluster.clock.advance(WAIT_MS);
      }
      expect(cluster.batches.slice(0, 5)).toEqual(['A:1:0,1,2,3', 'B:1:0', 'B:1:1', 'B:1:2', 'B:1:3']);
      expect(cluster.batches.slice(1).flatMap(batch => batch.split(':')[2]?.split(','))).toEqual(
        range(0, 8).map(String),
      );
      await dead.end();
    });

    test('I2: do not start under a lease that has expired', async () => {
      const a = await pod('A', { max: 2, maxWaitMs: 2 * LEASE_MS });
      await a.add('1', 0);
      cluster.clock.stall(2 * LEASE_MS);
      // No renewal is sent.
      a.store.silent = true;
      await cluster.clock.advance(1);
      expect(cluster.batches).toEqual([]);
      a.store.silent = false;
      await cluster.clock.advance(2 * LEASE_MS);
      expect(cluster.batches).toEqual(['A:1:0']);
      await cluster.batch.end();
    });

    test('keep the locks of all their jobs alive', async () => {
      const a = await pod('A', { max: 3 });
      await a.add('1', 0, 1, 2);
      await cluster.clock.advance(LEASE_MS);
      const [renewals] = a.store.lastArguments.get('renew') ?? [];
      const [renewal] = renewals as { idle: boolean; runningJobIds: string[] }[];
      expect([renewal?.idle, renewal?.runningJobIds.length]).toEqual([false, 3]);
      await cluster.batch.end();
    });

    test('do not count if their claim is lost while they run', async () => {
      const a = await pod('A', { max: 3 });
      await a.add('1', 0, 1, 2);
      cluster.stored().owner = { podId: 'other', epoch: 1, untilMs: cluster.clock.monotonicMs() + 100 * LEASE_MS };
      await cluster.clock.advance(LEASE_MS);
      expect(cluster.batch.context.signal.aborted).toBe(true);
      await cluster.batch.end();
      expect(a.store.calls).not.toContain('finish');
      expect(cluster.stored().active).toHaveLength(3);
      cluster.stored().active = [];
      cluster.stored().owner = undefined;
    });
  });

  describe('with several handlers at once', () => {
    const options: EngineOptions = { entities: { account: { workerConfig: { concurrency: 2 } } } };

    test('take one of the handlers', async () => {
      cluster.atOnce = 2;
      const a = await pod('A', { max: 2 }, options);
      await a.add('1', ...range(0, 7));
      expect(cluster.runningBatches.map(({ ns }) => ns)).toHaveLength(2);
      while (cluster.runningBatches.length > 0) await cluster.runningBatches[0]?.end();
      const ran = cluster.batches.flatMap(batch => batch.split(':')[2]?.split(',').map(Number));
      expect(ran).toEqual(range(0, 7));
      expect(Math.max(...cluster.batches.map(batch => batch.split(',').length))).toBe(2);
    });

    test('that wait fill up with added jobs, alongside a job that runs', async () => {
      cluster.atOnce = 2;
      const a = await pod('A', { max: 2, maxWaitMs: 60_000 }, options);
      await a.add('1', 0);
      await a.add('1', 1);
      expect(cluster.runningBatches.map(({ ns }) => ns)).toEqual([[0, 1]]);
      await a.add('1', 2);
      expect(cluster.runningBatches).toHaveLength(1);
      await a.add('1', 3);
      expect(cluster.runningBatches.map(({ ns }) => ns)).toEqual([
        [0, 1],
        [2, 3],
      ]);
      for (const running of [...cluster.runningBatches]) await running.end();
    });
  });

  test('rolling deploy: one pod handles a name in batches, and another pod handles it one by one', async () => {
    const a = await pod('A', { max: 3 }, withAttempts(3));
    const b = await cluster.pod('B', withAttempts(3));
    await a.add('1', ...range(0, 5));
    await Promise.all([a.engine.drain(), cluster.batch.failSome({ 1: new Error('one') })]);
    await cluster.clock.advance(2000);
    for (const n of [1, 3, 4]) await cluster.job(n).end();
    expect(cluster.starts).toEqual(['B:1:1', 'B:1:3', 'B:1:4']);
    expect(b.events.filter(({ type }) => type === 'job.completed')).toHaveLength(3);
  });
});
