/** Values that a handler may throw or return and that are hard to read, or to keep. */
import fc from 'fast-check';
import { anyText } from './any-text.js';

/** A value that throws when it is read may throw another value of that kind. */
function refuse(): never {
  throw revoked();
}

function revoked(of: object = {}): object {
  const { proxy, revoke } = Proxy.revocable(of, {});
  revoke();
  return proxy;
}

/** An object that throws on every access. */
function refusing(of: object): object {
  return new Proxy(of, { get: refuse, getPrototypeOf: refuse, has: refuse, ownKeys: refuse });
}

function withGetters(error: Error, names: readonly string[]): Error {
  for (const name of names) Object.defineProperty(error, name, { get: refuse, configurable: true });
  return error;
}

function withCause(error: Error, cause: unknown): Error {
  return Object.defineProperty(error, 'cause', { value: cause });
}

function circle(): Error {
  const error = new Error('its own cause');
  return withCause(error, error);
}

/** An array whose length is no number. */
function lengthless(): object {
  return new Proxy([], { get: (of, name) => (name === 'length' ? Symbol('length') : Reflect.get(of, name)) });
}

function httpException(getResponse: () => unknown): Error {
  return Object.assign(new Error('an exception'), { getStatus: () => 422, getResponse });
}

function nested(depth: number): unknown {
  let of: unknown = [];
  for (let n = 0; n < depth; n++) of = [of];
  return of;
}

const text = fc.oneof(
  anyText({ maxLength: 30 }),
  fc.constantFrom('', '\ud83d', 'a\udc00b', 'x'.repeat(300_000), '\u0000\n\r\u2028'.repeat(3000), '😀'.repeat(9000)),
);
/** The stack is first, because defining it reads the others. */
const GETTERS = ['stack', 'message', 'name', 'code', 'cause', 'stage', 'failures', 'errors', 'getStatus', 'errorCode'];
const THEN = 'then';

/** Makes the value: fast-check reads what it generates itself. */
export type Make = () => unknown;

const made = (...makes: Make[]): fc.Arbitrary<Make> => fc.constantFrom(...makes);

const error: fc.Arbitrary<Make> = fc.oneof(
  text.map(message => () => new Error(message)),
  fc.tuple(text, fc.subarray(GETTERS)).map(
    ([message, names]) =>
      () =>
        withGetters(new Error(message), names),
  ),
  fc.tuple(fc.constantFrom('message', 'stack', 'name', 'code', 'cause', 'errors', 'constructor'), fc.anything()).map(
    ([name, value]) =>
      () =>
        Object.defineProperty(new Error('odd'), name, { value }),
  ),
  made(
    circle,
    () => revoked(new Error('revoked')),
    () => refusing(new Error('refusing')),
    () => withCause(new Error('caused'), revoked()),
    () => Object.assign(new Error('a batch of none'), { code: 'BATCH_FAILURE', failures: [null, 5] }),
    () => Object.assign(new Error('sly'), { code: 'BATCH_FAILURE', failures: revoked([]) }),
    () => Object.assign(new Error('odd length'), { code: 'BATCH_FAILURE', failures: lengthless() }),
    () => Object.assign(new Error('odd length'), { errors: lengthless() }),
    () => new AggregateError([circle(), revoked(), refusing([]), undefined, 'x'.repeat(300_000)]),
    () => httpException(refuse),
    () => httpException(() => revoked()),
    () => httpException(() => ({ deep: nested(20_000) })),
    () => httpException(() => '\u0000'.repeat(300_000)),
    () => Object.assign(new Error('no status'), { getStatus: refuse, getResponse: refuse }),
  ),
);

const thing: fc.Arbitrary<Make> = fc.oneof(
  fc.anything({ withBigInt: true, withNullPrototype: true, withSparseArray: true, withDate: true }).map(of => () => of),
  text.map(of => () => of),
  made(
    () => revoked(),
    () => revoked([]),
    () => refusing([]),
    () => Symbol('a symbol'),
    () => ({ toString: refuse, toJSON: refuse, [Symbol.toPrimitive]: refuse }),
    () => Object.defineProperty({}, 'toJSON', { get: refuse }),
  ),
);

/** None of these is a promise that never settles: that would be a handler that never ends. */
export const thrown: fc.Arbitrary<Make> = fc.oneof(error, thing);
export const returned: fc.Arbitrary<Make> = fc.oneof(
  error,
  thing.map(make => () => settledAtOnce(make())),
  made(
    () => Object.defineProperty({}, THEN, { get: refuse }),
    () => ({ [THEN]: refuse }),
  ),
  thrown.map(make => () => ({ [THEN]: (_: unknown, reject: (reason: unknown) => void) => reject(make()) })),
);

function settledAtOnce(value: unknown): unknown {
  try {
    return typeof (value as { then?: unknown } | null | undefined)?.then === 'function' ? undefined : value;
  } catch {
    return value;
  }
}
