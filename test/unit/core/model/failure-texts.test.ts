/**
 * The texts of a failure: in the reason of the job, in the log, and in the error of its caller. Each failure has a text, and
 * errors of another realm are errors.
 */
import vm from 'node:vm';
import { UnrecoverableError } from 'bullmq';
import { HandlerError } from '../../../../src/core/calls/call-errors.js';
import { jsonWithin } from '../../../../src/core/model/bounded-json.js';
import { BulkEnqueueError } from '../../../../src/core/model/errors.js';
import { messageOf } from '../../../../src/core/model/failure-text.js';
import { JobRefusedError } from '../../../../src/core/model/job-errors.js';
import { describeThrown } from '../../../../src/core/model/reply.js';
import { MemoryPods } from '../../../support/memory-pods.js';

/** Node rejects with this error when a host has two addresses, and both refuse the connection. */
function refusedTwice(): unknown {
  const refused = (address: string) =>
    Object.assign(new Error(`connect ECONNREFUSED ${address}`), { code: 'ECONNREFUSED' });
  const errors = [refused('::1:5432'), refused('127.0.0.1:5432')];
  return Object.assign(new AggregateError(errors), { code: 'ECONNREFUSED' });
}

const CONNECTIONS = 'AggregateError [ECONNREFUSED]: connect ECONNREFUSED ::1:5432; connect ECONNREFUSED 127.0.0.1:5432';

class InsufficientFunds extends Error {}
class Plain {}

describe('the text of a thrown value', () => {
  test.each<[string, unknown, string]>([
    ['an ordinary error: its message only', new Error('x'), 'x'],
    ['an error with a name and a code: its message', Object.assign(new RangeError('x'), { code: 'E_X' }), 'x'],
    ['a message with spaces around it', new Error(' x '), ' x '],
    ['a string', 'no money', 'no money'],
    ['the AggregateError of a connection', refusedTwice(), CONNECTIONS],
    ['an error with a code only', Object.assign(new Error(), { code: 'ECONNRESET' }), 'Error [ECONNRESET]'],
    ['an empty error', new Error(), 'Error'],
    ['a class without a message', new InsufficientFunds(), 'InsufficientFunds'],
    ['a thrown class', InsufficientFunds, 'InsufficientFunds'],
    ['an object with a message and a code', { message: 'no money', code: 'POOR' }, 'POOR: no money'],
    ['an object with a message', { message: 'no money' }, 'no money'],
    ['an object with a code', { code: 7 }, '7'],
    [
      'an object with a name, a message and a code',
      { name: 'Poor', message: 'no money', code: 7 },
      'Poor [7]: no money',
    ],
    ['a list of messages', { message: ['too short', 'no number'], statusCode: 400 }, '["too short","no number"]'],
    ['a list of errors', [new Error('first'), new Error('second')], 'first; second'],
    ['an object of a class', new Plain(), 'Plain'],
    ['an object with a toString of its own', new URL('redis://somewhere/'), 'redis://somewhere/'],
    ['an empty string', '', 'something that has no text was thrown'],
    ['an empty object', {}, 'something that has no text was thrown'],
    ['nothing', undefined, 'undefined'],
    [
      'a cause, if the message is the same for all calls',
      new TypeError('fetch failed', { cause: refusedTwice() }),
      `fetch failed: ${CONNECTIONS}`,
    ],
    [
      'a cause with a code that is in the message already',
      new Error('no answer: getaddrinfo', { cause: Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' }) }),
      'no answer: getaddrinfo',
    ],
    ['a cause with another message', new Error('not paid', { cause: new Error('no money') }), 'not paid'],
    ['a cause below an empty message', new Error('', { cause: new Error('no money') }), 'Error: no money'],
    [
      'a bulk that was partly added',
      new BulkEnqueueError('1 of 2 jobs were not added; the first: full', [undefined, new Error('full')]),
      'BulkEnqueueError [BULK_ENQUEUE_FAILED]: 1 of 2 jobs were not added; the first: full',
    ],
    [
      'many errors',
      new AggregateError(
        [1, 2, 3, 4, 5].map(n => new Error(`no ${n}`)),
        'none',
      ),
      'AggregateError: none: no 1; no 2; no 3; and more',
    ],
  ])('is right for %s', (_, thrown, words) => {
    expect(messageOf(thrown)).toBe(words);
  });

  test('names the class of an error from Promise.any, and the rejection of each promise', async () => {
    const any = Promise.any([Promise.reject(new Error('first')), Promise.reject({ message: 'second', code: 'TWO' })]);
    await expect(any.catch(messageOf)).resolves.toBe('AggregateError: All promises were rejected: first; TWO: second');
  });

  test('needs bounded work and has bounded length for errors within errors, to any depth and in any number', () => {
    const endless: { errors: unknown[] } = { errors: [] };
    let reads = 0;
    const errors = new Proxy([], {
      get: (of, name) => {
        reads++;
        if (name === 'length') return 2 ** 31;
        return typeof name === 'string' && /^\d+$/.test(name) ? endless : Reflect.get(of, name);
      },
    });
    endless.errors = errors;
    expect(messageOf(endless).length).toBeLessThanOrEqual(4096);
    expect(JSON.stringify(describeThrown(endless)).length).toBeLessThan(10_000);
    expect(reads).toBeLessThan(2000);
  });

  test('ends at its bound for JSON of a large value', () => {
    let reads = 0;
    const wide = Array.from({ length: 1000 }, () => ({
      get some() {
        return ++reads;
      },
    }));
    expect(jsonWithin(wide, 100)).toBeUndefined();
    expect(reads).toBeLessThan(20);
    expect(jsonWithin({ a: ['é', 1] }, 100)).toBe('{"a":["é",1]}');
    expect(jsonWithin('x'.repeat(1e6), 100)).toBeUndefined();
    expect(jsonWithin('\u0000'.repeat(90), 100)).toBeUndefined();
    expect(jsonWithin({ a: 1n }, 100)).toBeUndefined();
    expect(jsonWithin(undefined, 100)).toBeUndefined();
  });
});

/** Errors made by another realm. In Jest, Node's own errors are among them. */
const realm = (code: string): unknown => vm.runInNewContext(code);

describe('a job that fails', () => {
  let cluster: MemoryPods;
  const failed = () => cluster.stored().failed;

  beforeEach(() => {
    cluster = new MemoryPods();
  });
  afterEach(() => cluster.close());

  async function fail(thrown: unknown, attempts = 1) {
    const a = await cluster.pod('a', { failureStackFrames: 0 });
    cluster.returns = () => {
      throw thrown;
    };
    const call = a.call('1', 1, {}, { attempts }).catch((error: HandlerError) => error);
    await cluster.clock.advance(1000);
    return { error: (await call) as HandlerError, line: a.log.lines.find(text => text.includes('failed: ')) ?? '' };
  }

  test("has the same text in its reason and in the log, and the parts of the text in its caller's error", async () => {
    const { error, line } = await fail(refusedTwice());
    expect(failed()[0]?.outcome?.value).toBe(CONNECTIONS);
    expect(line).toContain(`failed: ${CONNECTIONS}`);
    expect(error).toBeInstanceOf(HandlerError);
    expect(error).toMatchObject({
      message: CONNECTIONS,
      originalName: 'AggregateError',
      originalCode: 'ECONNREFUSED',
      errors: [
        { name: 'Error', message: 'connect ECONNREFUSED ::1:5432', code: 'ECONNREFUSED' },
        { name: 'Error', message: 'connect ECONNREFUSED 127.0.0.1:5432', code: 'ECONNREFUSED' },
      ],
    });
    expect(error.errors?.every(one => one instanceof Error)).toBe(true);
  });

  test('keeps name and code of a thrown object that is not an Error', async () => {
    const { error } = await fail({ name: 'Poor', message: 'no money', code: 'POOR' });
    expect(failed()[0]?.outcome?.value).toBe('Poor [POOR]: no money');
    expect(error).toMatchObject({ message: 'no money', originalName: 'Poor', originalCode: 'POOR' });
  });

  test('names five causes and inner errors in all, the nearest first', async () => {
    const deep = (n: number): Error => new Error(`${n}`, n < 9 ? { cause: deep(n + 1) } : {});
    const { error } = await fail(new AggregateError([deep(0), new Error('second')], 'both', { cause: deep(5) }));
    expect(error).toMatchObject({
      message: 'both',
      cause: { message: '5', cause: { message: '6' } },
      errors: [{ message: '0', cause: { message: '1' } }, { message: 'second' }],
    });
    const messages = JSON.stringify(describeThrown(deep(0))).match(/"message"/g);
    expect(messages).toHaveLength(6);
  });

  test('with an error of another realm has its name, its code and its cause', async () => {
    const thrown = realm(`Object.assign(new RangeError('too far', { cause: new Error('why') }), { code: 'E_FAR' })`);
    expect(thrown).not.toBeInstanceOf(Error);
    const { error } = await fail(thrown);
    expect(failed()[0]?.outcome?.value).toBe('too far');
    expect(error).toMatchObject({
      message: 'too far',
      originalName: 'RangeError',
      originalCode: 'E_FAR',
      cause: { message: 'why' },
    });
  });

  const BULL = `class UnrecoverableError extends Error {
    constructor(message) { super(message); this.name = this.constructor.name; }
  }`;
  class Closed extends UnrecoverableError {}
  const refusedHere = new JobRefusedError('refused');

  test.each<[string, unknown]>([
    ['UnrecoverableError of this realm', new UnrecoverableError('final')],
    ['a class that extends it', new Closed('final')],
    ['UnrecoverableError of another realm', realm(`${BULL}; new UnrecoverableError('final')`)],
    [
      'a class of another realm that extends it',
      realm(`${BULL}; new (class Closed extends UnrecoverableError {})('final')`),
    ],
    ['an error of this library', refusedHere],
    [
      'an error of another copy of this library',
      realm(`class AtomicQueuesError extends Error {}
        Object.assign(new (class JobRefusedError extends AtomicQueuesError {})('x'), { code: 'JOB_REFUSED' })`),
    ],
  ])('is final with %s', async (_, thrown) => {
    await fail(thrown, 3);
    expect(cluster.starts).toHaveLength(1);
  });

  test('is retried with an error that only has the code of one of this library', async () => {
    await fail(Object.assign(new Error('mine'), { code: 'JOB_REFUSED' }), 3);
    expect(cluster.starts).toHaveLength(3);
  });
});

test('a call that waits accepts an AbortSignal of another realm', async () => {
  const cluster = new MemoryPods();
  try {
    const a = await cluster.pod('a');
    class Foreign extends EventTarget {
      static readonly made = Object.defineProperty(Foreign, 'name', { value: 'AbortSignal' });
      readonly aborted = false;
    }
    expect(new Foreign()).not.toBeInstanceOf(AbortSignal);
    await expect(a.call('1', 1, { signal: new Foreign() as never })).resolves.toBeNull();
    await expect(a.call('1', 2, { signal: {} as never })).rejects.toMatchObject({ code: 'INVALID_OPTION' });
  } finally {
    await cluster.close();
  }
});
