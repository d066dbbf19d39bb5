// Guards of what is told of a failure, and of what may not be thrown; for `scripts/mutation-check.mjs`.
const FAILURE_TEXTS = ['test/unit/core/model/failure-texts.test.ts'];
const FLOW_CONTROL = ['test/unit/core/run/flow-control.test.ts'];
const STACK_FRAMES = ['test/unit/core/model/stack-frames.test.ts'];
const HTTP_ERRORS = ['test/unit/nest/bus/http-errors.test.ts'];

export const failureGuards = [
  {
    guard: 'a class is known by its name, up its prototypes',
    cites: 'failures',
    at: 'error-text.isKindOf',
    from: 'prototype = Object.getPrototypeOf(prototype)',
    to: 'break',
    tests: FAILURE_TEXTS,
  },
  {
    guard: 'a code alone makes no error of this library',
    cites: 'failures',
    at: 'retry.isUnrecoverable',
    from: "  if (!isInstance(error, AtomicQueuesError) && !isKindOf(error, 'AtomicQueuesError')) return false;\n",
    to: '',
    tests: FAILURE_TEXTS,
  },
  {
    guard: 'errors within errors are told to a depth',
    cites: 'failures',
    at: 'failure-text.wordsOf',
    from: 'MAX_DEPTH',
    to: '8',
    tests: FAILURE_TEXTS,
  },
  {
    guard: 'related errors travel in a bounded number',
    cites: 'failures',
    at: 'reply.describeThrown',
    from: 'left -= within.length',
    to: 'left--',
    tests: FAILURE_TEXTS,
  },
  {
    guard: 'work on JSON ends with its bound',
    cites: 'failures',
    at: 'bounded-json.jsonWithin',
    from: 'if (left < 0) throw TOO_LARGE;',
    to: '',
    tests: FAILURE_TEXTS,
  },
  {
    guard: 'a handler is told that flow control is not obeyed',
    cites: 'failures',
    at: 'run-job.runJob',
    from: 'failureOf(thrown)',
    to: 'thrown',
    tests: FLOW_CONTROL,
  },
  {
    guard: 'a batch handler is told that flow control is not obeyed',
    cites: 'failures',
    at: 'run-batch.runBatch',
    from: 'failureOf(why)',
    to: 'why',
    tests: FLOW_CONTROL,
  },
  {
    guard: 'frames fit on the line of their message',
    cites: 'failures',
    at: 'run-job.failed',
    from: 'asLine(failure.reason, MAX_LOGGED_REASON)',
    to: 'failure.reason',
    tests: STACK_FRAMES,
  },
  {
    guard: 'the body of an exception is bounded',
    cites: 'failures',
    at: 'http-response.httpAnswerOf',
    from: 'jsonWithin(answer.response, MAX_RESPONSE_LENGTH',
    to: 'JSON.stringify(answer.response',
    tests: HTTP_ERRORS,
  },
  {
    guard: 'the body of an exception is no secret',
    cites: 'failures',
    at: 'http-response.httpAnswerOf',
    from: 'isSecret ? undefined : ',
    to: '',
    tests: HTTP_ERRORS,
  },
  {
    guard: 'the status of an exception is one of a failure',
    cites: 'failures',
    at: 'http-response.isStatus',
    from: '(value as number) >= 400',
    to: 'true',
    tests: HTTP_ERRORS,
  },
];
