// Guards of codecs that are required; for `scripts/mutation-check.mjs`.
const TESTS = ['test/integration/required-codec.test.ts'];

export const requiredCodecGuards = [
  {
    guard: 'a job is not read that another codec has written than its type requires',
    cites: 'required codec',
    at: 'codec.checkRequired',
    from: 'if (used === codec || used.isSecret) return',
    to: 'return',
    tests: TESTS,
  },
  {
    guard: 'a plain job is none of a type that requires a codec',
    cites: 'required codec',
    at: 'open-payload.openJob',
    from: 'if (parts.type.requireCodec) checkRequired(parts, job);\n  else if',
    to: 'if',
    tests: TESTS,
  },
  {
    guard: 'what is secret is not null',
    cites: 'required codec',
    at: 'open-payload.checkRequired',
    from: 'data === null && codecs.of(envelope).isSecret',
    to: 'false',
    tests: TESTS,
  },
  {
    guard: 'a codec that is secret is required, where nothing else is said',
    cites: 'required codec',
    at: 'resolve.codecOf',
    from: 'codec.isSecret ?? false',
    to: 'false',
    tests: TESTS,
  },
  {
    guard: 'the former key of a required codec is read',
    cites: 'required codec',
    at: 'codec.checkRequired',
    from: 'codec || used.isSecret',
    to: 'codec',
    tests: TESTS,
  },
  {
    guard: 'a planted result of a child is not read',
    cites: 'required codec, flows',
    at: 'payload.decodeResult',
    from: "if (outcome.value !== null) codecs.checkRequired(child.type, { codec: child.codec }, 'it');",
    to: '',
    tests: TESTS,
  },
  {
    guard: 'a planted result is not told to who waits',
    cites: 'required codec, answers',
    at: 'payload.readResult',
    from: "if (stored !== null) codecs.checkRequired(entityType, { codec }, 'it');",
    to: '',
    tests: TESTS,
  },
];
