/** Codecs: what they carry, what they refuse, and that nothing of a secret payload gets into an error. */
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

/** What a payload is after it has been through the store. */
const through = (codec: PayloadCodec, value: unknown): unknown => {
  const codecs = new Codecs();
  if (codec !== jsonCodec) codecs.add(codec);
  return decodePayload(codecs, sealedBy(codec, undefined) ?? {}, JSON.parse(encodePayload(codec, value, 'Job "x"')));
};

/** Not a cipher, but no text shows through it. */
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
  ])('is refused, and its promise is nobody’s unhandled one: %s', async (method, call) => {
    const message = expect.stringMatching(`^${method}\\(\\) of the codec "late" gave a promise`);
    expect(thrown(call)).toMatchObject({ code: 'UNSUPPORTED', message });
    await new Promise(setImmediate);
  });
});

describe('superjson', () => {
  const rich = superjsonCodec(new SuperJSON());

  test('carries what JSON does not, and is JSON', () => {
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

  test('a command of any class is its properties; so is an object without a class', () => {
    const command = new Command();
    expect(through(rich, command)).toEqual({ ...command });
    expect(through(rich, Object.assign(Object.create(null), { at: new Date(1) }))).toEqual({ at: new Date(1) });
  });

  test.each<[string, unknown, RegExp]>([
    ['an instance within', { deep: { price: new Money(5n) } }, /json\.deep\.price is an instance of Money/],
    ['a function', { callback: () => 1 }, /json\.callback is a function/],
    ['a promise', Promise.resolve(1), /json is a promise that was not awaited: await it/],
    ['a promise within', { later: Promise.resolve(1) }, /json\.later is a promise that was not awaited: await it/],
  ])('%s is refused, not lost', (_, value, why) => {
    const error = thrown(() => encodePayload(rich, value, 'Job "pay"'));
    expect(error).toMatchObject({
      code: 'UNSERIALIZABLE_DATA',
      message: expect.stringMatching(/^Job "pay".*"superjson"/),
    });
    expect(error.message).toMatch(why);
  });

  test('a class that it was told of is carried, also within', () => {
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
  ])('what it has not written is no payload: %s', (_, stored) => {
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

  test('carries what the codec within carries; each key, and each codec within, has a name of its own', () => {
    expect(through(secret, { n: 1, text: 'é' })).toEqual({ n: 1, text: 'é' });
    const both = encryptedCodec(rot, superjsonCodec(new SuperJSON()));
    expect(through(both, { at: new Date(1) })).toEqual({ at: new Date(1) });
    expect([secret.name, both.name]).toEqual(['encrypted:one', 'encrypted:one:superjson']);
    expect(encodePayload(secret, { card: '4111' }, 'x')).not.toContain('4111');
  });

  test('nothing of the payload gets into an error, nor into what it was caused by', () => {
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
    // But which property it was is told.
    expect(thrown(() => encodePayload(secret, { f: () => 'hunter2' }, 'Job "x"')).message).toMatch(
      /^Job "x".*: f is a function\./,
    );
  });

  test('functions that are asynchronous, or give no text, are refused', () => {
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
    ['no codec within', rot, { name: 'x' }],
  ])('%s is an invalid option', (_, encryption, inner) => {
    expect(thrown(() => encryptedCodec(encryption as never, inner as never))).toMatchObject({ code: 'INVALID_OPTION' });
  });
});

test('what a codec gives must be JSON: a date would become text without a word', () => {
  const lazy: PayloadCodec = { name: 'lazy', encode: value => value as JsonValue, decode: encoded => encoded };
  expect(encodePayload(lazy, { a: [1, { b: null }], c: undefined }, 'x')).toBe('{"a":[1,{"b":null}]}');
  for (const value of [{ at: new Date(0) }, [1n], [undefined], { n: Number.NaN }, new Command(), { toJSON: () => 1 }])
    expect(thrown(() => encodePayload(lazy, value, 'x'))).toMatchObject({ code: 'UNSERIALIZABLE_DATA' });
  const nothing: PayloadCodec = { ...lazy, encode: () => undefined as never };
  expect(thrown(() => encodePayload(nothing, {}, 'x')).message).toMatch(
    /"lazy" does not turn it into JSON: it is undefined/,
  );
});

test('null is null under every codec: it stands for a result that there is none of', () => {
  const codecs = new Codecs();
  codecs.add(encryptedCodec(rot));
  expect(decodePayload(codecs, { codec: 'encrypted:one' }, null)).toBeNull();
});

describe('options', () => {
  const other: PayloadCodec = { ...jsonCodec, name: 'other' };

  test('a type has its codec, else that of the module, else JSON; all can be read', () => {
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

  test('what a job needs: its own codec, and those of what its children return', () => {
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

  test('two codecs of one name are refused, and so is what is none', () => {
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

  test('bounds: of the type, of the module, or 256 KB', () => {
    const config = resolveOptions({
      maxPayloadBytes: 5,
      entities: { account: { maxPayloadBytes: 7, maxResultBytes: 8 } },
    });
    expect(config.entityType('account')).toMatchObject({ maxPayloadBytes: 7, maxResultBytes: 8 });
    expect(config.entityType('order')).toMatchObject({ maxPayloadBytes: 5, maxResultBytes: 262_144 });
  });
});
