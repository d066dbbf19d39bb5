/** Waits in a circle are refused while all of them last, and only then (I10). An earlier wait that is over proves nothing. */
import { DeadlockError } from '../../../../src/core/calls/call-errors.js';
import { settle } from '../../../support/clock.js';
import { MemoryPods, type Pod } from '../../../support/memory-pods.js';
import { gate } from '../../../support/wait.js';

describe('a handler that calls an entity whose handler had waited for it', () => {
  let cluster: MemoryPods;
  let pods: Pod[];
  /** What the handler of each job does, by the job's number. */
  let acts: Record<number, (pod: Pod) => unknown>;

  /** Entities 1 and 2 are worked by pods of their own if there are several. */
  const start = async (names: readonly string[], options = {}) => {
    pods = [];
    for (const name of names) pods.push(await cluster.pod(name, options));
    for (const [index, entityId] of ['1', '2'].entries()) await pods[index % pods.length]?.add(entityId, 0);
    return pods[0] as Pod;
  };
  const watch = (call: Promise<unknown>) => {
    const seen: { result?: unknown; error?: Record<string, unknown> } = {};
    call.then(
      result => Object.assign(seen, { result }),
      error => Object.assign(seen, { error }),
    );
    return seen;
  };

  beforeEach(() => {
    cluster = new MemoryPods();
    acts = {};
    cluster.returns = (pod, n) => acts[n]?.(pod);
  });
  afterEach(() => cluster.close());

  describe.each([
    ['on one pod', ['a']],
    ['on two pods', ['a', 'b']],
  ])('%s', (_, names) => {
    test('is refused while that handler waits', async () => {
      const a = await start(names);
      let thrown: unknown;
      acts = {
        1: pod => pod.call('2', 2),
        2: async pod => {
          thrown = await pod.call('1', 3).catch(error => error);
          return 'refused';
        },
      };
      expect(await a.call('1', 1)).toBe('refused');
      expect(thrown).toBeInstanceOf(DeadlockError);
      expect(thrown).toMatchObject({ chain: ['1', '2', '1'].map(id => ({ type: 'account', id })) });
      expect(cluster.starts.map(started => started.slice(2))).not.toContain('1:3');
    });

    test('is not refused after that handler has ended, though one of its calls still waits', async () => {
      const a = await start(names);
      const held = gate();
      let inner: ReturnType<typeof watch> | undefined;
      acts = {
        1: pod => Promise.all([pod.call('2', 2), pod.call('3', 3)]),
        2: async pod => {
          await held.promise;
          const call = pod.call('1', 4);
          inner = watch(call);
          return call;
        },
        3: () => Promise.reject(new Error('no')),
        4: () => 'free',
      };
      const outer = watch(a.call('1', 1));
      await settle();
      expect(outer.error).toMatchObject({ code: 'HANDLER_FAILED', message: 'no' });
      held.open();
      await settle();
      expect(inner).toEqual({ result: 'free' });
    });

    test('is not refused after that handler has given up its call and goes on', async () => {
      const a = await start(names);
      const giveUp = new AbortController();
      const [held, goesOn] = [gate(), gate()];
      const results: unknown[] = [];
      acts = {
        1: async pod => {
          await pod.call('2', 2, { signal: giveUp.signal }).catch(() => {});
          held.open();
          await goesOn.promise;
        },
        2: async pod => {
          await held.promise;
          results.push(await pod.call('1', 3));
        },
        3: () => 'later',
      };
      const outer = watch(a.call('1', 1));
      await settle();
      giveUp.abort();
      await settle();
      goesOn.open();
      await settle();
      expect(outer).toEqual({ result: null });
      expect(results).toEqual(['later']);
    });

    test('is retried if it fails with the refusal and has attempts left', async () => {
      const a = await start(names);
      acts = {
        1: pod => pod.call('2', 2, { timeoutMs: 1000 }, { attempts: 2, backoff: 3000 }).catch(error => error.code),
        2: pod => pod.call('1', 3),
        3: () => 'free',
      };
      const outer = watch(a.call('1', 1));
      await cluster.clock.advance(5000);
      expect(outer).toEqual({ result: 'REPLY_TIMEOUT' });
      expect(cluster.starts.map(started => started.slice(2)).filter(started => /[23]$/.test(started))).toEqual([
        '2:2',
        '2:2',
        '1:3',
      ]);
    });
  });

  test('is not refused if the pod of that handler does not respond: the call ends by its timeout', async () => {
    const a = await start(['a', 'b']);
    const thrown: unknown[] = [];
    acts = {
      1: pod => pod.call('2', 2),
      2: async pod => {
        pod.store.asStore().replies.tell = async () => {};
        await pod.call('1', 3, { timeoutMs: 2000 }).catch(error => thrown.push(error.code));
        Reflect.deleteProperty(pod.store.asStore().replies, 'tell');
        return 'over';
      },
    };
    const outer = watch(a.call('1', 1));
    await cluster.clock.advance(3000);
    expect(thrown).toEqual(['REPLY_TIMEOUT']);
    expect(outer).toEqual({ result: 'over' });
  });

  test('enqueues nothing if it gives up while the other pod is asked', async () => {
    const a = await start(['a', 'b']);
    const thrown: unknown[] = [];
    acts = {
      1: pod => pod.call('2', 2, { timeoutMs: 1000 }).catch(() => {}),
      2: async pod => {
        pod.store.asStore().replies.tell = async () => {};
        await pod
          .call('1', 3, { signal: AbortSignal.timeout(0), timeoutMs: 2000 })
          .catch(({ code }) => thrown.push(code));
        Reflect.deleteProperty(pod.store.asStore().replies, 'tell');
      },
    };
    const outer = watch(a.call('1', 1));
    while (thrown.length === 0) await settle();
    await cluster.clock.advance(5000);
    expect(thrown).toEqual(['WAIT_ABORTED']);
    expect(outer).toEqual({ result: null });
    expect(cluster.starts.map(started => started.slice(2))).not.toContain('1:3');
  });
});
