/** Options of the engine and of jobs: unknown, invalid or unsupported ones, each with a typed error. */

import type { FetchedJob, JobOptions } from '../../../../src/core/model/job.js';
import { HandlerNotFoundError, JobAbandonedError } from '../../../../src/core/model/job-errors.js';
import { checkJobOptions, checkOrder } from '../../../../src/core/options/job-options.js';
import type { EngineOptions, EntityOptions } from '../../../../src/core/options/options.js';
import { resolveOptions } from '../../../../src/core/options/resolve.js';
import { jsonCodec } from '../../../../src/core/payload/codec.js';
import { checkSize, encodePayload } from '../../../../src/core/payload/payload.js';
import { retryDelayMs } from '../../../../src/core/run/retry.js';
import { PrefetchWindow } from '../../../../src/core/work/prefetch-window.js';

describe('options of the engine', () => {
  test('have defaults', () => {
    const config = resolveOptions({});
    expect(config).toMatchObject({
      leaseMs: 3000,
      eventLoopBlockLimitMs: 30_000,
      sweepMs: 1000,
      shutdownTimeoutMs: 10_000,
      replyTimeoutMs: undefined,
    });
    expect(config.entityType('any')).toMatchObject({
      idleTimeoutMs: 15_000,
      lockDurationMs: 30_000,
      prefetch: 128,
      maxStalledCount: 1,
      jobOptions: { removeOnComplete: true, removeOnFail: { count: 1000, age: 604_800 } },
    });
  });

  test('set how long a blocked event loop is tolerated; 0 means not at all', () => {
    for (const eventLoopBlockLimitMs of [0, 5000]) {
      expect(resolveOptions({ workerDefaults: { eventLoopBlockLimitMs } })).toMatchObject({ eventLoopBlockLimitMs });
    }
  });

  test('set how many frames are logged with a failed attempt: 0 to 50, by default 3', () => {
    expect(resolveOptions({}).failureStackFrames).toBe(3);
    for (const failureStackFrames of [0, 50])
      expect(resolveOptions({ failureStackFrames })).toMatchObject({ failureStackFrames });
    for (const failureStackFrames of [-1, 51, 1.5, Number.NaN, '3' as never])
      expect(() => resolveOptions({ failureStackFrames })).toThrow(
        /failureStackFrames must be a whole number from 0 to 50/,
      );
  });

  test('of an entity type override the defaults of workers and of jobs', () => {
    const config = resolveOptions({
      workerDefaults: { lockDuration: 1000, prefetch: 5 },
      defaultJobOptions: { removeOnFail: 7 },
      entities: {
        account: {
          idleTimeoutSeconds: 2,
          workerConfig: { lockDuration: 60_000 },
          defaultJobOptions: { removeOnComplete: 3 },
        },
      },
    });
    expect(config.entityType('account')).toMatchObject({
      idleTimeoutMs: 2000,
      lockDurationMs: 60_000,
      prefetch: 5,
      jobOptions: { removeOnComplete: 3, removeOnFail: 7 },
    });
    expect(config.entityType('constructor').idleTimeoutMs).toBe(15_000);
  });

  test('with several workers of an entity and several handlers each give up order for their product', () => {
    const entities = { game: { maxWorkersPerEntity: 3, workerConfig: { concurrency: 2 } } };
    const type = resolveOptions({ entities }).entityType('game');
    expect(type).toMatchObject({ handlersAtStart: 6, isOrdered: false });
    expect(resolveOptions({ entities }).entityType('other')).toMatchObject({ handlersAtStart: 1, isOrdered: true });
    const scaled = resolveOptions({ entities, enableCronManager: true });
    expect(scaled.scaleEveryMs).toBe(5000);
    expect(scaled.entityType('game').handlersAtStart).toBe(2);
  });

  test('switch a wait off with 0', () => {
    const config = resolveOptions({ discoveryIntervalMs: 0, workerDefaults: { unknownJobGraceMs: 0 } });
    expect([config.discoveryMs, config.entityType('any').unknownJobGraceMs]).toEqual([0, 0]);
  });

  test.each<[string, object, string, RegExp]>([
    [
      'a typo',
      { workerDefaults: { heartbeatTtl: 3 } },
      'INVALID_OPTION',
      /workerDefaults\.heartbeatTtl; known here: .*heartbeatTTL/,
    ],
    [
      'a typo of an entity',
      { entities: { account: { idleTimeout: 3 } } },
      'INVALID_OPTION',
      /entities\.account\.idleTimeout/,
    ],
    [
      'a lease per type',
      { entities: { account: { workerConfig: { heartbeatTTL: 9 } } } },
      'INVALID_OPTION',
      /workerConfig\.heartbeatTTL/,
    ],
    [
      'an entity name function of another type',
      { entities: { account: { queueName: 'x' } } },
      'INVALID_OPTION',
      /must be a function/,
    ],
    ['a negative time', { workerDefaults: { stalledInterval: -1 } }, 'INVALID_OPTION', /above 0/],
    [
      'a time longer than a timer can wait',
      { shutdownTimeoutMs: Infinity },
      'INVALID_OPTION',
      /shutdownTimeoutMs.*at most 2147483647/,
    ],
    [
      'a lease longer than a timer can wait',
      { workerDefaults: { heartbeatTTL: 1e7 } },
      'INVALID_OPTION',
      /seconds.*at most 2147483/,
    ],
    [
      'half a millisecond of a blocked event loop',
      { workerDefaults: { eventLoopBlockLimitMs: 0.5 } },
      'INVALID_OPTION',
      /eventLoopBlockLimitMs.*whole number/,
    ],
    [
      'a blocked event loop that is not a number',
      { workerDefaults: { eventLoopBlockLimitMs: Number.NaN } },
      'INVALID_OPTION',
      /eventLoopBlockLimitMs/,
    ],
    ['half a job', { workerDefaults: { prefetch: 0.5 } }, 'INVALID_OPTION', /prefetch.*whole number/],
    ['too many jobs', { workerDefaults: { prefetch: 5000 } }, 'INVALID_OPTION', /prefetch.*to 256/],
    ['half a millisecond', { workerDefaults: { lockDuration: 1.5 } }, 'INVALID_OPTION', /lockDuration.*whole number/],
    ['no workers', { entities: { account: { maxWorkersPerEntity: 0 } } }, 'INVALID_OPTION', /whole number from 1/],
    [
      'more handlers than one call can end',
      { entities: { account: { maxWorkersPerEntity: 20, workerConfig: { concurrency: 20 } } } },
      'INVALID_OPTION',
      /account: maxWorkersPerEntity times concurrency is 400; it must be at most 256/,
    ],
    ['a fraction of a handler', { workerDefaults: { concurrency: 1.5 } }, 'INVALID_OPTION', /whole number from 1/],
    ['no backlog', { entities: { account: { maxPending: 0 } } }, 'INVALID_OPTION', /maxPending.*whole number from 1/],
    ['no rate', { entities: { account: { rateLimit: 5 } } }, 'INVALID_OPTION', /rateLimit must be/],
    [
      'half a rate',
      { entities: { account: { rateLimit: { max: 0.5, durationMs: 5 } } } },
      'INVALID_OPTION',
      /rateLimit.max must be a whole number/,
    ],
    [
      'a rate without a duration',
      { entities: { account: { rateLimit: { max: 1 } } } },
      'INVALID_OPTION',
      /rateLimit.durationMs must be/,
    ],
    [
      'a rate with other names',
      { entities: { account: { rateLimit: { max: 1, durationMs: 1, duration: 1 } } } },
      'INVALID_OPTION',
      /rateLimit.duration;/,
    ],
    ['no room', { maxWorkersPerPod: 0 }, 'INVALID_OPTION', /maxWorkersPerPod must be a whole number from 1/],
    ['a negative interval', { cronInterval: -1 }, 'INVALID_OPTION', /cronInterval/],
    ['a negative grace', { workerDefaults: { unknownJobGraceMs: -1 } }, 'INVALID_OPTION', /unknownJobGraceMs/],
    ['a reply timeout of 0', { replyTimeoutMs: 0 }, 'INVALID_OPTION', /replyTimeoutMs/],
    [
      'a result of half a byte',
      { maxResultBytes: 0.5 },
      'INVALID_OPTION',
      /maxResultBytes must be a whole number from 1/,
    ],
    [
      'a discovery interval of half a millisecond',
      { discoveryIntervalMs: 0.5 },
      'INVALID_OPTION',
      /discoveryIntervalMs/,
    ],
  ])('%s is refused', (_, options, code, message) => {
    expect(() => resolveOptions(options as EngineOptions)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });

  test.each(['a:b', '$', '{x}', '', 'a b'])('a queue name %p is refused', name => {
    const config = resolveOptions({ entities: { account: { queueName: () => name } } });
    expect(() => config.entityType('account').queueName?.('1')).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION' }),
    );
  });
});

describe('options of a job', () => {
  test('of BullMQ pass if they keep the order', () => {
    const options = {
      jobId: 'x',
      delay: 5,
      removeOnComplete: 1,
      removeOnFail: { age: 5 },
      attempts: 3,
      keepLogs: 3,
      backoff: { type: 'exponential', delay: 100, jitter: 0.5 },
    };
    expect(() => checkJobOptions(options, 'Job "x"')).not.toThrow();
  });

  test.each<[object, string]>([
    [{ repeat: { every: 5 } }, 'UNSUPPORTED'],
    [{ parent: { id: '1', queue: 'q' } }, 'UNSUPPORTED'],
    [{ deduplication: { id: 'k', keepLastIfActive: true } }, 'UNSUPPORTED'],
    [{ dealy: 5 }, 'INVALID_OPTION'],
    [{ delay: -1 }, 'INVALID_OPTION'],
    [{ delay: Number.NaN }, 'INVALID_OPTION'],
    [{ delay: '5' }, 'INVALID_OPTION'],
    [{ attempts: '3' }, 'INVALID_OPTION'],
    [{ backoff: -1 }, 'INVALID_OPTION'],
    [{ backoff: '1 s' }, 'INVALID_OPTION'],
    [{ backoff: { type: 'linear', delay: 5 } }, 'INVALID_OPTION'],
    [{ backoff: { type: 'fixed', delay: Number.POSITIVE_INFINITY } }, 'INVALID_OPTION'],
    [{ backoff: { type: 'fixed', delay: 5, jitter: 2 } }, 'INVALID_OPTION'],
    [{ backoff: { type: 'fixed', dealy: 5 } }, 'INVALID_OPTION'],
    [{ lifo: 'yes' }, 'INVALID_OPTION'],
    [{ priority: -1 }, 'INVALID_OPTION'],
    [{ removeOnComplete: { count: 'x' } }, 'INVALID_OPTION'],
    [{ removeOnFail: 'never' }, 'INVALID_OPTION'],
    [{ removeOnFail: { days: 3 } }, 'INVALID_OPTION'],
  ])('with %j are refused', (options, code) => {
    expect(() => checkJobOptions(options as Record<string, unknown>, 'Job "x"')).toThrow(
      expect.objectContaining({ code }),
    );
  });
});

describe('the order of an entity', () => {
  const config = (ordering?: 'strict' | 'relaxed', rest: EntityOptions = {}) =>
    resolveOptions({ entities: { account: { ...(ordering && { ordering }), ...rest } } }).entityType('account');

  test('is kept unless several handlers run at once, or the type has relaxed order', () => {
    expect(config().ordering).toBe('strict');
    expect(config('relaxed').ordering).toBe('relaxed');
    expect(config(undefined, { maxWorkersPerEntity: 2 }).ordering).toBe('relaxed');
    expect(() => config('strict', { maxWorkersPerEntity: 2 })).toThrow(/2 jobs of an entity may run at once/);
    expect(() => config('loose' as 'strict')).toThrow(/ordering must be/);
    expect(() => config('relaxed', { onExhausted: 'block' })).toThrow(/onExhausted is 'block'.*order/);
    expect(() => config(undefined, { onExhausted: 'block', maxWorkersPerEntity: 2 })).toThrow(/may run at once/);
  });

  test.each([{ priority: 1 }, { lifo: true }])('must be relaxed for the option %j', options => {
    expect(() => checkOrder(options, config(), 'Job "x"')).toThrow(/"account".*order.*ordering 'relaxed'/);
    expect(() => checkOrder(options, config('relaxed'), 'Job "x"')).not.toThrow();
    expect(() => config('strict', { defaultJobOptions: options })).toThrow(/defaultJobOptions/);
  });
});

describe('the next attempt', () => {
  const job = (attemptsMade: number, options: object): FetchedJob => ({
    id: '1',
    name: 'x',
    data: {},
    attempt: 1,
    attemptsMade,
    options: options as JobOptions,
    envelope: {},
    native: () => undefined,
  });
  const error = new Error('once more');
  const unrecoverable = Object.assign(new Error('never'), { name: 'UnrecoverableError' });

  test.each<[string, number, object, unknown, number | undefined]>([
    ['never comes without attempts', 0, {}, error, undefined],
    ['never comes with the attempts of BullMQ’s default', 0, { attempts: 0 }, error, undefined],
    ['comes at once without a backoff', 0, { attempts: 2 }, error, 0],
    ['never comes after the last one', 1, { attempts: 2 }, error, undefined],
    ['comes after a fixed time', 1, { attempts: 3, backoff: 50 }, error, 50],
    [
      'comes after a fixed time, given as an object',
      1,
      { attempts: 3, backoff: { type: 'fixed', delay: 50 } },
      error,
      50,
    ],
    ['comes twice as late each time', 2, { attempts: 9, backoff: { type: 'exponential', delay: 50 } }, error, 200],
    [
      'comes no later than a timer can wait',
      40,
      { attempts: 99, backoff: { type: 'exponential', delay: 50 } },
      error,
      2 ** 31 - 1,
    ],
    [
      'comes earlier by up to its jitter',
      0,
      { attempts: 3, backoff: { type: 'fixed', delay: 100, jitter: 0.5 } },
      error,
      75,
    ],
    ['never comes if the error is unrecoverable', 0, { attempts: 3 }, unrecoverable, undefined],
    ['never comes if the job must not run', 0, { attempts: 3 }, new JobAbandonedError('gone'), undefined],
    ['never comes if the job name is unknown', 0, { attempts: 3 }, new HandlerNotFoundError('unknown'), undefined],
    ['comes at once if the backoff has no time', 0, { attempts: 3, backoff: 'exponential' }, error, 0],
    [
      'comes at once if the delay of the backoff is not a number',
      0,
      { attempts: 3, backoff: { type: 'fixed', delay: '5s' } },
      error,
      0,
    ],
    ['comes after any thrown value', 0, { attempts: 3 }, undefined, 0],
  ])('%s', (_, made, options, thrown, expected) => {
    expect(retryDelayMs(job(made, options), thrown, () => 0.5)).toBe(expected);
  });
});

describe('data of a job', () => {
  test('becomes JSON if it is plain: undefined is left out, and a date becomes a string', () => {
    expect(encodePayload(jsonCodec, { a: 1, b: undefined, c: [null], d: new Date(0) }, 'x')).toBe(
      '{"a":1,"c":[null],"d":"1970-01-01T00:00:00.000Z"}',
    );
    expect(encodePayload(jsonCodec, undefined, 'x')).toBe('{}');
    expect(encodePayload(jsonCodec, { __proto__: null, x: 1 }, 'x')).toBe('{"x":1}');
  });

  const cycle: Record<string, unknown> = {};
  cycle['self'] = cycle;
  test.each<[string, unknown]>([
    ['a cycle', cycle],
    ['a bigint', { amount: 1n }],
    ['a function', { callback: () => 1 }],
    ['a symbol', { deep: { symbol: Symbol('x') } }],
    ['NaN', { amount: Number.NaN }],
    ['a map', { map: new Map() }],
    ['a set', [new Set()]],
    ['an object that hides from JSON', { toJSON: () => undefined }],
  ])('with %s is refused with an error that names it, and not lost', (_, data) => {
    expect(() => encodePayload(jsonCodec, data, 'Job "withdraw"')).toThrow(
      expect.objectContaining({
        code: 'UNSERIALIZABLE_DATA',
        message: expect.stringMatching(/^Job "withdraw" has data/),
      }),
    );
  });
});

test('is refused above the sizeLimit of its job, counted in bytes', () => {
  const check =
    (sizeLimit: number, maxPayloadBytes = 100) =>
    () =>
      checkSize('"é"', { sizeLimit, maxPayloadBytes }, 'Job "x"');
  expect(check(4)).not.toThrow();
  expect(check(3)).toThrow(/Job "x" has 4 bytes of data, more than its sizeLimit of 3/);
  expect(check(100, 3)).toThrow(expect.objectContaining({ code: 'PAYLOAD_TOO_LARGE', bytes: 4, maxBytes: 3 }));
});

describe('the prefetch window', () => {
  test('doubles with each successor, up to its bound, and falls to one for slow jobs', () => {
    const window = new PrefetchWindow(6);
    expect(window.wanted(0, 0)).toBe(1);
    window.onSuccessor();
    expect([window.wanted(0, 0), window.wanted(1, 0)]).toEqual([2, 1]);
    for (let i = 0; i < 9; i++) window.onSuccessor();
    expect([window.wanted(0, 0), window.wanted(1, 2), window.wanted(1, 5)]).toEqual([4, 3, 0]);
    window.onJobEnd(25);
    expect([window.wanted(0, 0), window.wanted(1, 0)]).toEqual([1, 0]);
  });

  test('stays at one until the jobs of a dead owner have finished', () => {
    const window = new PrefetchWindow(4);
    window.enterRecoveryMode(2);
    window.onSuccessor();
    expect(window.wanted(1, 0)).toBe(0);
    window.onJobEnd(1);
    window.onJobEnd(1);
    window.onSuccessor();
    expect(window.wanted(1, 0)).toBe(1);
  });

  test('asks for at least one job when none is at hand, despite pending responses, because they may bring none', () => {
    expect(new PrefetchWindow(4).wanted(0, 2)).toBe(1);
  });
});
