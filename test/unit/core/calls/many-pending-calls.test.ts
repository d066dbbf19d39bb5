/** Many pending calls of one pod: bounded, with no long turn of the event loop (I11), and no reply is lost (I10). */
import { TooManyWaitingCallsError } from '../../../../src/core/calls/call-errors.js';
import { PendingCalls } from '../../../../src/core/calls/pending-calls.js';
import { NotExecutedError } from '../../../../src/core/model/errors.js';
import { MAX_UNREAD, MAX_WAITING_CALLS } from '../../../../src/core/model/mailbox.js';
import { resolveOptions } from '../../../../src/core/options/resolve.js';
import type { Replies } from '../../../../src/core/ports/replies.js';
import { ManualClock, settle } from '../../../support/clock.js';
import { MemoryPods } from '../../../support/memory-pods.js';

describe('many pending calls', () => {
  let cluster: MemoryPods;
  beforeEach(() => {
    cluster = new MemoryPods();
  });
  afterEach(() => cluster.close());

  /** The codes of calls as they end, and the largest number of calls that ended in one turn of the event loop. */
  const watch = (calls: readonly Promise<unknown>[]) => {
    const ended: string[] = [];
    const seen = { ended, most: 0 };
    for (const call of calls) {
      call.then(
        () => ended.push('result'),
        error => ended.push(error.code),
      );
    }
    let before = 0;
    const look = () => {
      seen.most = Math.max(seen.most, ended.length - before);
      before = ended.length;
      if (ended.length < calls.length) setImmediate(look);
    };
    setImmediate(look);
    return seen;
  };

  test('are limited per pod: one more is refused, and not enqueued, until another has ended', async () => {
    const added: unknown[] = [];
    const never = new Promise<never>(() => {});
    const waiting = new PendingCalls({
      replies: { address: 'a', receive: () => never } as unknown as Replies,
      config: resolveOptions({}),
      clock: new ManualClock(),
      hosts: { of: async () => new Map() },
      add: request => {
        added.push(request);
        return never;
      },
    });
    const request = { entityType: 'account', entityId: '1', name: 'withdraw', data: {} };
    const giveUp = new AbortController();
    const first = waiting.call(request, { timeoutMs: 1000, signal: giveUp.signal });
    for (let n = 1; n < MAX_WAITING_CALLS; n++) void waiting.call(request, { timeoutMs: 1000 });
    expect(added).toHaveLength(MAX_WAITING_CALLS);
    const refused = {
      code: 'TOO_MANY_WAITING_CALLS',
      maxWaitingCalls: MAX_WAITING_CALLS,
      message: expect.stringMatching(/was not enqueued: 50000 calls/),
    };
    expect(() => waiting.call(request, { timeoutMs: 1000 })).toThrow(expect.objectContaining(refused));
    expect(TooManyWaitingCallsError.prototype).toBeInstanceOf(NotExecutedError);
    expect(added).toHaveLength(MAX_WAITING_CALLS);
    giveUp.abort();
    await expect(first).rejects.toMatchObject({ code: 'WAIT_ABORTED' });
    void waiting.call(request, { timeoutMs: 1000 });
    expect(added).toHaveLength(MAX_WAITING_CALLS + 1);
  });

  test.each([
    ['time out', (a: { engine: { close(): Promise<void> } }) => void a, 'OUTCOME_UNKNOWN'],
    ['are closed', (a: { engine: { close(): Promise<void> } }) => void a.engine.close(), 'CLOSED'],
  ])('that %s together end in several turns of the event loop', async (_, act, code) => {
    const a = await cluster.pod('a', { producerOnly: true });
    a.store.break('drop');
    const seen = watch(Array.from({ length: 1600 }, (_, n) => a.call('1', n)));
    await settle();
    act(a);
    await cluster.clock.advance(11_000);
    await settle();
    expect(seen.ended).toEqual(Array.from({ length: 1600 }, () => code));
    expect(seen.most).toBeLessThanOrEqual(500);
  });

  test('are polled in turn, a limited number per round', async () => {
    const a = await cluster.pod('a', { producerOnly: true });
    const asked: string[][] = [];
    const { replies } = a.store.asStore();
    replies.find = async jobs => {
      asked.push(jobs.map(({ call }) => call));
      return [];
    };
    const calls = watch(Array.from({ length: 2500 }, (_, n) => a.call(String(n), n)));
    await cluster.clock.advance(3000);
    expect(Math.max(...asked.map(({ length }) => length))).toBe(100);
    expect(asked).toHaveLength(10);
    for (let round = 0; round < 2; round++) {
      // All are due again.
      cluster.clock.stall(3000);
      await cluster.clock.advance(0);
    }
    expect(asked).toHaveLength(30);
    expect(new Set(asked.flat()).size).toBe(2500);
    expect(calls.ended).toEqual([]);
    Reflect.deleteProperty(replies, 'find');
  });

  test('are not told that their jobs were removed if the replies were dropped because the mailbox was full', async () => {
    const a = await cluster.pod('a', { producerOnly: true });
    const b = await cluster.pod('b');
    cluster.returns = (_, n) => n;
    // Its reader hangs.
    const { replies } = a.store.asStore();
    replies.receive = () => new Promise(() => {});
    const { entries } = cluster.server.mailbox(replies.address);
    while (entries.length < MAX_UNREAD - 1)
      entries.push({ call: 'of another time', reply: { kind: 'completed', value: '' } });
    cluster.instant = false;
    const calls = [1, 2, 3].map(n => a.call(String(n), n));
    const outcomes = Promise.allSettled(calls);
    await settle();
    cluster.instant = true;
    for (const n of [1, 2, 3]) await cluster.job(n).end();
    await cluster.clock.advance(4000);
    expect(await outcomes).toEqual([
      { status: 'fulfilled', value: 1 },
      ...[2, 3].map(() => ({
        status: 'rejected',
        reason: expect.objectContaining({
          code: 'RESULT_UNAVAILABLE',
          message: expect.stringMatching(/100000 unread replies/),
        }),
      })),
    ]);
    Reflect.deleteProperty(replies, 'receive');
    await b.engine.drain();
  });

  test('receive each its own reply from a mailbox whose reader hangs', async () => {
    const a = await cluster.pod('a', { producerOnly: true });
    await cluster.pod('b');
    cluster.returns = (_, n) => n;
    const { replies } = a.store.asStore();
    replies.receive = () => new Promise(() => {});
    const calls = Promise.all(Array.from({ length: 300 }, (_, n) => a.call(String(n % 20), n)));
    await cluster.clock.advance(4000);
    expect(await calls).toEqual(Array.from({ length: 300 }, (_, n) => n));
    Reflect.deleteProperty(replies, 'receive');
  });
});
