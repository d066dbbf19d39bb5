/** One row for each kind of value that payloads and results carry, and for each that is refused. `docs/payloads.md` has the same rows. */
import { of, Subject } from 'rxjs';
import { MAX_DEPTH } from '../../src/core/payload/json-values.js';

/** Content of values that must be in no error and in no line of the log. */
export const SECRET = 'hunter2';

export interface ValueRow {
  /** The row of the table in the docs. */
  readonly docs: string;
  readonly label: string;
  readonly make: () => unknown;
  readonly verdict: Carried | Refused;
}

interface Carried {
  /** The value that the other side reads as a property; undefined if there is no such property. */
  readonly carriedAs: unknown;
}

interface Refused {
  /** The text about it in the error. */
  readonly refusedAs: string;
  /** Its path within the value. */
  readonly at?: string;
}

export type CarriedRow = ValueRow & { readonly verdict: Carried };
export type RefusedRow = ValueRow & { readonly verdict: Refused };

class Money {
  constructor(
    readonly amount: number,
    readonly currency: string,
  ) {}
  get text() {
    return `${this.amount} ${this.currency}`;
  }
}
class Ping {}
class Hidden {
  readonly #secret = SECRET;
  get length() {
    return this.#secret.length;
  }
}
class WithCode extends Error {
  readonly code = SECRET;
}
class Registry extends Map<string, number> {
  readonly name = SECRET;
}

class Query {
  readonly sql = SECRET;
  // biome-ignore lint/suspicious/noThenProperty: query builders have it
  then(): void {}
}

const withToJson = (toJSON: (key: string) => unknown) => ({ toJSON });
const throwing = (): never => {
  throw new Error(SECRET);
};
const cycle = () => {
  const value: Record<string, unknown> = { name: SECRET };
  value['self'] = { back: [value] };
  return value;
};
export const nested = (levels: number): unknown => {
  let value: unknown = SECRET;
  for (let level = 0; level < levels; level++) value = [value];
  return value;
};
/** 8,192,000 values, of which a program holds a thousand. */
const doubled = () => {
  let value: unknown = [SECRET, ...new Array(999).fill(true)];
  for (let level = 0; level < 13; level++) value = [value, value];
  return value;
};
async function* chunks() {
  yield SECRET;
}

const carried = (docs: string, rows: Readonly<Record<string, readonly [make: () => unknown, carriedAs: unknown]>>) =>
  Object.entries(rows).map(([label, [make, carriedAs]]): ValueRow => ({ docs, label, make, verdict: { carriedAs } }));
const refused = (
  docs: string,
  rows: Readonly<Record<string, readonly [make: () => unknown, refusedAs: string, at?: string]>>,
) =>
  Object.entries(rows).map(
    ([label, [make, refusedAs, at]]): ValueRow => ({
      docs,
      label,
      make,
      verdict: at === undefined ? { refusedAs } : { refusedAs, at },
    }),
  );

const elsewhere = (name: string) => `an instance of ${name}, whose content is not in its own properties`;
const unknownClass = 'an object of no known class, whose content is not in its own properties';

export const VALUE_TABLE: readonly ValueRow[] = [
  ...carried('`string`, `boolean`, `null`, finite `number`', {
    'a string': [() => 'é\n"', 'é\n"'],
    'half a surrogate pair': [() => '\ud83d', '\ud83d'],
    'a boolean': [() => false, false],
    null: [() => null, null],
    'a number': [() => 1.5e300, 1.5e300],
    'minus zero': [() => -0, 0],
  }),
  ...carried('array, plain object', {
    'an array': [() => [1, ['a'], {}], [1, ['a'], {}]],
    'an object': [() => ({ a: { b: [null] } }), { a: { b: [null] } }],
    'an object without a prototype': [() => Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
    'an object in two places': [() => [[1]].flatMap(one => [one, one]), [[1], [1]]],
  }),
  ...carried('instance of a class with properties', {
    'an instance': [() => new Money(5, 'EUR'), { amount: 5, currency: 'EUR' }],
    'an instance of a subclass': [() => new (class Price extends Money {})(5, 'EUR'), { amount: 5, currency: 'EUR' }],
  }),
  ...carried('instance of an empty class (`class Ping {}`)', {
    'an instance of an empty class': [() => new Ping(), {}],
  }),
  ...carried('`undefined` property, symbol key', {
    'an undefined property': [() => undefined, undefined],
    'a property under a symbol': [() => ({ a: 1, [Symbol('b')]: 2 }), { a: 1 }],
    'a property that is not enumerable': [() => Object.defineProperty({ a: 1 }, 'b', { value: 2 }), { a: 1 }],
  }),
  ...carried('`Date`, `URL`, `Buffer` and all with a `toJSON`', {
    'a date': [() => new Date(0), '1970-01-01T00:00:00.000Z'],
    'a URL': [() => new URL('https://example.com/a?b=c'), 'https://example.com/a?b=c'],
    'a buffer': [() => Buffer.from([1, 2]), { type: 'Buffer', data: [1, 2] }],
    'what a toJSON gives': [
      () => withToJson(key => ({ key, at: new Date(0) })),
      { key: 'when', at: new Date(0).toJSON() },
    ],
    'a map with a toJSON': [
      () =>
        Object.assign(
          new Map([['a', 1]]),
          withToJson(() => [['a', 1]]),
        ),
      [['a', 1]],
    ],
    'an error with a toJSON': [
      () =>
        Object.assign(
          new Error('no'),
          withToJson(() => ({ message: 'no' })),
        ),
      { message: 'no' },
    ],
    'a toJSON that gives its own object': [
      () =>
        new (class Self {
          readonly a = 1;
          toJSON() {
            return this;
          }
        })(),
      { a: 1 },
    ],
    'a toJSON that gives null': [() => withToJson(() => null), null],
    'a toJSON that gives undefined': [() => withToJson(() => undefined), undefined],
  }),
  ...carried('boxed primitive (`new Number(1)`)', {
    'a boxed number': [() => Object(5), 5],
    'a boxed string': [() => Object('a'), 'a'],
    'a boxed boolean': [() => Object(false), false],
  }),
  ...refused('`NaN`, `Infinity`', {
    NaN: [() => Number.NaN, 'is NaN'],
    Infinity: [() => Number.POSITIVE_INFINITY, 'is Infinity'],
    'minus Infinity': [() => Number.NEGATIVE_INFINITY, 'is -Infinity'],
    'NaN in a box': [() => Object(Number.NaN), 'is NaN'],
    'NaN of a toJSON': [() => withToJson(() => [Number.NaN]), 'is NaN', '[0]'],
  }),
  ...refused('`bigint`, symbol, function', {
    'a bigint': [() => 5n, 'is a bigint'],
    'a symbol': [() => Symbol(SECRET), 'is a symbol'],
    'a function': [() => () => SECRET, 'is a function'],
    'a class': [() => Money, 'is a function'],
    'a boxed bigint': [() => Object(5n), `is ${elsewhere('BigInt')}`],
    'a boxed symbol': [() => Object(Symbol(SECRET)), `is ${elsewhere('Symbol')}`],
  }),
  ...refused('invalid `Date`', { 'an invalid date': [() => new Date(SECRET), 'is an invalid Date'] }),
  ...refused('`undefined` or a hole in an array', {
    'undefined in an array': [() => [SECRET, undefined], 'is undefined (or a hole): use null', '[1]'],
    // biome-ignore lint/suspicious/noSparseArray: it is what is tested
    'a hole in an array': [() => [SECRET, , 1], 'is undefined (or a hole): use null', '[1]'],
    'an array of holes': [() => new Array(4_000_000_000), 'is undefined (or a hole): use null', '[0]'],
  }),
  ...refused('`Map`, `Set`, `WeakMap`, `WeakSet`, `WeakRef`', {
    'a map': [() => new Map([[SECRET, 1]]), `is ${elsewhere('Map')}: use [...map]`],
    'a set': [() => new Set([SECRET]), `is ${elsewhere('Set')}: use [...set]`],
    'a weak map': [() => new WeakMap(), `is ${elsewhere('WeakMap')}`],
    'a weak set': [() => new WeakSet(), `is ${elsewhere('WeakSet')}`],
    'a weak reference': [() => new WeakRef([SECRET]), `is ${elsewhere('WeakRef')}`],
    'a map with properties': [() => new Registry([[SECRET, 1]]), `is ${elsewhere('Registry')}: use [...map]`],
  }),
  ...refused('promise (a forgotten `await`)', {
    'a promise': [() => Promise.resolve(SECRET), 'is a promise that was not awaited: await it'],
    'a promise that rejects': [() => Promise.reject(new Error(SECRET)), 'is a promise that was not awaited: await it'],
    'a thenable': [() => new Query(), 'is a promise that was not awaited: await it'],
  }),
  ...refused('`Observable`', {
    'an Observable': [() => of(SECRET), 'is an Observable: await its last value (lastValueFrom)'],
    'a subject': [() => new Subject(), 'is an Observable: await its last value (lastValueFrom)'],
  }),
  ...refused('`RegExp`, `Error`', {
    'a pattern': [() => new RegExp(SECRET), `is ${elsewhere('RegExp')}`],
    'an error': [() => new Error(SECRET), `is ${elsewhere('Error')}`],
    'an error with properties': [() => new WithCode(SECRET), `is ${elsewhere('WithCode')}`],
  }),
  ...refused('`ArrayBuffer`, typed array, `DataView`', {
    'an array buffer': [() => new ArrayBuffer(8), `is ${elsewhere('ArrayBuffer')}`],
    'a shared array buffer': [() => new SharedArrayBuffer(8), `is ${elsewhere('SharedArrayBuffer')}`],
    'a typed array': [() => new Uint8Array([1, 2]), `is ${elsewhere('Uint8Array')}`],
    'a data view': [() => new DataView(new ArrayBuffer(8)), `is ${elsewhere('DataView')}`],
  }),
  ...refused('iterator, generator', {
    'a generator': [() => [SECRET].values(), `is ${unknownClass}`],
    'an asynchronous generator': [chunks, `is ${unknownClass}`],
  }),
  ...refused('`Headers`, `FormData`, `Blob`, `URLSearchParams`, class with `#fields` only', {
    headers: [() => new Headers({ cookie: SECRET }), `is ${elsewhere('Headers')}`],
    'form data': [() => new FormData(), `is ${elsewhere('FormData')}`],
    'a blob': [() => new Blob([SECRET]), `is ${elsewhere('Blob')}`],
    'form data with properties': [() => Object.assign(new FormData(), { name: SECRET }), `is ${elsewhere('FormData')}`],
    'search parameters': [() => new URLSearchParams({ q: SECRET }), `is ${elsewhere('URLSearchParams')}`],
    'private fields': [() => new Hidden(), `is ${elsewhere('Hidden')}`],
    'inherited properties': [() => Object.create({ a: SECRET }), `is ${unknownClass}`],
  }),
  ...refused('cycle', { 'a cycle': [cycle, 'refers to itself (a cycle)', '.self.back[0]'] }),
  ...refused('more than 500 levels, or 4,194,304 values', {
    'an array that is too deep': [() => nested(MAX_DEPTH), `is nested in more than ${MAX_DEPTH} levels`, '…'],
    'an array that doubles': [doubled, 'is beyond the 4194304 values that may be stored together', '…'],
  }),
  ...refused('getter, proxy or `toJSON` that throws', {
    'a getter': [
      () => Object.defineProperty({}, 'a', { get: throwing, enumerable: true }),
      "can't be read: that throws (Error)",
      '.a',
    ],
    'a toJSON': [() => withToJson(throwing), "can't be read: that throws (Error)"],
    'a getter for toJSON': [
      () => Object.defineProperty({}, 'toJSON', { get: throwing }),
      "can't be read: that throws (Error)",
    ],
    'a proxy': [() => new Proxy({}, { getPrototypeOf: throwing }), "can't be read: that throws (Error)"],
    'a proxy that was revoked': [
      () => {
        const { proxy, revoke } = Proxy.revocable([], {});
        revoke();
        return proxy;
      },
      "can't be read: that throws (TypeError)",
    ],
    'what throws the like of itself': [
      () =>
        withToJson(() => {
          throw new Proxy({}, { get: throwing, getPrototypeOf: throwing });
        }),
      "can't be read: that throws (a thrown object)",
    ],
  }),
];

export const CARRIED = VALUE_TABLE.filter((row): row is CarriedRow => 'carriedAs' in row.verdict);
export const REFUSED = VALUE_TABLE.filter((row): row is RefusedRow => 'refusedAs' in row.verdict);

/** The value of a row deep in another one, at `items[1].when`. */
export const placed = (value: unknown) => ({ items: [0, { when: value }] });

/** The value that the other side reads. */
export const placedAs = ({ verdict: { carriedAs } }: CarriedRow) => ({
  items: [0, carriedAs === undefined ? {} : { when: carriedAs }],
});

/** A pattern for the text in an error: the path, and the fault. */
export const clauseOf = ({ verdict: { refusedAs, at = '' } }: RefusedRow) =>
  at === '…' ? refusedAs : `items[1].when${at} ${refusedAs}`;
