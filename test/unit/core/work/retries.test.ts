/**
 * Retries that keep the order (I6, races 6, 12 and 33): the core on the store in memory and a clock that the test moves.
 * What a store must do for them is in `test/contract/retry-contract.ts`.
 */
import type { EngineOptions } from '../../../../src/core/options/options.js';
import { settle } from '../../../support/clock.js';
import { LEASE_MS, MemoryPods, type Pod } from '../../../support/memory-pods.js';

const BACKOFF_MS = 20_000;
const withAttempts = (attempts: number, delay = 0, more: EngineOptions = {}): EngineOptions => ({
  defaultJobOptions: { attempts, backoff: { type: 'fixed', delay } },
  ...more,
});

describe('a job that is retried', () => {
  let cluster: MemoryPods;
  let a: Pod;

  beforeEach(() => {
    cluster = new MemoryPods({ instant: false });
  });
  afterEach(() => cluster.close());

  const numbers = () => cluster.starts.map(start => Number(start.split(':')[2]));
  const ownersOf = (n: number) => cluster.starts.filter(start => start.endsWith(`:${n}`)).map(start => start[0]);

  test('runs before its successors, even if they were fetched: A fails twice, so A A A B C run', async () => {
    a = await cluster.pod('A', withAttempts(3));
    await a.add('1', ...Array.from({ length: 12 }, (_, n) => n));
    for (const n of [0, 1, 2]) await cluster.job(n).end();
    for (const _ of [1, 2]) await cluster.job(3).fail();
    for (let n = 3; n < 12; n++) await cluster.job(n).end();
    expect(numbers()).toEqual([0, 1, 2, 3, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(a.log.lines.filter(line => line.startsWith('warn'))).toHaveLength(2);
  });

  test('uses no attempt of the jobs that were fetched behind it', async () => {
    a = await cluster.pod('A', withAttempts(3));
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
    expect(cluster.failedReasons()).toEqual(['the handler threw']);
  });

  test('race 6: is not overtaken while responses to earlier ends are under way', async () => {
    a = await cluster.pod('A', withAttempts(2));
    await a.add('1', ...Array.from({ length: 10 }, (_, n) => n));
    for (const n of [0, 1]) await cluster.job(n).end();
    const answerTheEnd = a.store.hold('finish');
    const answerTheTry = a.store.hold('finish');
    await cluster.job(2).end();
    await cluster.job(3).fail();
    // The jobs that come with it were fetched before the attempt failed, and have been given back by now.
    answerTheEnd();
    await settle();
    expect(cluster.running).toHaveLength(0);
    answerTheTry();
    await settle();
    for (const n of [3, 4, 5, 6, 7, 8, 9]) await cluster.job(n).end();
    expect(numbers()).toEqual([0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9]);
  });

  test.each(['lose', 'drop'] as const)(
    'counts a failed attempt once if the response to its end is lost (%s)',
    async fault => {
      a = await cluster.pod('A', withAttempts(2));
      await a.add('1', 0, 1);
      a.store.next('finish', fault);
      await cluster.job(0).fail();
      await cluster.clock.advance(100);
      await cluster.job(0).fail();
      await cluster.job(1).end();
      expect(numbers()).toEqual([0, 0, 1]);
      expect(cluster.failedReasons()).toEqual(['the handler threw']);
    },
  );

  test('is not retried if its error is marked as unrecoverable', async () => {
    a = await cluster.pod('A', withAttempts(5));
    await a.add('1', 0, 1);
    await cluster.job(0).fail(Object.assign(new Error('no such account'), { name: 'UnrecoverableError' }));
    await cluster.job(1).end();
    expect(numbers()).toEqual([0, 1]);
    expect(cluster.failedReasons()).toEqual(['no such account']);
  });

  test('is reported with each attempt, and as failed with the last one', async () => {
    a = await cluster.pod('A', withAttempts(2, 5));
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

  test('lets the others go on in relaxed order', async () => {
    a = await cluster.pod('A', withAttempts(2, 0, { entities: { account: { ordering: 'relaxed' } } }));
    await a.add('1', 0, 1, 2, 3);
    await cluster.job(0).fail();
    for (const n of [1, 2, 3, 0]) await cluster.job(n).end();
    expect(numbers()).toEqual([0, 1, 2, 3, 0]);
  });

  describe('a job with no attempts left', () => {
    const block = withAttempts(2, 0, { entities: { account: { onExhausted: 'block' } } });
    const one = { type: 'account', id: '1' };

    test('blocks its entity, and no other, until an operator decides', async () => {
      a = await cluster.pod('A', block);
      await a.add('1', 0, 1);
      for (const _ of [1, 2]) await cluster.job(0).fail();
      await a.add('1', 2);
      await a.add('2', 10);
      await cluster.clock.advance(60_000);
      expect(numbers()).toEqual([0, 0, 10]);
      expect(a.log.lines.join()).toContain(
        'has used up its attempts and blocks account:1: no further job of the entity runs. Decide with EntityQueues.of',
      );
      expect(a.events).toContainEqual(expect.objectContaining({ type: 'job.blocked', jobId: '1', attempt: 2 }));
      await a.engine.control.unblock(one, 'retry');
      await cluster.clock.advance(5000);
      await cluster.job(0).end();
      await cluster.job(1).end();
      await cluster.job(2).end();
      await cluster.job(10).end();
      expect(numbers()).toEqual([0, 0, 10, 0, 1, 2]);
    });

    test('fails without running when it is skipped, and does not block again', async () => {
      a = await cluster.pod('A', block);
      await a.add('1', 0, 1);
      for (const _ of [1, 2]) await cluster.job(0).fail();
      await a.engine.control.unblock(one, 'skip');
      await settle();
      await cluster.job(1).end();
      expect(numbers()).toEqual([0, 0, 1]);
      expect(cluster.failedReasons()).toEqual(['the handler threw']);
    });
  });

  test('a pause lets the running job end, holds the fetched jobs, and ends with the resume', async () => {
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

  describe('during the backoff of a job', () => {
    test('its successors and added jobs wait, all in order', async () => {
      a = await cluster.pod('A', withAttempts(2, BACKOFF_MS));
      await a.add('1', 0, 1);
      await cluster.job(0).fail();
      await a.add('1', 2);
      await cluster.clock.advance(BACKOFF_MS - 1);
      expect(numbers()).toEqual([0]);
      await cluster.clock.advance(1);
      for (const n of [0, 1, 2]) await cluster.job(n).end();
      expect(numbers()).toEqual([0, 0, 1, 2]);
    });

    test('its owner may die: another pod goes on at the due time, not earlier, and the attempt counts', async () => {
      a = await cluster.pod('A', withAttempts(2, BACKOFF_MS));
      const b = await cluster.pod('B', withAttempts(2, BACKOFF_MS));
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

    test('its owner may shut down: another pod goes on at the due time, and the attempt counts', async () => {
      a = await cluster.pod('A', withAttempts(2, BACKOFF_MS));
      await cluster.pod('B', withAttempts(2, BACKOFF_MS));
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

    test('race 12: a pod that shuts down while the attempt fails hands the job over with its count', async () => {
      a = await cluster.pod('A', withAttempts(2, 500));
      await cluster.pod('B', withAttempts(2, 500));
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

    test('race 16: the entity takes no room from others', async () => {
      a = await cluster.pod('A', withAttempts(2, BACKOFF_MS, { maxWorkersPerPod: 1 }));
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

    test('I8: an idle worker is removed, and is back in time', async () => {
      a = await cluster.pod('A', withAttempts(2, 10 * BACKOFF_MS));
      await a.add('1', 0);
      await cluster.job(0).fail();
      await cluster.clock.advance(20_000);
      expect(cluster.stored().owner).toBeUndefined();
      await cluster.clock.advance(10 * BACKOFF_MS - 20_000);
      await cluster.clock.advance(1000);
      await cluster.job(0).end();
      expect(numbers()).toEqual([0, 0]);
    });

    test('an idle worker does not resync with each renewal', async () => {
      a = await cluster.pod('A', withAttempts(2, BACKOFF_MS / 2));
      await a.add('1', 0, 1);
      await cluster.job(0).fail();
      await cluster.clock.advance(BACKOFF_MS / 2);
      expect(a.count('resync')).toBe(0);
      await cluster.job(0).end();
      await cluster.job(1).end();
    });
  });
});
