/** Codecs: what they carry, what they refuse, and that no part of a secret payload gets into an error. */
import { inspect } from 'node:util';
import { SuperJSON } from 'superjson';
import type { ChildRef } from '../../../../src/core/model/envelope.js';
import { resolveOptions } from '../../../../src/core/options/resolve.js';
import { Codecs, type JsonValue, jsonCodec, type PayloadCodec, sealedBy } from '../../../../src/core/payload/codec.js';
import { type Encryption, encryptedCodec } from '../../../../src/core/payload/encrypted-codec.js';
import { decodePayload, encodePayload, showPayload } from '../../../../src/core/payload/payload.js';
import { superjsonCodec } from '../../../../src/core/payload/superjson-codec.js';

const thrown = (call: () => unknown): Error => {
  try {
    call();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
};

/** A payload after it has been through the store. */
const through = (codec: PayloadCodec, value: unknown): unknown => {
  const codecs = new Codecs();
  if (codec !== jsonCodec) codecs.add(codec);
  return decodePayload(codecs, sealedBy(codec, undefined) ?? {}, JSON.parse(encodePayload(codec, value, 'Job "x"')));
};

/** This is not a cipher, but no plain text shows through it. */
const flip = (bytes: Buffer) => Buffer.from(bytes.map(byte => byte ^ 1));
const rot: Encryption = {
  keyId: 'one',
  encrypt: text => flip(Buffer.from(text)).toString('base64'),
  decrypt: text => flip(Buffer.from(text, 'base64')).toString(),
};

class Money {
  constructor(readonly cents: bigint) {}
}

class Command {
  readonly at = new Date(5);
  readonly amounts = new Map([['a', 1n]]);
}

describe('a codec that is asynchronous', () => {
  const late: PayloadCodec = {
    name: 'late',
    encode: (async () => Promise.reject(new Error('secret'))) as never,
    decode: async () => Promise.reject(new Error('secret')),
  };

  const codecs = new Codecs();
  codecs.add(late);

  test.each([
    ['encode', () => encodePayload(late, {}, 'Job "x"')],
    ['decode', () => decodePayload(codecs, { codec: 'late' }, {})],
  ])('is refused, and its promise causes no unhandled rejection: %s', async (method, call) => {
    const message = expect.stringMatching(`^${method}\\(\\) of the codec "late" gave a promise`);
    expect(thrown(call)).toMatchObject({ code: 'UNSUPPORTED', message });
    await new Promise(setImmediate);
  });
});

describe('superjson', () => {
  const rich = superjsonCodec(new SuperJSON());

  test('carries values that JSON does not, and its output is JSON', () => {
    const value = {
      date: new Date(0),
      map: new Map<string, unknown>([['k', new Set([1n])]]),
      big: 2n ** 70n,
      none: undefined,
      nan: Number.NaN,
      url: new URL('https://example.com/'),
      deep: [{ date: new Date(1) }],
    };
    expect(through(rich, value)).toEqual(value);
    expect(JSON.parse(encodePayload(rich, { date: new Date(0) }, 'x'))).toMatchObject({
      json: { date: '1970-01-01T00:00:00.000Z' },
    });
    expect(through(rich, new Date(7))).toEqual(new Date(7));
    expect(through(rich, undefined)).toEqual({});
  });

  test('treats a command of any class, and an object without a class, as its properties', () => {
    const command = new Command();
    expect(through(rich, command)).toEqual({ ...command });
    expect(through(rich, Object.assign(Object.create(null), { at: new Date(1) }))).toEqual({ at: new Date(1) });
  });

  test.each<[string, unknown, RegExp]>([
    ['a nested instance', { deep: { price: new Money(5n) } }, /json\.deep\.price is an instance of Money/],
    ['a function', { callback: () => 1 }, /json\.callback is a function/],
    ['a promise', Promise.resolve(1), /json is a promise that was not awaited: await it/],
    ['a nested promise', { later: Promise.resolve(1) }, /json\.later is a promise that was not awaited: await it/],
  ])('refuses %s instead of losing it', (_, value, why) => {
    const error = thrown(() => encodePayload(rich, value, 'Job "pay"'));
    expect(error).toMatchObject({
      code: 'UNSERIALIZABLE_DATA',
      message: expect.stringMatching(/^Job "pay".*"superjson"/),
    });
    expect(error.message).toMatch(why);
  });

  test('carries instances of a registered class, also nested ones', () => {
    const superjson = new SuperJSON();
    superjson.registerClass(Money);
    const read = through(superjsonCodec(superjson), { price: new Money(5n) }) as { price: Money };
    expect(read.price).toBeInstanceOf(Money);
    expect(read.price.cents).toBe(5n);
  });

  test.each<[string, JsonValue]>([
    ['text', 'x'],
    ['a plain object', { n: 1 }],
    ['a list', []],
  ])('refuses a payload that it has not written: %s', (_, stored) => {
    const codecs = new Codecs();
    codecs.add(rich);
    expect(thrown(() => decodePayload(codecs, { codec: 'superjson' }, stored))).toMatchObject({
      code: 'PAYLOAD_UNREADABLE',
    });
    expect(showPayload(codecs, { codec: 'superjson' }, stored)).toBe(stored);
  });
});

describe('encryption', () => {
  const secret = encryptedCodec(rot);

  test('carries the values of its inner codec, and has a name for each pair of key and inner codec', () => {
    expect(through(secret, { n: 1, text: 'é' })).toEqual({ n: 1, text: 'é' });
    const both = encryptedCodec(rot, superjsonCodec(new SuperJSON()));
    expect(through(both, { at: new Date(1) })).toEqual({ at: new Date(1) });
    expect([secret.name, both.name]).toEqual(['encrypted:one', 'encrypted:one:superjson']);
    expect(encodePayload(secret, { card: '4111' }, 'x')).not.toContain('4111');
  });

  test('lets no part of the payload into an error or its causes', () => {
    const told = (error: Error) => inspect(error, { depth: null, showHidden: true });
    class Secret {
      toJSON() {
        throw new Error('hunter2');
      }
    }
    const fails: Encryption = {
      keyId: 'bad',
      encrypt: text => {
        throw new Error(text);
      },
      decrypt: text => {
        throw new Error(text);
      },
    };
    const lax: PayloadCodec = {
      ...jsonCodec,
      name: 'lax',
      encode: () => {
        throw new Error('hunter2');
      },
    };
    const open: Encryption = { keyId: 'open', encrypt: text => text, decrypt: text => text };
    const codecs = new Codecs();
    for (const encryption of [fails, open]) codecs.add(encryptedCodec(encryption));
    const errors = [
      thrown(() => encodePayload(secret, { password: 'hunter2', own: new Secret() }, 'x')),
      thrown(() => encodePayload(encryptedCodec(fails), { password: 'hunter2' }, 'x')),
      thrown(() => encodePayload(encryptedCodec(rot, lax), { password: 'hunter2' }, 'x')),
      thrown(() => decodePayload(codecs, { codec: 'encrypted:bad' }, 'hunter2')),
      thrown(() => decodePayload(codecs, { codec: 'encrypted:open' }, 'hunter2')),
    ];
    for (const error of errors) {
      expect(error).toHaveProperty('code');
      expect(told(error)).not.toContain('hunter2');
    }
    // The error names the property.
    expect(thrown(() => encodePayload(secret, { f: () => 'hunter2' }, 'Job "x"')).message).toMatch(
      /^Job "x".*: f is a function\./,
    );
  });

  test('refuses functions that are asynchronous, or do not return a string', () => {
    for (const encrypt of [async () => 'x', () => undefined]) {
      const codec = encryptedCodec({ ...rot, encrypt: encrypt as never });
      expect(thrown(() => encodePayload(codec, {}, 'x'))).toMatchObject({ code: 'UNSUPPORTED' });
    }
    const rejected = encryptedCodec({ ...rot, encrypt: (async () => Promise.reject(new Error('late'))) as never });
    expect(thrown(() => encodePayload(rejected, {}, 'x'))).toMatchObject({ code: 'UNSUPPORTED' });
  });

  test.each<[string, unknown, unknown]>([
    ['no key', { ...rot, keyId: '' }, undefined],
    ['no encrypt', { ...rot, encrypt: undefined }, undefined],
    ['nothing', undefined, undefined],
    ['no inner codec', rot, { name: 'x' }],
  ])('refuses options with %s', (_, encryption, inner) => {
    expect(thrown(() => encryptedCodec(encryption as never, inner as never))).toMatchObject({ code: 'INVALID_OPTION' });
  });
});

test('the output of a codec must be JSON: a date would silently become a string', () => {
  const lazy: PayloadCodec = { name: 'lazy', encode: value => value as JsonValue, decode: encoded => encoded };
  expect(encodePayload(lazy, { a: [1, { b: null }], c: undefined }, 'x')).toBe('{"a":[1,{"b":null}]}');
  for (const value of [{ at: new Date(0) }, [1n], [undefined], { n: Number.NaN }, new Command(), { toJSON: () => 1 }])
    expect(thrown(() => encodePayload(lazy, value, 'x'))).toMatchObject({ code: 'UNSERIALIZABLE_DATA' });
  const nothing: PayloadCodec = { ...lazy, encode: () => undefined as never };
  expect(thrown(() => encodePayload(nothing, {}, 'x')).message).toMatch(
    /"lazy" does not turn it into JSON: it is undefined/,
  );
});

test('null is null under every codec, because it stands for a missing result', () => {
  const codecs = new Codecs();
  codecs.add(encryptedCodec(rot));
  expect(decodePayload(codecs, { codec: 'encrypted:one' }, null)).toBeNull();
});

describe('options of codecs', () => {
  const other: PayloadCodec = { ...jsonCodec, name: 'other' };

  test("give a type its own codec, or the module's, or JSON, and all can be read", () => {
    const read = { ...jsonCodec, name: 'read' };
    const config = resolveOptions({ codec: other, readCodecs: [read], entities: { plain: { codec: jsonCodec } } });
    expect(config.entityType('plain').codec).toBe(jsonCodec);
    expect(config.entityType('account').codec).toBe(other);
    expect(resolveOptions({}).entityType('account').codec).toBe(jsonCodec);
    expect(['other', 'read', 'json', undefined, 'unknown', 5].map(codec => config.codecs.knows({ codec }))).toEqual([
      true,
      true,
      true,
      true,
      false,
      false,
    ]);
  });

  test("tell which codecs a job needs: its own, and those of its children's results", () => {
    const { codecs } = resolveOptions({ codec: other });
    const children = (...names: unknown[]) => names.map(codec => ({ ...ref, codec })) as ChildRef[];
    const ref = { type: 'item', id: '7', jobId: 'a.0', name: 'price', failsParent: true };
    expect(codecs.unknownOf({ codec: 'new', children: children('newer') })).toBe('new');
    expect(codecs.unknownOf({ codec: 'other', children: children(undefined, 'other', 'newer') })).toBe('newer');
    expect(codecs.knows({ children: children(undefined, 'other') })).toBe(true);
    // Written by hand.
    for (const odd of [5, null, [null], 'text', [7]])
      expect(codecs.unknownOf({ children: odd as never })).toBeUndefined();
  });

  test('refuse two codecs with one name, and invalid codecs', () => {
    for (const options of [
      { codec: other, readCodecs: [{ ...other }] },
      { codec: other, entities: { account: { codec: { ...other } } } },
      { codec: { ...jsonCodec } },
      { codec: { name: 'x' } as never },
      { codec: 'superjson' as never },
      { readCodecs: other as never },
      { readCodecs: [undefined] as never },
      { entities: { account: { codec: { ...other, name: '' } } } },
      { maxPayloadBytes: 0 },
      { maxResultBytes: 1.5 },
      { entities: { account: { maxPayloadBytes: '1' as never } } },
    ])
      expect(thrown(() => resolveOptions(options))).toMatchObject({ code: 'INVALID_OPTION' });
    expect(() => resolveOptions({ codec: other, readCodecs: [other] })).not.toThrow();
  });

  test('set bounds per type, or per module, or 256 KB', () => {
    const config = resolveOptions({
      maxPayloadBytes: 5,
      entities: { account: { maxPayloadBytes: 7, maxResultBytes: 8 } },
    });
    expect(config.entityType('account')).toMatchObject({ maxPayloadBytes: 7, maxResultBytes: 8 });
    expect(config.entityType('order')).toMatchObject({ maxPayloadBytes: 5, maxResultBytes: 262_144 });
  });
});
