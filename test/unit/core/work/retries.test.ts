/**
 * Tries that keep the order (I6, races 6, 12 and 33): the core on the memory store and a clock that the test moves.
 * What a store must do for it is in `test/contract/retry-contract.ts`.
 */
import type { EngineOptions } from '../../../../src/core/options/options.js';
import { settle } from '../../../support/clock.js';
import { LEASE_MS, MemoryPods, type Pod } from '../../../support/memory-pods.js';

const BACKOFF_MS = 20_000;
const tries = (attempts: number, delay = 0, more: EngineOptions = {}): EngineOptions => ({
  defaultJobOptions: { attempts, backoff: { type: 'fixed', delay } },
  ...more,
});

describe('a job that is tried again', () => {
  let cluster: MemoryPods;
  let a: Pod;

  beforeEach(() => {
    cluster = new MemoryPods();
    cluster.instant = false;
  });
  afterEach(() => cluster.close());

  const numbers = () => cluster.starts.map(start => Number(start.split(':')[2]));
  const failedReasons = () =>
    cluster.server.entity({ type: 'account', id: '1' }).failed.map(({ outcome }) => outcome?.value);
  const ownersOf = (n: number) => cluster.starts.filter(start => start.endsWith(`:${n}`)).map(start => start[0]);

  test('A fails twice: A A A B C, also when B and C are fetched', async () => {
    a = await cluster.pod('A', tries(3));
    await a.add('1', ...Array.from({ length: 12 }, (_, n) => n));
    for (const n of [0, 1, 2]) await cluster.job(n).end();
    for (const _ of [1, 2]) await cluster.job(3).fail();
    for (let n = 3; n < 12; n++) await cluster.job(n).end();
    expect(numbers()).toEqual([0, 1, 2, 3, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(a.log.lines.filter(line => line.startsWith('warn'))).toHaveLength(2);
  });

  test('what was fetched is not tried by that: the last of its tries is still its third', async () => {
    a = await cluster.pod('A', tries(3));
    await a.add('1', 0, 1, 2, 3, 4, 5);
    for (const n of [0, 1]) await cluster.job(n).end();
    await cluster.job(2).fail();
    await cluster.job(2).end();
    for (const attempt of [1, 2, 3]) {
      expect(cluster.job(3).context.attempt).toBe(attempt);
      await cluster.job(3).fail();
    }
    expect(cluster.job(4).context.attempt).toBe(1);
    await cluster.job(4).end();
    await cluster.job(5).end();
    expect(failedReasons()).toEqual(['the handler threw']);
  });

  test('race 6: with the answers to earlier ends under way nothing overtakes it', async () => {
    a = await cluster.pod('A', tries(2));
    await a.add('1', ...Array.from({ length: 10 }, (_, n) => n));
    for (const n of [0, 1]) await cluster.job(n).end();
    const answerTheEnd = a.store.hold('finish');
    const answerTheTry = a.store.hold('finish');
    await cluster.job(2).end();
    await cluster.job(3).fail();
    // What comes with it was fetched before the try failed, and is given back by now.
    answerTheEnd();
    await settle();
    expect(cluster.running).toHaveLength(0);
    answerTheTry();
    await settle();
    for (const n of [3, 4, 5, 6, 7, 8, 9]) await cluster.job(n).end();
    expect(numbers()).toEqual([0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9]);
  });

  test.each(['lose', 'drop'] as const)(
    'the answer to a try that failed does not come (%s): it counts once',
    async fault => {
      a = await cluster.pod('A', tries(2));
      await a.add('1', 0, 1);
      a.store.next('finish', fault);
      await cluster.job(0).fail();
      await cluster.clock.advance(100);
      await cluster.job(0).fail();
      await cluster.job(1).end();
      expect(numbers()).toEqual([0, 0, 1]);
      expect(failedReasons()).toEqual(['the handler threw']);
    },
  );

  test('an error that is marked as unrecoverable is not tried again', async () => {
    a = await cluster.pod('A', tries(5));
    await a.add('1', 0, 1);
    await cluster.job(0).fail(Object.assign(new Error('no such account'), { name: 'UnrecoverableError' }));
    await cluster.job(1).end();
    expect(numbers()).toEqual([0, 1]);
    expect(failedReasons()).toEqual(['no such account']);
  });

  test('it is told with each try, and as failed with the last', async () => {
    a = await cluster.pod('A', tries(2, 5));
    await a.add('1', 0);
    await cluster.job(0).fail();
    await cluster.clock.advance(5);
    await cluster.job(0).fail();
    expect(a.events.filter(({ type }) => type.startsWith('job.'))).toEqual([
      expect.objectContaining({ type: 'job.started', attempt: 1 }),
      expect.objectContaining({ type: 'job.retried', attempt: 1, delayMs: 5, reason: 'the handler threw' }),
      expect.objectContaining({ type: 'job.started', attempt: 2 }),
      expect.objectContaining({ type: 'job.failed', attempt: 2, reason: 'the handler threw' }),
    ]);
  });

  test('relaxed: the others go on', async () => {
    a = await cluster.pod('A', tries(2, 0, { entities: { account: { ordering: 'relaxed' } } }));
    await a.add('1', 0, 1, 2, 3);
    await cluster.job(0).fail();
    for (const n of [1, 2, 3, 0]) await cluster.job(n).end();
    expect(numbers()).toEqual([0, 1, 2, 3, 0]);
  });

  describe('with its tries used up', () => {
    const block = tries(2, 0, { entities: { account: { onExhausted: 'block' } } });
    const one = { type: 'account', id: '1' };

    test('it blocks its entity, and no other, until a person decides', async () => {
      a = await cluster.pod('A', block);
      await a.add('1', 0, 1);
      for (const _ of [1, 2]) await cluster.job(0).fail();
      await a.add('1', 2);
      await a.add('2', 10);
      await cluster.clock.advance(60_000);
      expect(numbers()).toEqual([0, 0, 10]);
      expect(a.log.lines.join()).toContain('has used up its tries, and blocks account:1 until somebody decides');
      expect(a.events).toContainEqual(expect.objectContaining({ type: 'job.blocked', jobId: '1', attempt: 2 }));
      await a.engine.control.unblock(one, 'retry');
      await cluster.clock.advance(5000);
      await cluster.job(0).end();
      await cluster.job(1).end();
      await cluster.job(2).end();
      await cluster.job(10).end();
      expect(numbers()).toEqual([0, 0, 10, 0, 1, 2]);
    });

    test('skipped, it fails without running, and does not block again', async () => {
      a = await cluster.pod('A', block);
      await a.add('1', 0, 1);
      for (const _ of [1, 2]) await cluster.job(0).fail();
      await a.engine.control.unblock(one, 'skip');
      await settle();
      await cluster.job(1).end();
      expect(numbers()).toEqual([0, 0, 1]);
      expect(failedReasons()).toEqual(['the handler threw']);
    });
  });

  test('a pause: the running job ends, what was fetched waits, and goes on with the resume', async () => {
    a = await cluster.pod('A');
    const b = await cluster.pod('B');
    const one = { type: 'account', id: '1' };
    await a.add('1', ...Array.from({ length: 10 }, (_, n) => n));
    for (const n of [0, 1, 2]) await cluster.job(n).end();
    await b.engine.control.pause(one, true);
    await settle();
    await cluster.job(3).end();
    await cluster.clock.advance(2000);
    expect(cluster.running).toHaveLength(0);
    await b.engine.control.pause(one, false);
    await cluster.clock.advance(20);
    for (let n = 4; n < 10; n++) await cluster.job(n).end();
    expect(numbers()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  describe('through its backoff', () => {
    test('its successors wait, and what is added; all in order', async () => {
      a = await cluster.pod('A', tries(2, BACKOFF_MS));
      await a.add('1', 0, 1);
      await cluster.job(0).fail();
      await a.add('1', 2);
      await cluster.clock.advance(BACKOFF_MS - 1);
      expect(numbers()).toEqual([0]);
      await cluster.clock.advance(1);
      for (const n of [0, 1, 2]) await cluster.job(n).end();
      expect(numbers()).toEqual([0, 0, 1, 2]);
    });

    test('the owner dies: another pod goes on, at its time and not before, and the try counts', async () => {
      a = await cluster.pod('A', tries(2, BACKOFF_MS));
      const b = await cluster.pod('B', tries(2, BACKOFF_MS));
      await a.add('1', 0, 1);
      await cluster.job(0).fail();
      a.store.break('drop');
      await cluster.clock.advance(BACKOFF_MS - 1);
      expect(numbers()).toEqual([0]);
      await cluster.clock.advance(1001);
      expect(cluster.job(0)).toMatchObject({ pod: 'B', context: { attempt: 2 } });
      await cluster.job(0).fail();
      await cluster.job(1).end();
      expect(ownersOf(1)).toEqual(['B']);
      expect(b.log.lines.join()).toContain('failed: the handler threw');
    });

    test('the owner shuts down: so does that', async () => {
      a = await cluster.pod('A', tries(2, BACKOFF_MS));
      await cluster.pod('B', tries(2, BACKOFF_MS));
      await a.add('1', 0, 1);
      await cluster.job(0).fail();
      await cluster.clock.advance(BACKOFF_MS / 2);
      await a.engine.close();
      await cluster.clock.advance(BACKOFF_MS / 2 - 1);
      expect(numbers()).toEqual([0]);
      await cluster.clock.advance(1001);
      await cluster.job(0).end();
      await cluster.job(1).end();
      expect(ownersOf(0)).toEqual(['A', 'B']);
    });

    test('race 12: a pod that shuts down while the try fails hands it over, with its count', async () => {
      a = await cluster.pod('A', tries(2, 500));
      await cluster.pod('B', tries(2, 500));
      await cluster.clock.advance(LEASE_MS);
      await a.add('1', 0, 1);
      const closed = a.engine.close();
      await settle();
      await cluster.job(0).fail();
      await closed;
      await cluster.clock.advance(1500);
      await cluster.job(0).fail();
      await cluster.job(1).end();
      expect(ownersOf(0)).toEqual(['A', 'B']);
      expect(numbers()).toEqual([0, 0, 1]);
    });

    test('race 16: it takes no room from others', async () => {
      a = await cluster.pod('A', tries(2, BACKOFF_MS, { maxWorkersPerPod: 1 }));
      await a.add('1', 0, 1);
      await cluster.job(0).fail();
      await a.add('2', 10);
      await cluster.clock.advance(3000);
      await cluster.job(10).end();
      await cluster.clock.advance(BACKOFF_MS);
      await cluster.job(0).end();
      await cluster.job(1).end();
      expect(numbers()).toEqual([0, 10, 0, 1]);
    });

    test('I8: one that is idle meanwhile goes, and is there again in time', async () => {
      a = await cluster.pod('A', tries(2, 10 * BACKOFF_MS));
      await a.add('1', 0);
      await cluster.job(0).fail();
      await cluster.clock.advance(20_000);
      expect(cluster.server.entity({ type: 'account', id: '1' }).owner).toBeUndefined();
      await cluster.clock.advance(10 * BACKOFF_MS - 20_000);
      await cluster.clock.advance(1000);
      await cluster.job(0).end();
      expect(numbers()).toEqual([0, 0]);
    });

    test('an idle worker is not made to begin anew with each renewal', async () => {
      a = await cluster.pod('A', tries(2, BACKOFF_MS / 2));
      await a.add('1', 0, 1);
      await cluster.job(0).fail();
      await cluster.clock.advance(BACKOFF_MS / 2);
      expect(a.store.calls.filter(call => call === 'resync')).toEqual([]);
      await cluster.job(0).end();
      await cluster.job(1).end();
    });
  });
});
