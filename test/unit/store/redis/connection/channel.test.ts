/**
 * The command channel on a Redis that responds when the test says so: which calls are sent again and which never, in which
 * order, and when a connection counts as hanging (races 1, 15, 17, 19, 29).
 */
import { EventEmitter } from 'node:events';
import type { Command, RedisOptions } from 'ioredis';
import { Packr } from 'msgpackr';
import { Channel } from '../../../../../src/store/redis/connection/channel.js';
import { ManualClock, settle } from '../../../../support/clock.js';
import { type Gate, gate } from '../../../../support/wait.js';

interface Sent extends Gate<Buffer> {
  /** `EVALSHA a,b`: the command, and the calls in it. */
  readonly what: string;
}

class FakeRedis extends EventEmitter {
  status = 'ready';
  options: RedisOptions = {};
  readonly sent: Sent[] = [];
  readonly cuts: boolean[] = [];
  /** The response to a batch without calls, which checks whether Redis accepts calls. */
  readiness: () => Promise<Buffer> = async () => packed([]);
  asked = 0;

  sendCommand({ name, args: [, ...rest] }: Command): Promise<Buffer> {
    if (rest.length === 0) {
      this.asked++;
      return this.readiness();
    }
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
/** A response of the script: an array for each call, or the error in its place. */
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

  beforeEach(async () => {
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
    redis.emit('ready');
    await settle();
    await clock.advance(WATCH_MS);
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

  test('reports that a batch has been read before any caller goes on', async () => {
    onRead = () => outcomes.push('read');
    await send('a', 'b');
    await answer(0, 1, 2);
    expect(outcomes).toEqual(['read', 'a: 1', 'b: 2']);
  });

  test('does not delay a full batch until the end of the tick; the remaining calls go with the tick', async () => {
    for (let n = 1; n <= 65; n++) make(`${n}`);
    expect(redis.sent).toHaveLength(1);
    await settle();
    expect(sent()).toEqual([`EVALSHA ${Array.from({ length: 64 }, (_, at) => at + 1)}`, 'EVALSHA 65']);
  });

  test('race 17: sends calls for which Redis had no script again in order, once nothing is under way, and nothing overtakes them', async () => {
    await send('a', 'b');
    await send('c');
    await fail(0, NOSCRIPT);
    await send('d');
    expect(sent()).toEqual(['EVALSHA a,b', 'EVALSHA c']);
    await fail(1, NOSCRIPT);
    expect(sent().slice(2)).toEqual(['EVAL a,b,c,d']);
    await answer(2, 1, 2, 3, 4);
    expect(outcomes).toEqual(['a: 1', 'b: 2', 'c: 3', 'd: 4']);
  });

  test('race 17: never sends a call without a script again if a later call was executed', async () => {
    await send('a');
    await send('b');
    await fail(0, NOSCRIPT);
    await answer(1, 1);
    expect(outcomes).toEqual(['a: STORE_UNAVAILABLE', 'b: 1']);
    expect(sent()).toEqual(['EVALSHA a', 'EVALSHA b']);
  });

  test('race 17: sends calls for which Redis had no script again if the connection breaks meanwhile, before all waiting calls', async () => {
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

  test('race 1: never sends a call again that was sent on a connection that broke', async () => {
    await send('a');
    await fail(0, new Error('Connection is closed.'));
    redis.emit('ready');
    await settle();
    await clock.advance(2 * TIMEOUT_MS);
    expect(outcomes).toEqual(['a: OUTCOME_UNKNOWN']);
    expect(sent()).toEqual(['EVALSHA a']);
  });

  test('race 1: treats a call whose error Redis returns as not executed', async () => {
    await send('a');
    await fail(0, Object.assign(new Error('OOM command not allowed'), { name: 'ReplyError' }));
    expect(outcomes).toEqual(['a: STORE_REFUSED']);
  });

  test('race 1: sends a call on the next connection if it was never written because the connection was closing', async () => {
    await send('a');
    await fail(0, new Error("Stream isn't writeable and enableOfflineQueue options is false"));
    redis.emit('ready');
    await settle();
    await answer(1, 1);
    expect([sent(), outcomes]).toEqual([['EVALSHA a', 'EVALSHA a'], ['a: 1']]);
  });

  test('holds calls while Redis is away, in order, and no longer than their deadline', async () => {
    redis.status = 'reconnecting';
    await send('a');
    await clock.advance(TIMEOUT_MS - 500);
    await send('b');
    await clock.advance(600);
    expect(outcomes).toEqual(['a: STORE_UNAVAILABLE']);
    redis.status = 'ready';
    redis.emit('ready');
    await settle();
    await answer(0, 1);
    expect(sent()).toEqual(['EVALSHA b']);
    expect(outcomes.slice(1)).toEqual(['b: 1']);
  });

  test('race 17: sends several calls again in order if the connection breaks before it could do so', async () => {
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

  test('rejects a call for which Redis had no script if the channel has been closed meanwhile', async () => {
    await send('a');
    redis.status = 'end';
    channel.close();
    await fail(0, NOSCRIPT);
    expect(outcomes).toEqual(['a: STORE_UNAVAILABLE']);
  });

  test('races 15 and 29: considers a connection hung when responses are pending and none arrives, at any age of the calls', async () => {
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

  test('race 29: does not count the time that the process was blocked as silence, but first reads the responses that arrived', async () => {
    await send('a');
    clock.stall(10 * TIMEOUT_MS);
    await clock.advance(0);
    await answer(0, 1);
    await clock.advance(TIMEOUT_MS);
    expect([redis.cuts, outcomes]).toEqual([[], ['a: 1']]);
  });

  test('race 15: cuts a hung connection and replaces it', async () => {
    await send('a');
    await clock.advance(TIMEOUT_MS - WATCH_MS);
    expect(redis.cuts).toEqual([]);
    await clock.advance(WATCH_MS);
    expect(redis.cuts).toEqual([true]);
  });

  test('rejects an invalid argument for its own caller, and no other call of the tick', async () => {
    make('a');
    make('b', undefined as never);
    make('c');
    await settle();
    await answer(0, 1, 3);
    expect(sent()).toEqual(['EVALSHA a,c']);
    expect(outcomes.filter(outcome => !outcome.startsWith('b'))).toEqual(['a: 1', 'c: 3']);
  });

  test('race 19: bounds a batch in calls and in bytes, because Redis does nothing else meanwhile', async () => {
    await send(...Array.from({ length: 130 }, () => 'x'));
    expect(redis.sent.map(({ what }) => what.split('x').length - 1)).toEqual([64, 64, 2]);
    for (let i = 0; i < 3; i++) make('y', 'z'.repeat(300 * 1024));
    await settle();
    expect(sent().slice(3)).toEqual(['EVALSHA y', 'EVALSHA y', 'EVALSHA y']);
  });

  test('I11: sends a large call by itself, and measures it in bytes', async () => {
    make('a');
    make('large', '€'.repeat(200 * 1024));
    make('b');
    await settle();
    expect(sent()).toEqual(['EVALSHA a', 'EVALSHA large', 'EVALSHA b']);
  });

  test('I11: bounds the bytes without a response; the rest follows in order, some with each turn', async () => {
    const ops = Array.from({ length: 40 }, (_, at) => `${at}`);
    for (const op of ops) make(op, 'z'.repeat(300 * 1024));
    await settle();
    // 4 MB, and the call that exceeds it.
    expect(sent()).toHaveLength(14);
    for (let at = 0; at < ops.length; at++) await answer(at, at);
    expect(sent()).toEqual(ops.map(op => `EVALSHA ${op}`));
    expect(outcomes).toEqual(ops.map(op => `${op}: ${op}`));
  });

  test('I11: rejects calls that cannot be written as not executed, and no others', async () => {
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

  test('I11: refuses a call above the largest size before it is sent', async () => {
    make('a', 'z'.repeat(17 * 1024 * 1024));
    await send('b');
    expect([sent(), outcomes]).toEqual([['EVALSHA b'], ['a: STEP_TOO_LARGE']]);
  });

  test('reports an invalid response as the error of its own call', async () => {
    await send('a', 'b');
    redis.sent[0]?.open(packr.pack([[1]]));
    await settle();
    expect(outcomes).toEqual(['a: 1', 'b: STORE_REFUSED']);
  });

  test('race 19: reports an error in place of a response, or in reading it, to its own call', async () => {
    await send('a', 'b');
    const unreadable = channel.call('c', [], () => {
      throw new TypeError('not what was expected');
    });
    await settle();
    await answer(0, new Error('ERR in a script'), 2);
    expect(outcomes).toEqual(['a: STORE_REFUSED', 'b: 2']);
    redis.sent[1]?.open(packed([3]));
    await expect(unreadable).rejects.toMatchObject({
      code: 'OUTCOME_UNKNOWN',
      message: 'Redis executed the call "c", and its response can\'t be read (TypeError).',
      cause: expect.objectContaining({ message: 'not what was expected' }),
    });
  });

  describe('a call that timed out says what failed, why, and that nothing was written,', () => {
    const late = async (op: string) => {
      const call = channel
        .call(op, [], () => {})
        .then(
          () => undefined,
          (error: Error) => error,
        );
      await settle();
      await clock.advance(TIMEOUT_MS + WATCH_MS);
      return call;
    };

    test('while Redis is away: with the address, without credentials, and the last error of the connection', async () => {
      redis.options = { host: 'redis.internal', port: 6398, username: 'me', password: 'secret' };
      redis.status = 'reconnecting';
      const cause = new Error('connect ECONNREFUSED 10.0.0.1:6398');
      redis.emit('error', cause);
      expect(await late('add')).toMatchObject({
        code: 'STORE_UNAVAILABLE',
        message:
          "The enqueue was not sent within 2000 ms (commandTimeoutMs): Redis at redis.internal:6398 can't be reached (connect ECONNREFUSED 10.0.0.1:6398). Nothing was written; try again when Redis is available.",
        cause,
      });
    });

    test('without the error of an earlier outage', async () => {
      redis.emit('error', new Error('connect ECONNREFUSED'));
      redis.emit('ready');
      await settle();
      redis.status = 'reconnecting';
      const error = await late('add');
      expect(error).toMatchObject({ message: expect.stringContaining("Redis at localhost:6379 can't be reached. ") });
      expect(error?.cause).toBeUndefined();
    });

    test('after the channel was closed, without a time', async () => {
      redis.status = 'reconnecting';
      const call = channel.call('add', [], () => {});
      channel.close();
      await expect(call).rejects.toMatchObject({
        code: 'STORE_UNAVAILABLE',
        message: 'The enqueue was not sent: the connection to Redis has been closed. Nothing was written.',
      });
    });
  });

  const refused = (code: string) => Object.assign(new Error(`${code} for the time being`), { name: 'ReplyError' });
  const reject = (error: Error) => Promise.reject<Buffer>(error);
  const accept = async () => packed([]);

  describe('a call that Redis refuses and has certainly not executed', () => {
    const codes = [
      'LOADING',
      'BUSY',
      'NOREPLICAS',
      'CLUSTERDOWN',
      'TRYAGAIN',
      'MOVED',
      'ASK',
      'READONLY',
      'MASTERDOWN',
    ];

    test.each(codes)('is held in its order, with all later calls, until Redis accepts calls (%s)', async code => {
      redis.readiness = () => reject(refused(code));
      await send('a', 'b');
      await send('c');
      await fail(0, refused(code));
      await send('d');
      expect(sent()).toEqual(['EVALSHA a,b', 'EVALSHA c']);
      await fail(1, refused(code));
      await clock.advance(TIMEOUT_MS / 4);
      expect(sent()).toHaveLength(2);
      redis.readiness = accept;
      // Redis accepts calls again, or a new connection has reached the primary.
      redis.emit('ready');
      await settle();
      await answer(2, 1, 2, 3, 4);
      expect(sent().slice(2)).toEqual(['EVALSHA a,b,c,d']);
      expect(outcomes).toEqual(['a: 1', 'b: 2', 'c: 3', 'd: 4']);
    });

    test('is held while Redis is checked every 100 ms, with a call that costs it nothing', async () => {
      const before = redis.asked;
      redis.readiness = () => reject(refused('LOADING'));
      await send('a');
      await fail(0, refused('LOADING'));
      await clock.advance(1000);
      expect([sent(), redis.asked - before]).toEqual([['EVALSHA a'], 10]);
      redis.readiness = accept;
      await clock.advance(100);
      expect(sent()).toEqual(['EVALSHA a', 'EVALSHA a']);
    });

    test('is held until its deadline, and then rejects as not executed, with the error of Redis', async () => {
      redis.readiness = () => reject(refused('NOREPLICAS'));
      const call = channel.call('a', [], () => undefined).catch((error: Error) => error);
      await settle();
      await fail(0, refused('NOREPLICAS'));
      await clock.advance(TIMEOUT_MS + WATCH_MS);
      expect(await call).toMatchObject({
        code: 'STORE_UNAVAILABLE',
        message: `The call "a" was not executed within ${TIMEOUT_MS} ms (commandTimeoutMs): Redis at localhost:6379 takes no calls (NOREPLICAS for the time being). Nothing was written; try again when Redis is available.`,
      });
    });

    test('race 17: rejects if a later call was executed', async () => {
      await send('a');
      await send('b');
      await fail(0, refused('LOADING'));
      await answer(1, 1);
      expect(outcomes).toEqual(['a: STORE_UNAVAILABLE', 'b: 1']);
      await send('c');
      expect(sent()).toEqual(['EVALSHA a', 'EVALSHA b', 'EVALSHA c']);
    });

    test('race 17: is held until the calls under way have responses', async () => {
      await send('a');
      await send('b');
      await fail(0, refused('LOADING'));
      await clock.advance(TIMEOUT_MS / 4);
      expect([sent(), outcomes]).toEqual([['EVALSHA a', 'EVALSHA b'], []]);
    });

    test('rejects on a closed channel, and nothing is sent again', async () => {
      await send('a');
      channel.close();
      await fail(0, refused('LOADING'));
      expect([outcomes, clock.pendingTimers]).toEqual([['a: STORE_UNAVAILABLE'], 0]);
    });
  });

  test.each([
    ['READONLY', "READONLY You can't write against a read only replica. script: 1f, on @user_script:8."],
    ['READONLY of Redis 6', "@user_script: 8: -READONLY You can't write against a read only replica."],
    ['MASTERDOWN', "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."],
    ['NOREPLICAS', 'NOREPLICAS Not enough good replicas to write.'],
  ])('%s in place of one response: nothing of the batch was written, and all of it is held', async (code, text) => {
    redis.readiness = () => reject(refused('LOADING'));
    await send('a', 'b');
    await send('c');
    await answer(0, 1, new Error(text));
    await answer(1, new Error(text));
    expect(outcomes).toEqual([]);
    await clock.advance(100);
    expect(redis.cuts).toEqual(code === 'NOREPLICAS' ? [] : [true]);
    redis.readiness = accept;
    redis.emit('ready');
    await settle();
    await answer(2, 1, 2, 3);
    expect([sent().slice(2), outcomes]).toEqual([['EVALSHA a,b,c'], ['a: 1', 'b: 2', 'c: 3']]);
  });

  test('a refusal in place of one job of a bulk: nothing of the bulk was added, and it is held', async () => {
    redis.readiness = () => reject(refused('NOREPLICAS'));
    await send('bulk');
    await answer(0, { err: 'NOREPLICAS Not enough good replicas to write.' });
    expect(outcomes).toEqual([]);
    redis.readiness = accept;
    await clock.advance(100);
    expect(sent()).toEqual(['EVALSHA bulk', 'EVALSHA bulk']);
  });

  test('each new connection is checked for whether Redis accepts calls before it gets any', async () => {
    const first = gate<Buffer>();
    redis.readiness = () => first.promise;
    redis.emit('ready');
    await send('a');
    expect(sent()).toEqual([]);
    first.open(packed([]));
    await settle();
    expect(sent()).toEqual(['EVALSHA a']);
  });

  test('a new connection is not cut for a response to the one before it', async () => {
    await send('a');
    await fail(0, refused('READONLY'));
    redis.emit('ready');
    await settle();
    await clock.advance(1000);
    expect([redis.cuts, sent()]).toEqual([[], ['EVALSHA a', 'EVALSHA a']]);
  });

  test('race 15: a server that does not respond to the check counts as silent', async () => {
    redis.readiness = () => gate<Buffer>().promise;
    redis.emit('ready');
    await settle();
    await clock.advance(TIMEOUT_MS);
    expect([channel.isSilentFor(TIMEOUT_MS), redis.cuts]).toEqual([true, [true]]);
  });

  test('a check that fails for another reason holds no calls back: each gets its own error', async () => {
    redis.readiness = () => reject(refused('NOPERM'));
    redis.emit('ready');
    await send('a');
    await fail(0, refused('NOPERM'));
    expect(outcomes).toEqual(['a: STORE_REFUSED']);
  });
});
