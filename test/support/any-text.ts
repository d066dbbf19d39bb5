/** Texts of any characters, for property tests. */
import fc from 'fast-check';

const codePoint = (from: number, to: number) =>
  fc.integer({ min: from, max: to }).map(
    code => String.fromCodePoint(code),
    character => (character as string).codePointAt(0) as number,
  );

/** Every Unicode character. Fast-check's own unit 'binary' is the same, but builds a table of a million characters in each test file. */
const anyCharacter = fc.oneof(
  { weight: 6, arbitrary: codePoint(0, 0x7f) },
  { weight: 3, arbitrary: codePoint(0x80, 0xd7ff) },
  { weight: 2, arbitrary: codePoint(0xe000, 0x10ffff) },
);

/** A text of any Unicode characters, without halves of surrogate pairs. */
export const anyText = (lengths: { minLength?: number; maxLength?: number } = {}) =>
  fc.string({ ...lengths, unit: anyCharacter });
