/** The rule of which values JSON carries: whole values, other realms, hostile objects, and generated values. */
import { inspect, types } from 'node:util';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { resolveOptions } from '../../../../src/core/options/resolve.js';
import { jsonCodec } from '../../../../src/core/payload/codec.js';
import { type Encryption, encryptedCodec } from '../../../../src/core/payload/encrypted-codec.js';
import { jsonText, MAX_DEPTH } from '../../../../src/core/payload/json-values.js';
import { encodePayload } from '../../../../src/core/payload/payload.js';
import { resultAsText } from '../../../../src/core/run/stored-result.js';
import { anyText } from '../../../support/any-text.js';
import { CARRIED, clauseOf, nested, placed, REFUSED, SECRET } from '../../../support/value-table.js';

const refusalOf = (write: () => unknown): Error => {
  try {
    write();
  } catch (error) {
    return error as Error;
  }
  throw new Error('it was not refused');
};
const clause = (value: unknown) => refusalOf(() => jsonText(value)).message;

describe('a value as a whole', () => {
  const parts = { codecs: resolveOptions({}).codecs, type: resolveOptions({}).entityType('account') };
  const stored = (result: unknown) => resultAsText(result, { envelope: {} } as never, parts);

  test('is an empty object for an undefined payload, and null for an undefined or null result', () => {
    expect(encodePayload(jsonCodec, undefined, 'Job "x"')).toBe('{}');
    expect([undefined, null].map(stored)).toEqual(Array(2).fill({ value: 'null' }));
  });

  test.each<[string, unknown]>([
    ['null', null],
    ['null by its toJSON', { toJSON: () => null }],
  ])('is refused as a payload if it is %s, plain or encrypted', (_, data) => {
    const plain: Encryption = { keyId: '1', encrypt: text => text, decrypt: text => text };
    for (const codec of [jsonCodec, encryptedCodec(plain)]) {
      if (codec !== jsonCodec && data !== null) continue;
      expect(refusalOf(() => encodePayload(codec, data, 'Job "x"'))).toMatchObject({
        code: 'UNSERIALIZABLE_DATA',
        message: expect.stringMatching(/^Job "x" has data that can't be stored: it is null\. Nothing was written; /),
      });
    }
  });

  test.each<[string, unknown, string]>([
    ['a promise', Promise.resolve(SECRET), 'it is a promise that was not awaited: await it'],
    ['a map', new Map(), 'it is an instance of Map, whose content is not in its own properties: use [...map]'],
    ['a function', () => SECRET, 'it is a function'],
    [
      'an object with a toJSON that returns undefined',
      { toJSON: () => undefined },
      'it is undefined, or has a toJSON that gives undefined',
    ],
  ])('is refused as a payload and as a result if it is %s', (_, value, why) => {
    expect(refusalOf(() => encodePayload(jsonCodec, value, 'Job "x"')).message).toContain(
      `: ${why}. Nothing was written`,
    );
    expect(stored(value)).toEqual({ value: 'null', lost: `its result can't be stored (${why})` });
  });

  test('follows the same table if it is encrypted', () => {
    const codec = encryptedCodec({ keyId: '1', encrypt: text => text, decrypt: text => text });
    for (const row of CARRIED)
      expect(JSON.parse(encodePayload(codec, placed(row.make()), 'x'))).toBe(jsonText(placed(row.make())));
    for (const row of REFUSED) {
      const error = refusalOf(() => encodePayload(codec, placed(row.make()), 'Job "x"'));
      expect(error).toMatchObject({
        code: 'UNSERIALIZABLE_DATA',
        message: expect.stringContaining(clauseOf(row)),
      });
    }
  });
});

test('kinds are told apart also for values of another realm', () => {
  const other = (code: string) => runInNewContext(code) as unknown;
  expect(jsonText(other('({ a: [1, { b: new Date(0) }], c: Object.create(null), d: new (class Ping {})() })'))).toBe(
    '{"a":[1,{"b":"1970-01-01T00:00:00.000Z"}],"c":{},"d":{}}',
  );
  for (const [code, why] of [
    ['new Map()', /^it is an instance of Map/],
    ['Object.assign(new Set(), { a: 1 })', /^it is an instance of Set/],
    ['Object.assign(new Error("no"), { a: 1 })', /^it is an instance of Error/],
    ['Object.assign(/a/, { a: 1 })', /^it is an instance of RegExp/],
    ['Promise.resolve()', /^it is a promise/],
    ['new Date(NaN)', /^it is an invalid Date/],
    ['new Uint8Array(1)', /^it is an instance of Uint8Array/],
    ['(function* () {})()', /^it is an object of no known class/],
    ['new (class Box { #a = 1; get a() { return this.#a } })()', /^it is an instance of Box/],
  ] as const)
    expect(clause(other(code))).toMatch(why);
});

describe('the path in an error', () => {
  test.each<[string, unknown, string]>([
    ['names properties and positions', { items: [0, { when: 1n }] }, 'items[1].when is a bigint'],
    ['begins at an array', [[1n]], '[0][0] is a bigint'],
    ['quotes names that are not identifiers', { 'a b\n"c"': { '': 1n } }, '["a b\\n"c""][""] is a bigint'],
  ])('%s', (_, value, expected) => {
    expect(clause(value)).toBe(expected);
  });

  test('ends, for a cycle, where the cycle closes', () => {
    const a: Record<string, unknown> = {};
    a['b'] = { c: [a] };
    expect(clause({ a })).toBe('a.b.c[0] refers to itself (a cycle)');
  });

  test('is bounded, and stays one line', () => {
    const long = 'x'.repeat(100_000);
    for (const value of [{ [long]: 1n }, { [`${long}\n`]: { [long]: 1n } }, nested(5000)]) {
      expect(clause(value).length).toBeLessThan(400);
      expect(clause(value)).not.toContain('\n');
    }
  });
});

describe('a class in an error', () => {
  test('is named after its code, and never after the value', () => {
    const named = (name: string) =>
      Object.defineProperty(
        class {
          get a() {
            return 1;
          }
        },
        'name',
        { value: name },
      );
    expect(clause(new (named('Price'))())).toMatch(/^it is an instance of Price,/);
    for (const name of ['x'.repeat(65), 'a b', '', 'a\nb'])
      expect(clause(new (named(name))())).toMatch(/^it is an object of no known class,/);
    const sly = Object.assign(new Map(), { constructor: { name: SECRET } });
    expect(clause(sly)).toMatch(/^it is an instance of Map,/);
    const tagged = Object.defineProperty(new Map(), Symbol.toStringTag, { value: SECRET });
    expect(clause(tagged)).toMatch(/^it is an instance of Map,/);
  });

  test('is not believed if it is only a tag: the object is its properties', () => {
    class Money {
      readonly amount = 1;
      get [Symbol.toStringTag]() {
        return 'toString';
      }
    }
    expect(jsonText(new Money())).toBe('{"amount":1}');
    const tagged = (tag: string) => Object.assign(Object.create({ [Symbol.toStringTag]: tag }), { a: 1 });
    expect(jsonText(tagged('constructor'))).toBe('{"a":1}');
    expect(clause(tagged('Number'))).toBe("it can't be read: that throws (TypeError)");
  });

  test('is not searched forever if the prototype chain has no end', () => {
    const endless = (): object => new Proxy({}, { getPrototypeOf: endless });
    expect(clause(endless())).toMatch(/whose content is not in its own properties$/);
  });
});

test('a toJSON is called once, and a copy has all other properties', () => {
  let calls = 0;
  const value = { toJSON: () => ++calls, a: 1 };
  expect(jsonText({ list: [value], value })).toBe('{"list":[1],"value":2}');
  expect(calls).toBe(2);
  const own = JSON.parse('{ "__proto__": { "a": 1 }, "at": 0 }');
  own.at = new Date(0);
  expect(jsonText(own)).toBe('{"__proto__":{"a":1},"at":"1970-01-01T00:00:00.000Z"}');
});

test('the deepest value that is carried is carried by every codec, and can be read again', () => {
  const deepest = nested(MAX_DEPTH - 1);
  expect(JSON.parse(jsonText([deepest]))).toEqual([deepest]);
  expect(clause([[deepest]])).toMatch(/^\[0\].*… is nested in more than 500 levels$/);
});

describe('generated values', () => {
  interface Sample {
    readonly value: unknown;
    /** The value as it is read again, or undefined if it is refused. */
    readonly carried?: { readonly as: unknown };
  }
  const carried = (value: unknown, as: unknown): Sample => ({ value, carried: { as } });
  /** Fast-check drops an entry whose key it has drawn before, and a promise in it would reject unhandled. */
  const ignored = (value: unknown) => {
    if (types.isPromise(value)) value.catch(() => {});
    return value;
  };
  const text = anyText({ minLength: 1 }).map(text => `${SECRET}${text}`);
  const leaf: fc.Arbitrary<Sample> = fc.oneof(
    { weight: 6, arbitrary: text.map(value => carried(value, value)) },
    { weight: 3, arbitrary: fc.double().map(n => (Number.isFinite(n) ? carried(n, n + 0) : { value: n })) },
    { weight: 3, arbitrary: fc.constantFrom(true, false, null, undefined).map(value => carried(value, value)) },
    fc.date().map(at => (Number.isNaN(at.getTime()) ? { value: at } : carried(at, at.toJSON()))),
    fc
      .constantFrom(...REFUSED.filter(({ label }) => !/array that|array of/.test(label)))
      .map(({ make }) => ({ value: ignored(make()) })),
    fc
      .constantFrom(...CARRIED.filter(({ label }) => label !== 'what a toJSON gives'))
      .map(({ make, verdict }) => carried(make(), verdict.carriedAs)),
  );
  const all = <K extends string | number>(entries: readonly (readonly [K, Sample])[]) =>
    entries.every(([, { carried }]) => carried)
      ? entries.map(([key, { carried }]) => [key, carried?.as] as const)
      : undefined;
  const { tree } = fc.letrec<{ tree: Sample }>(tie => ({
    tree: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      leaf,
      fc.array(tie('tree'), { maxLength: 4 }).map((items): Sample => {
        const as = all(items.map((item, at) => [at, item] as const))?.map(([, item]) => item);
        const value = items.map(item => item.value);
        return as && !as.includes(undefined) ? carried(value, as) : { value };
      }),
      fc
        .tuple(fc.dictionary(anyText(), tie('tree'), { maxKeys: 4, noNullPrototype: true }), fc.boolean())
        .map(([record, isInstance]): Sample => {
          const entries = Object.entries(record);
          const as = all(entries)?.filter(([, property]) => property !== undefined);
          class Command {}
          const holder = isInstance ? new Command() : {};
          for (const [name, { value }] of entries) Object.defineProperty(holder, name, { value, enumerable: true });
          return as ? carried(holder, Object.fromEntries(as)) : { value: holder };
        }),
    ),
  }));

  test('that are accepted are read again unchanged, and the error of a refused value hides its content', () => {
    fc.assert(
      fc.property(tree, ({ value, carried }) => {
        const data = { value };
        if (carried) {
          expect(JSON.parse(encodePayload(jsonCodec, data, 'x'))).toEqual(
            carried.as === undefined ? {} : { value: carried.as },
          );
          return;
        }
        const error = refusalOf(() => encodePayload(jsonCodec, data, 'Job "x"'));
        expect(error).toMatchObject({ code: 'UNSERIALIZABLE_DATA' });
        expect(inspect(error, { depth: null, showHidden: true })).not.toContain(SECRET);
        expect(error.message.length).toBeLessThan(1000);
      }),
      { numRuns: Number(process.env['PROPERTY_RUNS'] ?? 500) },
    );
  });

  test('become text that can be read, or are refused with the typed error', () => {
    const anything = fc.anything({
      withBigInt: true,
      withBoxedValues: true,
      withDate: true,
      withInvalidDate: true,
      withMap: true,
      withSet: true,
      withNullPrototype: true,
      withSparseArray: true,
      withTypedArray: true,
    } as fc.ObjectConstraints);
    fc.assert(
      fc.property(anything, value => {
        try {
          JSON.parse(jsonText(value));
        } catch (error) {
          expect(error).toMatchObject({ code: 'UNSERIALIZABLE_DATA' });
        }
      }),
      { numRuns: Number(process.env['PROPERTY_RUNS'] ?? 500) },
    );
  });
});
