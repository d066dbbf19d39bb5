// Guards of what is told of a failure, and of what may not be thrown; for `scripts/mutation-check.mjs`.
const TEXTS = ['test/unit/core/model/failure-texts.test.ts'];
const FLOW = ['test/unit/core/run/flow-control.test.ts'];
const FRAMES = ['test/unit/core/model/stack-frames.test.ts'];
const HTTP = ['test/unit/nest/bus/http-errors.test.ts'];

const guard = (guard, file, from, to, tests) => ({
  guard,
  cites: 'failures',
  file: `src/core/${file}.ts`,
  from,
  to,
  tests,
});

export const failureGuards = [
  guard(
    'a class is known by its name, up its prototypes',
    'model/error-text',
    '      prototype = Object.getPrototypeOf(prototype);\n',
    '      break;\n',
    TEXTS,
  ),
  guard(
    'a code alone makes no error of this library',
    'run/retry',
    "  if (!isInstance(error, AtomicQueuesError) && !isKindOf(error, 'AtomicQueuesError')) return false;\n",
    '',
    TEXTS,
  ),
  guard('errors within errors are told to a depth', 'model/failure-text', 'depth < MAX_DEPTH', 'depth < 8', TEXTS),
  guard('related errors travel in a bounded number', 'model/reply', 'left -= within.length;', 'left--;', TEXTS),
  guard('work on JSON ends with its bound', 'model/bounded-json', 'if (left < 0) throw TOO_LARGE;', '', TEXTS),
  guard(
    'a handler is told that flow control is not obeyed',
    'run/run-job',
    'const error = failureOf(thrown);',
    'const error = thrown;',
    FLOW,
  ),
  guard(
    'a batch handler is told that flow control is not obeyed',
    'run/run-batch',
    'failures.set(id, failureOf(why))',
    'failures.set(id, why)',
    FLOW,
  ),
  guard(
    'frames fit on the line of their message',
    'run/run-job',
    'asLine(failure.reason, MAX_LOGGED_REASON)',
    'failure.reason',
    FRAMES,
  ),
  guard(
    'the body of an exception is bounded',
    'model/http-response',
    'jsonWithin(answer.response, MAX_RESPONSE_LENGTH)',
    'JSON.stringify(answer.response)',
    HTTP,
  ),
  guard('the body of an exception is no secret', 'model/http-response', 'isSecret ? undefined : ', '', HTTP),
  guard(
    'the status of an exception is one of a failure',
    'model/http-response',
    '(value as number) >= 400',
    'true',
    HTTP,
  ),
];
