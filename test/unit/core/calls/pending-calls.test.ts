/** Calls that wait for the results of their jobs: they settle, whatever happens, once, and leave nothing behind. */
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

  test('leaves no timer behind: one ear is left, for all that come', async () => {
    const a = await cluster.pod('a');
    await a.call('1', 1);
    await cluster.clock.advance(300);
    const before = cluster.clock.pendingTimers;
    await Promise.all([a.call('1', 2), a.call('1', 3)]);
    await cluster.clock.advance(300);
    expect(cluster.clock.pendingTimers).toBe(before);
  });

  test('gets what the handler throws, when no try is left', async () => {
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
  ])('whatever is thrown: %#', async (thrown, expected) => {
    const a = await cluster.pod('a');
    cluster.returns = () => {
      throw thrown;
    };
    await expect(a.call('1', 1)).rejects.toMatchObject({ code: 'HANDLER_FAILED', ...expected });
  });

  test('a result that is too large, or no JSON: the job completes, and the caller is told so', async () => {
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
    ['nothing says for how long', { timeoutMs: undefined }],
    ['no time', { timeoutMs: 0 }],
    ['a signal that is none', { signal: {} as AbortSignal }],
    ['a cancelJob that is none', { cancelJob: 'yes' as never }],
  ])('is refused at once: %s', async (_, wait) => {
    const a = await cluster.pod('a');
    await expect(a.call('1', 1, wait)).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    expect(a.store.calls).not.toContain('add');
  });

  test('the module says for how long, where the call does not', async () => {
    const a = await cluster.pod('a', { replyTimeoutMs: 2000 });
    cluster.instant = false;
    const call = watch(a.call('1', 1, { timeoutMs: undefined }));
    await cluster.clock.advance(1999);
    expect(call).toEqual({});
    await cluster.clock.advance(1);
    expect(call.error).toMatchObject({ code: 'REPLY_TIMEOUT', timeoutMs: 2000 });
  });

  test('what can’t be enqueued is refused as an enqueue is', async () => {
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

  test('a timeout says what the job is doing: it runs, waits, is for later, or blocks', async () => {
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
    // What is answered now is nobody's.
    await cluster.job(1).end();
    await cluster.job(2).end();
  });

  test('a timeout does not wait for a store that does not answer', async () => {
    const a = await cluster.pod('a');
    cluster.instant = false;
    a.store.asStore().replies.find = () => new Promise<FoundJob[]>(() => {});
    const call = watch(a.call('1', 1));
    await cluster.clock.advance(10_000);
    expect(call).toEqual({});
    await cluster.clock.advance(250);
    expect(call.error).toMatchObject({ code: 'REPLY_TIMEOUT', state: 'unknown' });
  });

  test('a job that is removed is told so with the next poll, whatever the timeout', async () => {
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

  test('an answer that the ear has missed is found by the poll', async () => {
    const a = await cluster.pod('a');
    const { replies } = a.store.asStore();
    replies.receive = () => Promise.reject(new Error('not connected'));
    cluster.returns = () => 'found';
    const call = watch(a.call('1', 1));
    await settle();
    expect(call).toEqual({});
    await cluster.clock.advance(4000);
    expect(call).toEqual({ result: 'found' });
    // As long as it can't be heard it is tried again.
    Reflect.deleteProperty(replies, 'receive');
  });

  test('an enqueue whose answer was lost is settled by that of the job', async () => {
    const a = await cluster.pod('a');
    cluster.returns = () => 'done';
    a.store.next('add', 'lose');
    const call = watch(a.call('1', 1));
    await cluster.clock.advance(5000);
    expect(call).toEqual({ result: 'done' });
  });

  test('an enqueue that was lost says at the timeout that nobody knows', async () => {
    const a = await cluster.pod('a');
    a.store.next('add', 'drop');
    const call = watch(a.call('1', 1));
    await cluster.clock.advance(9_999);
    expect(call).toEqual({});
    await cluster.clock.advance(1);
    expect(call.error).toMatchObject({ code: 'OUTCOME_UNKNOWN' });
  });

  test('an enqueue that was not sent says so at once', async () => {
    const a = await cluster.pod('a');
    a.store.next('add', 'refuse');
    await expect(a.call('1', 1)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });

  test('an end whose answer was lost is told once', async () => {
    const a = await cluster.pod('a');
    a.store.next('finish', 'lose');
    cluster.returns = (_, n) => n;
    const calls = [watch(a.call('1', 1)), watch(a.call('1', 2))];
    await cluster.clock.advance(1000);
    expect(calls).toEqual([{ result: 1 }, { result: 2 }]);
    expect(cluster.starts).toEqual(['a:1:1', 'a:1:2']);
  });

  test('the pod that runs the job loses it: who runs it again answers', async () => {
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
    test('leaves its job', async () => {
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

    test('with cancelJob removes a job that has not started, and no other', async () => {
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

    test('before its enqueue is answered: the job is removed when it is there', async () => {
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

    test('that outlives the call: nothing of the call is left with it', async () => {
      const a = await cluster.pod('a');
      const { signal } = new AbortController();
      const heard: string[] = [];
      signal.addEventListener = () => void heard.push('added');
      signal.removeEventListener = () => void heard.push('removed');
      await a.call('1', 1, { signal });
      expect(heard).toEqual(['added', 'removed']);
    });

    test('before it begins: nothing is enqueued', async () => {
      const a = await cluster.pod('a');
      const call = a.call('1', 1, { signal: AbortSignal.abort() });
      await expect(call).rejects.toMatchObject({ code: 'WAIT_ABORTED', isJobRemoved: false });
      expect(a.store.calls).not.toContain('add');
    });
  });

  describe('and whose enqueue adds nothing, since its key is known,', () => {
    const key = { deduplication: { id: 'k', ttl: 60_000 } };

    test('learns that the answer was another’s, when the job is through', async () => {
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

    test('gets the failure of a job that is kept', async () => {
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

  test('of a batch gets what is its own', async () => {
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

  test('a pod that shuts down waits for no answer; the job goes on', async () => {
    const a = await cluster.pod('a', { producerOnly: true });
    await cluster.pod('b');
    cluster.instant = false;
    const call = watch(a.call('1', 1));
    await settle();
    await a.engine.drain();
    expect(call).toEqual({});
    await a.engine.close();
    await settle();
    expect(call.error).toMatchObject({ code: 'CLOSED', message: expect.stringMatching(/the job goes on/) });
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

  test('for another entity gets its result, through as many as there are', async () => {
    const a = await cluster.pod('a');
    await cluster.pod('b');
    follow('1', '2', '3', '4');
    expect(await a.call('1', 1)).toBe('end');
    expect(cluster.starts.map(start => start.slice(2))).toEqual(['1:1', '2:2', '3:3', '4:4']);
  });

  test.each([
    ['its own entity', ['1', '1'], ['account:1', 'account:1']],
    ['one that waits for it', ['1', '2', '1'], ['account:1', 'account:2', 'account:1']],
    [
      'one that waits for it through others',
      ['0', '1', '2', '3', '1'],
      ['account:1', 'account:2', 'account:3', 'account:1'],
    ],
  ])('for %s would wait for ever: it is told so at once', async (_, path, chain) => {
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

  test('in a batch: whoever waits for one of its jobs is in its chain', async () => {
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

  test('in a batch: who waits for several of its jobs is in the chain until the last time is over', async () => {
    const a = await cluster.pod('a', {}, ['*'], { sum: { max: 2, maxWaitMs: 60_000 } });
    const codesOf = ({ code, originalCode }: { code: string; originalCode?: string }) =>
      [code, originalCode].filter(Boolean);
    const sum = (n: number, timeoutMs: number) =>
      a.engine.enqueueAndWait({ entityType: 'account', entityId: 'b', name: 'sum', data: { n } }, { timeoutMs });
    // Entity 1 waits for two jobs of a batch, which waits for entity 2, which would wait for entity 1 when one time is over.
    cluster.returns = async (pod, n) => {
      // An error is no result: its code is.
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

  test('may enqueue for its own entity, and for those that wait for it, without waiting', async () => {
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

  test('in a job that was enqueued without waiting is in nobody’s chain', async () => {
    const a = await cluster.pod('a');
    let inner: Promise<unknown> = Promise.resolve();
    cluster.returns = async (pod, n) => {
      if (n === 1) await pod.add('2', 2);
      // Entity 1 does not wait for this one.
      if (n === 2) inner = pod.call('1', 3);
      return n === 2 ? inner : n;
    };
    expect(await a.call('1', 1)).toBe(1);
    await settle();
    expect(await inner).toBe(3);
  });

  test('whose time is over waits no more: its entity may be waited for again', async () => {
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

  test('that has ended waits no more, whatever it has left running', async () => {
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

  test('without currentJob is not seen: it ends by its timeout', async () => {
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
