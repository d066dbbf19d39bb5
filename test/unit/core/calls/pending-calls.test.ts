/** Calls that wait for the results of their jobs: each settles exactly once, in every case, and leaves nothing behind. */
import { DeadlockError, HandlerError } from '../../../../src/core/calls/call-errors.js';
import type { FoundJob } from '../../../../src/core/ports/replies.js';
import { runningJob } from '../../../../src/core/run/running-job.js';
import { settle } from '../../../support/clock.js';
import { MemoryPods } from '../../../support/memory-pods.js';
import { gate } from '../../../support/wait.js';

/** How a call has ended so far. */
function watch(call: Promise<unknown>) {
  const seen: { result?: unknown; error?: { code?: string; state?: string } & Record<string, unknown> } = {};
  call.then(
    result => Object.assign(seen, { result }),
    error => Object.assign(seen, { error }),
  );
  return seen;
}

describe('a call that waits for the result of its job', () => {
  let cluster: MemoryPods;
  beforeEach(() => {
    cluster = new MemoryPods();
  });
  afterEach(() => cluster.close());

  test('gets what the handler returns, on the same pod and from another', async () => {
    const a = await cluster.pod('a');
    const b = await cluster.pod('b', { producerOnly: true });
    cluster.returns = (_, n) => ({ n });
    expect(await a.call('1', 1)).toEqual({ n: 1 });
    expect(await b.call('1', 2)).toEqual({ n: 2 });
    cluster.returns = () => undefined;
    expect(await a.call('1', 3)).toBeNull();
  });

  test('leaves no timer behind: one listener remains for all calls to come', async () => {
    const a = await cluster.pod('a');
    await a.call('1', 1);
    await cluster.clock.advance(300);
    const before = cluster.clock.pendingTimers;
    await Promise.all([a.call('1', 2), a.call('1', 3)]);
    await cluster.clock.advance(300);
    expect(cluster.clock.pendingTimers).toBe(before);
  });

  test('gets the error of the handler when no attempt is left', async () => {
    const a = await cluster.pod('a');
    const cause = Object.assign(new Error('below'), { code: 7 });
    class Poor extends Error {
      override name = 'Poor';
      code = 'POOR';
    }
    let tries = 0;
    cluster.returns = () => {
      tries++;
      throw new Poor('no money', { cause });
    };
    const call = watch(a.call('1', 1, {}, { attempts: 2, backoff: 1000 }));
    await settle();
    expect(call).toEqual({});
    await cluster.clock.advance(2000);
    expect(tries).toBe(2);
    expect(call.error).toBeInstanceOf(HandlerError);
    expect(call.error).toMatchObject({
      code: 'HANDLER_FAILED',
      message: 'no money',
      originalName: 'Poor',
      originalCode: 'POOR',
      cause: { name: 'Error', message: 'below', code: 7 },
    });
    expect(JSON.stringify(Object.entries(call.error ?? {}))).not.toMatch(/answers\.test/);
  });

  test.each<[unknown, object]>([
    ['a text', { originalName: 'Error', message: 'a text' }],
    [undefined, { originalName: 'Error', message: 'undefined' }],
    [
      Object.defineProperty(new Error('sly'), 'code', {
        get: () => {
          throw new Error('never');
        },
      }),
      { message: 'sly' },
    ],
    [
      Object.assign(new Error('odd'), { code: {}, name: 5 }),
      { message: 'odd', originalName: 'Error', originalCode: undefined },
    ],
    [new Error('x'.repeat(20_000)), { message: `${'x'.repeat(4095)}…` }],
  ])('gets an error for each value that the handler throws: %#', async (thrown, expected) => {
    const a = await cluster.pod('a');
    cluster.returns = () => {
      throw thrown;
    };
    await expect(a.call('1', 1)).rejects.toMatchObject({ code: 'HANDLER_FAILED', ...expected });
  });

  test('gets an error if the result is too large or not JSON, and the job completes', async () => {
    const a = await cluster.pod('a', { maxResultBytes: 10 });
    cluster.returns = () => 'é'.repeat(4);
    expect(await a.call('1', 1)).toBe('éééé');
    cluster.returns = () => 'é'.repeat(5);
    const large = { code: 'RESULT_UNAVAILABLE', message: expect.stringMatching(/12 bytes.*maxResultBytes \(10\)/) };
    await expect(a.call('1', 2)).rejects.toMatchObject(large);
    cluster.returns = () => 1n;
    await expect(a.call('1', 3)).rejects.toMatchObject({ code: 'RESULT_UNAVAILABLE' });
    const completed = a.events.filter(({ type }) => type === 'job.completed');
    expect(completed).toHaveLength(3);
  });

  test.each([
    ['a missing timeout', { timeoutMs: undefined }],
    ['a timeout of 0', { timeoutMs: 0 }],
    ['an invalid signal', { signal: {} as AbortSignal }],
    ['an invalid cancelJob', { cancelJob: 'yes' as never }],
  ])('is refused at once with %s', async (_, wait) => {
    const a = await cluster.pod('a');
    await expect(a.call('1', 1, wait)).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    expect(a.store.calls).not.toContain('add');
  });

  test('has the timeout of the module if the call has none', async () => {
    const a = await cluster.pod('a', { replyTimeoutMs: 2000 });
    cluster.instant = false;
    const call = watch(a.call('1', 1, { timeoutMs: undefined }));
    await cluster.clock.advance(1999);
    expect(call).toEqual({});
    await cluster.clock.advance(1);
    expect(call.error).toMatchObject({ code: 'REPLY_TIMEOUT', timeoutMs: 2000 });
  });

  test('is refused like an enqueue if the job cannot be enqueued', async () => {
    const a = await cluster.pod('a', { entities: { account: { maxPending: 1 } } });
    cluster.instant = false;
    const first = a.call('1', 1);
    await settle();
    await expect(a.call('1', 2)).rejects.toMatchObject({ code: 'BACKLOG_FULL' });
    await expect(a.call('', 3)).rejects.toMatchObject({ code: 'INVALID_ENTITY' });
    await expect(a.call('1', 3, {}, { attempts: -1 })).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    await cluster.job(1).end();
    await first;
  });

  test('says at its timeout what the job is doing: it runs, waits, is delayed, or blocks', async () => {
    const a = await cluster.pod('a', { entities: { account: { onExhausted: 'block' } } });
    cluster.instant = false;
    const calls = [a.call('1', 1), a.call('1', 2), a.call('2', 3, {}, { delay: 60_000 }), a.call('3', 4)].map(watch);
    await settle();
    await cluster.job(4).fail();
    await cluster.clock.advance(9_999);
    expect(calls).toEqual([{}, {}, {}, {}]);
    await cluster.clock.advance(1);
    expect(calls.map(({ error }) => [error?.code, error?.state])).toEqual([
      ['REPLY_TIMEOUT', 'active'],
      ['REPLY_TIMEOUT', 'waiting'],
      ['REPLY_TIMEOUT', 'delayed'],
      ['REPLY_TIMEOUT', 'blocked'],
    ]);
    expect(calls[0]?.error).toMatchObject({ entityType: 'account', entityId: '1', jobId: expect.any(String) });
    // A reply that arrives now has no caller.
    await cluster.job(1).end();
    await cluster.job(2).end();
  });

  test('ends by its timeout without waiting for a store that does not respond', async () => {
    const a = await cluster.pod('a');
    cluster.instant = false;
    a.store.asStore().replies.find = () => new Promise<FoundJob[]>(() => {});
    const call = watch(a.call('1', 1));
    await cluster.clock.advance(10_000);
    expect(call).toEqual({});
    await cluster.clock.advance(250);
    expect(call.error).toMatchObject({ code: 'REPLY_TIMEOUT', state: 'unknown' });
  });

  test('learns with the next poll that its job was removed, even with a long timeout', async () => {
    const a = await cluster.pod('a');
    cluster.instant = false;
    const running = a.call('1', 1);
    const call = watch(a.call('1', 2));
    await settle();
    await a.engine.control.drop({ type: 'account', id: '1' });
    await cluster.clock.advance(4000);
    expect(call.error).toMatchObject({ code: 'JOB_REMOVED', entityId: '1' });
    await cluster.job(1).end();
    await running;
  });

  test('gets a reply that the listener missed with the next poll', async () => {
    const a = await cluster.pod('a');
    const { replies } = a.store.asStore();
    replies.receive = () => Promise.reject(new Error('not connected'));
    cluster.returns = () => 'found';
    const call = watch(a.call('1', 1));
    await settle();
    expect(call).toEqual({});
    await cluster.clock.advance(4000);
    expect(call).toEqual({ result: 'found' });
    // The poll repeats as long as the listener fails.
    Reflect.deleteProperty(replies, 'receive');
  });

  test('is settled by the reply of its job if the response to the enqueue was lost', async () => {
    const a = await cluster.pod('a');
    cluster.returns = () => 'done';
    a.store.next('add', 'lose');
    const call = watch(a.call('1', 1));
    await cluster.clock.advance(5000);
    expect(call).toEqual({ result: 'done' });
  });

  test('says at its timeout that the outcome is unknown if the enqueue was lost', async () => {
    const a = await cluster.pod('a');
    a.store.next('add', 'drop');
    const call = watch(a.call('1', 1));
    await cluster.clock.advance(9_999);
    expect(call).toEqual({});
    await cluster.clock.advance(1);
    expect(call.error).toMatchObject({ code: 'OUTCOME_UNKNOWN' });
  });

  test('says at once that its enqueue was not sent', async () => {
    const a = await cluster.pod('a');
    a.store.next('add', 'refuse');
    await expect(a.call('1', 1)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });

  test('gets one reply if the response to the end of its job was lost', async () => {
    const a = await cluster.pod('a');
    a.store.next('finish', 'lose');
    cluster.returns = (_, n) => n;
    const calls = [watch(a.call('1', 1)), watch(a.call('1', 2))];
    await cluster.clock.advance(1000);
    expect(calls).toEqual([{ result: 1 }, { result: 2 }]);
    expect(cluster.starts).toEqual(['a:1:1', 'a:1:2']);
  });

  test('gets its reply from the next pod that runs the job if the first pod loses it', async () => {
    const a = await cluster.pod('a');
    const caller = await cluster.pod('c', { producerOnly: true });
    cluster.instant = false;
    cluster.returns = pod => pod.name;
    const call = watch(caller.call('1', 1));
    await settle();
    const lost = cluster.job(1);
    cluster.forget(lost);
    a.store.break('drop');
    await cluster.pod('b');
    await cluster.clock.advance(10_000 - 5000);
    await cluster.job(1).end();
    expect(call).toEqual({ result: 'b' });
    a.store.mend();
    await lost.end();
  });

  describe('that is given up by its signal', () => {
    test('leaves its job in the queue', async () => {
      const a = await cluster.pod('a');
      cluster.instant = false;
      const giveUp = new AbortController();
      const call = watch(a.call('1', 1, { signal: giveUp.signal }));
      await settle();
      giveUp.abort(new Error('enough'));
      await settle();
      const expected = {
        code: 'WAIT_ABORTED',
        isJobRemoved: false,
        cause: expect.objectContaining({ message: 'enough' }),
      };
      expect(call.error).toMatchObject(expected);
      await cluster.job(1).end();
      expect(cluster.starts).toEqual(['a:1:1']);
    });

    test('removes, with cancelJob, a job that has not started, and no other', async () => {
      const a = await cluster.pod('a', { workerDefaults: { prefetch: 1 } });
      cluster.instant = false;
      const giveUp = new AbortController();
      const wait = { signal: giveUp.signal, cancelJob: true };
      const calls = [a.call('1', 1, wait), a.call('1', 2, wait), a.call('1', 3)].map(watch);
      await settle();
      giveUp.abort();
      await settle();
      expect(calls.map(({ error }) => error?.['isJobRemoved'])).toEqual([false, true, undefined]);
      await cluster.job(1).end();
      await cluster.job(3).end();
      expect(cluster.starts).toEqual(['a:1:1', 'a:1:3']);
    });

    test('removes its job as soon as it is in the queue, if the enqueue is still under way', async () => {
      const a = await cluster.pod('a', { producerOnly: true });
      const open = a.store.hold('add');
      const giveUp = new AbortController();
      const call = watch(a.call('1', 1, { signal: giveUp.signal, cancelJob: true }));
      await settle();
      giveUp.abort();
      await settle();
      expect(call).toEqual({});
      open();
      await settle();
      expect(call.error).toMatchObject({ code: 'WAIT_ABORTED', isJobRemoved: true });
      expect(await a.engine.control.status({ type: 'account', id: '1' })).toMatchObject({ waiting: 0 });
    });

    test('leaves nothing in a signal that outlives it', async () => {
      const a = await cluster.pod('a');
      const { signal } = new AbortController();
      const heard: string[] = [];
      signal.addEventListener = () => void heard.push('added');
      signal.removeEventListener = () => void heard.push('removed');
      await a.call('1', 1, { signal });
      expect(heard).toEqual(['added', 'removed']);
    });

    test('enqueues nothing if the signal was aborted before', async () => {
      const a = await cluster.pod('a');
      const call = a.call('1', 1, { signal: AbortSignal.abort() });
      await expect(call).rejects.toMatchObject({ code: 'WAIT_ABORTED', isJobRemoved: false });
      expect(a.store.calls).not.toContain('add');
    });
  });

  describe('with a known key, whose enqueue adds nothing,', () => {
    const key = { deduplication: { id: 'k', ttl: 60_000 } };

    test('learns after the job has finished that another caller got the reply', async () => {
      const a = await cluster.pod('a');
      cluster.instant = false;
      cluster.returns = () => 'first';
      const calls = [watch(a.call('1', 1, {}, key)), watch(a.call('1', 2, {}, key))];
      await cluster.clock.advance(2000);
      expect(calls).toEqual([{}, {}]);
      await cluster.job(1).end();
      await cluster.clock.advance(500);
      expect(calls[0]).toEqual({ result: 'first' });
      expect(calls[1]?.error).toMatchObject({ code: 'ANSWER_GIVEN' });
      expect(cluster.starts).toHaveLength(1);
    });

    test('gets the failure of a job that is retained', async () => {
      const a = await cluster.pod('a');
      cluster.returns = () => {
        throw new Error('never');
      };
      const kept = { jobId: 'one', removeOnFail: false };
      await expect(a.call('1', 1, {}, kept)).rejects.toMatchObject({ code: 'HANDLER_FAILED' });
      await expect(a.call('1', 2, {}, kept)).rejects.toMatchObject({ code: 'HANDLER_FAILED', message: 'never' });
      expect(cluster.starts).toHaveLength(1);
    });
  });

  test('gets its own result from a batch', async () => {
    const a = await cluster.pod('a', { maxResultBytes: 100 }, ['*'], { withdraw: { max: 4, maxWaitMs: 100 } });
    cluster.instant = false;
    const calls = [1, 2, 3, 4].map(n => watch(a.call('1', n)));
    await settle();
    await cluster.batch.end([{ n: 1 }, 'x'.repeat(100), 1n, undefined]);
    expect(calls.map(({ result, error }) => error?.code ?? result)).toEqual([
      { n: 1 },
      'RESULT_UNAVAILABLE',
      'RESULT_UNAVAILABLE',
      null,
    ]);
    const failing = [5, 6, 7, 8].map(n => watch(a.call('1', n)));
    await settle();
    await cluster.batch.fail(Object.assign(new RangeError('all of it'), { code: 7 }));
    for (const { error } of failing) expect(error).toMatchObject({ message: 'all of it', originalCode: 7 });
  });

  test('is not awaited by a pod that shuts down, and its job goes on', async () => {
    const a = await cluster.pod('a', { producerOnly: true });
    await cluster.pod('b');
    cluster.instant = false;
    const call = watch(a.call('1', 1));
    await settle();
    await a.engine.drain();
    expect(call).toEqual({});
    await a.engine.close();
    await settle();
    expect(call.error).toMatchObject({ code: 'CLOSED', message: expect.stringMatching(/The job was not cancelled/) });
    await expect(a.call('1', 2)).rejects.toMatchObject({ code: 'CLOSED' });
    await cluster.job(1).end();
  });
});

describe('a handler that waits', () => {
  let cluster: MemoryPods;
  beforeEach(() => {
    cluster = new MemoryPods();
  });
  afterEach(() => cluster.close());

  /** Handlers call the entities of a path, one after the other, and the last of them returns 'end'. */
  const follow = (...path: string[]) => {
    cluster.returns = (pod, n) => (n < path.length ? pod.call(path[n] ?? '', n + 1) : 'end');
  };

  test('for other entities gets their results, through any number of them', async () => {
    const a = await cluster.pod('a');
    await cluster.pod('b');
    follow('1', '2', '3', '4');
    expect(await a.call('1', 1)).toBe('end');
    expect(cluster.starts.map(start => start.slice(2))).toEqual(['1:1', '2:2', '3:3', '4:4']);
  });

  test.each([
    ['its own entity', ['1', '1'], ['account:1', 'account:1']],
    ['an entity that waits for it', ['1', '2', '1'], ['account:1', 'account:2', 'account:1']],
    [
      'an entity that waits for it through others',
      ['0', '1', '2', '3', '1'],
      ['account:1', 'account:2', 'account:3', 'account:1'],
    ],
  ])('for %s fails at once, because it would wait forever', async (_, path, chain) => {
    const a = await cluster.pod('a');
    let thrown: unknown;
    cluster.returns = async (pod, n) => {
      try {
        return n < path.length ? await pod.call(path[n] ?? '', n + 1) : 'end';
      } catch (error) {
        if (error instanceof DeadlockError) thrown = error;
        throw error;
      }
    };
    const call = watch(a.call(path[0] ?? '', 1));
    await settle();
    expect(thrown).toMatchObject({ code: 'DEADLOCK', message: expect.stringContaining(chain.join(' → ')) });
    expect(call.error).toMatchObject({
      code: 'HANDLER_FAILED',
      originalCode: path.length > 2 ? 'HANDLER_FAILED' : 'DEADLOCK',
    });
    expect(cluster.starts).toHaveLength(path.length - 1);
  });

  test('is in the chain of a call for one job of its batch', async () => {
    const a = await cluster.pod('a', {}, ['*'], { sum: { max: 3, maxWaitMs: 60_000 } });
    const sum = (n: number) => ({ entityType: 'account', entityId: 'b', name: 'sum', data: { n } });
    const wait = { timeoutMs: 10_000 };
    cluster.returns = (pod, n) => pod.engine.enqueueAndWait(sum(n), wait);
    cluster.instant = false;
    const calls = [1, 2].map(n => watch(a.call(String(n), n)));
    await settle();
    await Promise.all([cluster.job(1).end(), cluster.job(2).end()]);
    const plain = a.engine.enqueue(sum(3));
    await plain;
    await settle();
    const outcomes: unknown[] = [];
    cluster.inBatch = async pod => {
      for (const entityId of ['1', '2', 'b', '3']) {
        outcomes.push(await pod.call(entityId, 9, { timeoutMs: 1000 }).catch(error => error.code));
      }
    };
    cluster.returns = () => 'free';
    cluster.instant = true;
    await cluster.batch.end(['first', 'second', 'third']);
    await settle();
    expect(outcomes).toEqual(['DEADLOCK', 'DEADLOCK', 'DEADLOCK', 'free']);
    expect(calls).toEqual([{ result: 'first' }, { result: 'second' }]);
  });

  test('is in the chain of several calls for jobs of its batch until the last of them has timed out', async () => {
    const a = await cluster.pod('a', {}, ['*'], { sum: { max: 2, maxWaitMs: 60_000 } });
    const codesOf = ({ code, originalCode }: { code: string; originalCode?: string }) =>
      [code, originalCode].filter(Boolean);
    const sum = (n: number, timeoutMs: number) =>
      a.engine.enqueueAndWait({ entityType: 'account', entityId: 'b', name: 'sum', data: { n } }, { timeoutMs });
    // Entity 1 waits for two jobs of a batch. The batch waits for entity 2, which would wait for entity 1 after one call has timed out.
    cluster.returns = async (pod, n) => {
      // An error is not a result; its code counts.
      if (n === 1) return Promise.all([sum(10, 20_000), sum(11, 5000)].map(call => call.catch(codesOf)));
      await new Promise<void>(resolve => cluster.clock.after(6000, resolve));
      return pod.call('1', 3, { timeoutMs: 1000 });
    };
    cluster.inBatch = pod => pod.call('2', 2, { timeoutMs: 15_000 });
    const calls = watch(a.call('1', 1, { timeoutMs: 30_000 }));
    await settle();
    await cluster.clock.advance(6500);
    expect(calls.result).toEqual([['HANDLER_FAILED', 'HANDLER_FAILED'], ['REPLY_TIMEOUT']]);
    expect(cluster.starts).toEqual(['a:1:1', 'a:2:2']);
  });

  test('may enqueue without waiting for its own entity, and for entities that wait for it', async () => {
    const a = await cluster.pod('a');
    cluster.returns = async (pod, n) => {
      if (n === 1) return pod.call('2', 2);
      if (n === 2) await Promise.all([pod.add('1', 3), pod.add('2', 4)]);
      return n;
    };
    expect(await a.call('1', 1)).toBe(2);
    await settle();
    expect(cluster.starts).toHaveLength(4);
  });

  test('in a job that was enqueued without waiting is in no chain', async () => {
    const a = await cluster.pod('a');
    let inner: Promise<unknown> = Promise.resolve();
    cluster.returns = async (pod, n) => {
      if (n === 1) await pod.add('2', 2);
      // Entity 1 does not wait for this job.
      if (n === 2) inner = pod.call('1', 3);
      return n === 2 ? inner : n;
    };
    expect(await a.call('1', 1)).toBe(1);
    await settle();
    expect(await inner).toBe(3);
  });

  test('does not count as waiting after its timeout: other entities may wait for its entity again', async () => {
    const a = await cluster.pod('a');
    const held = gate();
    let inner: Promise<unknown> = Promise.resolve();
    cluster.returns = async (pod, n) => {
      if (n === 1) return pod.call('2', 2, { timeoutMs: 1000 });
      if (n === 2) {
        await held.promise;
        inner = pod.call('1', 3);
        return inner;
      }
      return n;
    };
    const outer = watch(a.call('1', 1));
    await cluster.clock.advance(1000);
    expect(outer.error).toMatchObject({ originalCode: 'REPLY_TIMEOUT' });
    held.open();
    await settle();
    expect(await inner).toBe(3);
  });

  test('does not count as waiting after it has ended, even if its calls still run', async () => {
    const a = await cluster.pod('a');
    const held = gate();
    let late: Promise<unknown> = Promise.resolve();
    cluster.returns = (pod, n) => {
      if (n === 1) {
        void held.promise.then(() => {
          late = pod.call('1', 2);
        });
      }
      return n;
    };
    expect(await a.call('1', 1)).toBe(1);
    held.open();
    await settle();
    expect(await late).toBe(2);
  });

  test('without currentJob is not detected, and ends by its timeout', async () => {
    const a = await cluster.pod('a', { currentJob: false });
    cluster.returns = (pod, n) => {
      expect(runningJob()).toBeUndefined();
      return n === 1 ? pod.call('1', 2, { timeoutMs: 1000 }) : n;
    };
    const call = watch(a.call('1', 1));
    await cluster.clock.advance(1000);
    expect(call.error).toMatchObject({ originalCode: 'REPLY_TIMEOUT' });
  });
});
