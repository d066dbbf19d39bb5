// Guards of codecs that are required; for `scripts/mutation-check.mjs`.
const TESTS = ['test/integration/required-codec.test.ts'];

export const requiredCodecGuards = [
  {
    guard: 'a job is not read that another codec has written than its type requires',
    cites: 'required codec',
    file: 'src/core/payload/codec.ts',
    from: 'if (used === codec || used.isSecret) return;',
    to: 'return;',
    tests: TESTS,
  },
  {
    guard: 'a plain job is none of a type that requires a codec',
    cites: 'required codec',
    file: 'src/core/run/open-payload.ts',
    from: 'if (parts.type.requireCodec) checkRequired(parts, job);\n  else if',
    to: 'if',
    tests: TESTS,
  },
  {
    guard: 'what is secret is not null',
    cites: 'required codec',
    file: 'src/core/run/open-payload.ts',
    from: 'if (data === null && codecs.of(envelope).isSecret) {',
    to: 'if (false) {',
    tests: TESTS,
  },
  {
    guard: 'a codec that is secret is required, where nothing else is said',
    cites: 'required codec',
    file: 'src/core/options/resolve.ts',
    from: 'options.requireCodec ?? codec.isSecret ?? false;',
    to: 'options.requireCodec ?? false;',
    tests: TESTS,
  },
  {
    guard: 'the former key of a required codec is read',
    cites: 'required codec',
    file: 'src/core/payload/codec.ts',
    from: 'if (used === codec || used.isSecret) return;',
    to: 'if (used === codec) return;',
    tests: TESTS,
  },
  {
    guard: 'a planted result of a child is not read',
    cites: 'required codec, flows',
    file: 'src/core/payload/payload.ts',
    from: "if (outcome.value !== null) codecs.checkRequired(child.type, { codec: child.codec }, 'it');",
    to: '',
    tests: TESTS,
  },
  {
    guard: 'a planted result is not told to who waits',
    cites: 'required codec, answers',
    file: 'src/core/payload/payload.ts',
    from: "if (stored !== null) codecs.checkRequired(entityType, { codec }, 'it');",
    to: '',
    tests: TESTS,
  },
];
