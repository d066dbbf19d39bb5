/**
 * The command channel on a Redis that answers when the test says so: what is sent again and what never is, in which
 * order, and when a connection counts as hanging (races 1, 15, 17, 19, 29).
 */
import { EventEmitter } from 'node:events';
import type { Command } from 'ioredis';
import { Packr } from 'msgpackr';
import { Channel } from '../../src/store/redis/channel.js';
import { ManualClock, settle } from '../support/clock.js';
import { type Gate, gate } from '../support/wait.js';

interface Sent extends Gate<Buffer> {
  /** `EVALSHA a,b`: how it was sent, and the calls in it. */
  readonly what: string;
}

class FakeRedis extends EventEmitter {
  status = 'ready';
  readonly sent: Sent[] = [];
  readonly cuts: boolean[] = [];

  sendCommand({ name, args: [, , ...rest] }: Command): Promise<Buffer> {
    const ops: unknown[] = [];
    for (let at = 0; at < rest.length; at += 2 + Number(rest[at + 1])) ops.push(rest[at]);
    const answer = gate<Buffer>();
    this.sent.push({ ...answer, what: `${name} ${ops}` });
    return answer.promise;
  }

  disconnect(reconnect: boolean): void {
    this.cuts.push(reconnect);
  }
}

const packr = new Packr({ useRecords: false });
/** As the script answers: an array for each call, or the error in its place. */
const packed = (answers: unknown[]) =>
  packr.pack(answers.map(answer => (answer instanceof Error ? { err: answer.message } : [answer])));

const TIMEOUT_MS = 2000;
const WATCH_MS = 250;
const NOSCRIPT = new Error('NOSCRIPT No matching script.');

describe('the command channel', () => {
  let redis: FakeRedis;
  let clock: ManualClock;
  let channel: Channel;
  let outcomes: string[];
  let onRead: () => void;

  beforeEach(() => {
    redis = new FakeRedis();
    clock = new ManualClock();
    outcomes = [];
    onRead = () => {};
    channel = new Channel({
      redis: redis as never,
      script: 'return 1',
      header: [],
      timeoutMs: TIMEOUT_MS,
      watchMs: WATCH_MS,
      clock,
      onRead: () => onRead(),
    });
  });
  afterEach(async () => {
    channel.close();
    for (const { fail } of redis.sent) fail(new Error('Connection is closed.'));
    await settle();
    expect(clock.pendingTimers).toBe(0);
  });

  const make = (op: string, ...args: string[]) => {
    channel
      .call(op, args, ([value]) => value)
      .then(
        answer => outcomes.push(`${op}: ${answer}`),
        error => outcomes.push(`${op}: ${error.code}`),
      );
  };
  /** Calls of one tick: one batch. */
  const send = async (...ops: string[]) => {
    for (const op of ops) make(op);
    await settle();
  };
  const answer = async (at: number, ...answers: unknown[]) => {
    redis.sent[at]?.open(packed(answers));
    await settle();
  };
  const fail = async (at: number, error: Error) => {
    redis.sent[at]?.fail(error);
    await settle();
  };
  const sent = () => redis.sent.map(({ what }) => what);

  test('tells that a batch has been read before any caller goes on', async () => {
    onRead = () => outcomes.push('read');
    await send('a', 'b');
    await answer(0, 1, 2);
    expect(outcomes).toEqual(['read', 'a: 1', 'b: 2']);
  });

  test('a full batch does not wait for the end of the tick; what is over goes with the tick', async () => {
    for (let n = 1; n <= 65; n++) make(`${n}`);
    expect(redis.sent).toHaveLength(1);
    await settle();
    expect(sent()).toEqual([`EVALSHA ${Array.from({ length: 64 }, (_, at) => at + 1)}`, 'EVALSHA 65']);
  });

  test('race 17: what Redis had no script for is sent again in its order, once nothing is under way, and nothing overtakes it', async () => {
    await send('a', 'b');
    await send('c');
    await fail(0, NOSCRIPT);
    await send('d');
    expect(sent()).toEqual(['EVALSHA a,b', 'EVALSHA c']);
    await fail(1, NOSCRIPT);
    expect(sent().slice(2)).toEqual(['EVAL a,b', 'EVALSHA c', 'EVALSHA d']);
    await answer(2, 1, 2);
    await answer(3, 3);
    await answer(4, 4);
    expect(outcomes).toEqual(['a: 1', 'b: 2', 'c: 3', 'd: 4']);
  });

  test('race 17: … but never when a later one ran', async () => {
    await send('a');
    await send('b');
    await fail(0, NOSCRIPT);
    await answer(1, 1);
    expect(outcomes).toEqual(['a: STORE_UNAVAILABLE', 'b: 1']);
    expect(sent()).toEqual(['EVALSHA a', 'EVALSHA b']);
  });

  test('race 17: … and when the connection breaks meanwhile, before all that waits', async () => {
    await send('a');
    await send('b');
    await fail(0, NOSCRIPT);
    redis.status = 'reconnecting';
    await send('c');
    await fail(1, new Error('Connection is closed.'));
    expect(outcomes).toEqual(['b: OUTCOME_UNKNOWN']);
    redis.status = 'ready';
    redis.emit('ready');
    await settle();
    expect(sent().slice(2)).toEqual(['EVALSHA a,c']);
  });

  test('race 1: what was sent on a connection that broke is never sent again', async () => {
    await send('a');
    await fail(0, new Error('Connection is closed.'));
    redis.emit('ready');
    await settle();
    await clock.advance(2 * TIMEOUT_MS);
    expect(outcomes).toEqual(['a: OUTCOME_UNKNOWN']);
    expect(sent()).toEqual(['EVALSHA a']);
  });

  test('race 1: a refusal, and a call that was never written, are known not to have been executed', async () => {
    await send('a');
    await fail(0, Object.assign(new Error('OOM command not allowed'), { name: 'ReplyError' }));
    await send('b');
    await fail(1, new Error("Stream isn't writeable and enableOfflineQueue options is false"));
    expect(outcomes).toEqual(['a: STORE_REFUSED', 'b: STORE_UNAVAILABLE']);
  });

  test('while Redis is away calls wait, in order, and no longer than their deadline', async () => {
    redis.status = 'reconnecting';
    await send('a');
    await clock.advance(TIMEOUT_MS - 500);
    await send('b');
    await clock.advance(600);
    expect(outcomes).toEqual(['a: STORE_UNAVAILABLE']);
    redis.status = 'ready';
    redis.emit('ready');
    await answer(0, 1);
    expect(sent()).toEqual(['EVALSHA b']);
    expect(outcomes.slice(1)).toEqual(['b: 1']);
  });

  test('race 17: … also several of them, in their order, when the connection is gone before they could be sent again', async () => {
    await send('a');
    await send('b');
    redis.status = 'reconnecting';
    await fail(0, NOSCRIPT);
    await fail(1, NOSCRIPT);
    redis.status = 'ready';
    redis.emit('ready');
    await settle();
    expect(sent().slice(2)).toEqual(['EVALSHA a,b']);
  });

  test('what Redis had no script for is rejected when the channel has been closed meanwhile', async () => {
    await send('a');
    redis.status = 'end';
    channel.close();
    await fail(0, NOSCRIPT);
    expect(outcomes).toEqual(['a: STORE_UNAVAILABLE']);
  });

  test('races 15 and 29: a connection hangs when answers are owed and none at all comes, however old what is owed', async () => {
    await send('a');
    await clock.advance(500);
    await send('b');
    await clock.advance(500);
    expect(channel.isSilentFor(1000)).toBe(true);
    await answer(0, 1);
    await clock.advance(900);
    expect(channel.isSilentFor(1000)).toBe(false);
    await send('c');
    await fail(1, Object.assign(new Error('ERR'), { name: 'ReplyError' }));
    await clock.advance(900);
    expect(channel.isSilentFor(1000)).toBe(false);
    await answer(2, 1);
    await clock.advance(5000);
    await send('d');
    expect(channel.isSilentFor(1000)).toBe(false);
  });

  test('race 29: a process that was blocked has not been silent: what has arrived is read first', async () => {
    await send('a');
    clock.stall(10 * TIMEOUT_MS);
    await clock.advance(0);
    await answer(0, 1);
    await clock.advance(TIMEOUT_MS);
    expect([redis.cuts, outcomes]).toEqual([[], ['a: 1']]);
  });

  test('race 15: a connection that hangs is cut and made anew', async () => {
    await send('a');
    await clock.advance(TIMEOUT_MS - WATCH_MS);
    expect(redis.cuts).toEqual([]);
    await clock.advance(WATCH_MS);
    expect(redis.cuts).toEqual([true]);
  });

  test('an answer of a replica: a failover happened behind the address, and a new connection finds the primary', async () => {
    await send('a', 'b');
    await answer(0, 1, new Error("READONLY You can't write against a read only replica. script: 1f"));
    expect([redis.cuts, outcomes]).toEqual([[true], ['a: 1', 'b: STORE_REFUSED']]);
  });

  test('an argument that is none is its caller’s error, and that of no other call of the tick', async () => {
    make('a');
    make('b', undefined as never);
    make('c');
    await settle();
    await answer(0, 1, 3);
    expect(sent()).toEqual(['EVALSHA a,c']);
    expect(outcomes.filter(outcome => !outcome.startsWith('b'))).toEqual(['a: 1', 'c: 3']);
  });

  test('race 19: a batch is bounded in calls and in bytes, since Redis does nothing else meanwhile', async () => {
    await send(...Array.from({ length: 130 }, () => 'x'));
    expect(redis.sent.map(({ what }) => what.split('x').length - 1)).toEqual([64, 64, 2]);
    for (let i = 0; i < 3; i++) make('y', 'z'.repeat(300 * 1024));
    await settle();
    expect(sent().slice(3)).toEqual(['EVALSHA y', 'EVALSHA y', 'EVALSHA y']);
  });

  test('I11: a large call goes by itself, and its size is that of its bytes', async () => {
    make('a');
    make('large', '€'.repeat(200 * 1024));
    make('b');
    await settle();
    expect(sent()).toEqual(['EVALSHA a', 'EVALSHA large', 'EVALSHA b']);
  });

  test('I11: what is not answered is bounded in bytes; the rest follows in its order, some with each turn', async () => {
    const ops = Array.from({ length: 40 }, (_, at) => `${at}`);
    for (const op of ops) make(op, 'z'.repeat(300 * 1024));
    await settle();
    // 4 MB and what made it more.
    expect(sent()).toHaveLength(14);
    for (let at = 0; at < ops.length; at++) await answer(at, at);
    expect(sent()).toEqual(ops.map(op => `EVALSHA ${op}`));
    expect(outcomes).toEqual(ops.map(op => `${op}: ${op}`));
  });

  test('I11: what can not be written rejects its calls as not executed, and nothing else', async () => {
    const { sendCommand } = redis;
    redis.sendCommand = () => {
      throw new RangeError('Invalid string length');
    };
    await send('a', 'b');
    redis.sendCommand = sendCommand;
    await send('c');
    await answer(0, 1);
    expect([sent(), outcomes]).toEqual([['EVALSHA c'], ['a: STORE_REFUSED', 'b: STORE_REFUSED', 'c: 1']]);
  });

  test('I11: a call that is larger than any may be is refused before it is sent', async () => {
    make('a', 'z'.repeat(17 * 1024 * 1024));
    await send('b');
    expect([sent(), outcomes]).toEqual([['EVALSHA b'], ['a: STEP_TOO_LARGE']]);
  });

  test('an answer that is none is that call’s own error', async () => {
    await send('a', 'b');
    redis.sent[0]?.open(packr.pack([[1]]));
    await settle();
    expect(outcomes).toEqual(['a: 1', 'b: STORE_REFUSED']);
  });

  test('race 19: an error in the place of an answer, or in reading it, is that call’s own', async () => {
    await send('a', 'b');
    const unreadable = channel.call('c', [], () => {
      throw new TypeError('not what was expected');
    });
    await settle();
    await answer(0, new Error('ERR in a script'), 2);
    expect(outcomes).toEqual(['a: STORE_REFUSED', 'b: 2']);
    redis.sent[1]?.open(packed([3]));
    await expect(unreadable).rejects.toThrow('not what was expected');
  });
});
