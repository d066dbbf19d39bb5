/** The codec of entities, and the check of their types and ids. */
import fc from 'fast-check';
import {
  decodeSegment,
  encodeSegment,
  entityKey,
  entityRef,
  parseEntityKey,
} from '../../../../src/core/model/entity.js';
import { InvalidEntityError } from '../../../../src/core/model/errors.js';
import { resolveOptions } from '../../../../src/core/options/resolve.js';
import { KeySpace } from '../../../../src/store/redis/keys.js';
import { anyText } from '../../../support/any-text.js';

const someText = anyText({ minLength: 1, maxLength: 20 });
/** Includes strings that are not valid text: lone surrogates. */
const anyUnits = fc
  .array(fc.integer({ min: 0, max: 0xffff }), { minLength: 1, maxLength: 8 })
  .map(u => String.fromCharCode(...u));
const nasty = fc.oneof(
  someText,
  anyUnits,
  fc.constantFrom('%', '%25', ':', '{', '}', '$', 'a:b', '\ud800', '\udfff', '%uD800', ' ', '\n'),
);

describe('entities', () => {
  test('a segment decodes to its origin, and has no character with a meaning in a key', () => {
    fc.assert(
      fc.property(nasty, text => {
        const segment = encodeSegment(text);
        expect(decodeSegment(segment)).toBe(text);
        expect(segment).not.toMatch(/[:{}$\s]/);
        // as Redis stores it: every lone surrogate would become U+FFFD
        expect(Buffer.from(segment).toString()).toBe(segment);
      }),
    );
  });

  test('two entities never share a word, a key, or a queue', () => {
    const keys = new KeySpace('p', resolveOptions({}));
    fc.assert(
      fc.property(nasty, nasty, nasty, nasty, (t1, i1, t2, i2) => {
        fc.pre(t1 !== t2 || i1 !== i2);
        const [one, two] = [
          { type: t1, id: i1 },
          { type: t2, id: i2 },
        ];
        expect(entityKey(one)).not.toBe(entityKey(two));
        expect(keys.of(one).base).not.toBe(keys.of(two).base);
        expect(keys.of(one).base.startsWith(keys.system)).toBe(false);
        expect(parseEntityKey(entityKey(one))).toEqual(one);
      }),
    );
  });

  test('ids are strings, finite numbers or bigints, and 42, 42n and "42" are the same id', () => {
    for (const id of ['42', 42, 42n]) expect(entityRef('account', id)).toEqual({ type: 'account', id: '42' });
  });

  test.each([
    ['undefined', undefined, /kind undefined/],
    ['null', null, /kind null/],
    ['an object', {}, /kind object/],
    ['a boolean', true, /kind boolean/],
    ['NaN', Number.NaN, /kind NaN/],
    ['Infinity', Number.POSITIVE_INFINITY, /kind Infinity/],
    ['an empty string', '', /empty id/],
    ['a long string', 'x'.repeat(257), /257 characters/],
  ])('an id that is %s is refused with an error that names it and the remedy', (_, id, message) => {
    expect(() => entityRef('account', id, 'Command Withdraw')).toThrow(InvalidEntityError);
    expect(() => entityRef('account', id, 'Command Withdraw')).toThrow(message);
    expect(() => entityRef('account', id, 'Command Withdraw')).toThrow(/Command Withdraw.*account/);
  });

  test.each([undefined, '', 5, 'x'.repeat(257)])('a type that is %p is refused', type => {
    expect(() => entityRef(type, '1')).toThrow(expect.objectContaining({ code: 'INVALID_ENTITY' }));
  });
});
