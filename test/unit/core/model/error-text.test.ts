/** Thrown values of any kind, as bounded and well-formed text. */
import fc from 'fast-check';
import {
  asLine,
  latestStacks,
  MAX_LINE_LENGTH,
  MAX_REASON_LENGTH,
  MAX_STACK_LENGTH,
  MAX_STACKS_LENGTH,
  quoted,
  shorten,
} from '../../../../src/core/model/error-text.js';
import { failureTextOf } from '../../../../src/core/model/failure-text.js';
import { BatchFailure } from '../../../../src/core/model/job-errors.js';
import { describeThrown } from '../../../../src/core/model/reply.js';
import { thrown } from '../../../support/hostile.js';

test('any thrown value has a reason, a stack and a description within their bounds', () => {
  fc.assert(
    fc.property(thrown, make => {
      const error = make();
      const { reason, stack } = failureTextOf(error);
      expect([typeof reason, typeof stack]).toEqual(['string', 'string']);
      expect(reason.length).toBeLessThanOrEqual(MAX_REASON_LENGTH);
      expect(stack.length).toBeLessThanOrEqual(MAX_STACK_LENGTH);
      expect([reason, stack].every(text => text.isWellFormed())).toBe(true);
      expect(JSON.stringify(describeThrown(error)).length).toBeLessThan(100_000);
      expect(BatchFailure.is(error)).toBe(BatchFailure.is(error));
      new BatchFailure([{ job: {}, error }]);
    }),
  );
});

test('a long message is cut in the reason, and a long stack in the stack', () => {
  const error = Object.assign(new Error('m'.repeat(300_000)), { stack: 's'.repeat(300_000) });
  const { reason, stack } = failureTextOf(error);
  expect([reason.length, stack.length]).toEqual([MAX_REASON_LENGTH, MAX_STACK_LENGTH]);
});

test('a failing Error.prepareStackTrace leaves the message', () => {
  const before = Error.prepareStackTrace;
  const error = new Error('what can be had');
  try {
    Error.prepareStackTrace = () => {
      throw new Error('no stack');
    };
    expect(failureTextOf(error).reason).toBe('what can be had');
    expect(failureTextOf(error).stack).toContain('what can be had');
  } finally {
    Error.prepareStackTrace = before;
  }
});

test('a cut text is well-formed, no longer than its bound, and says that it was cut', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 40 }), fc.nat(40), (text, max) => {
      const cut = shorten(text, max);
      expect(cut.length).toBeLessThanOrEqual(max);
      expect(cut.isWellFormed()).toBe(true);
      if (text.length <= max) expect(cut).toBe(text);
      else if (max > 0) expect(cut.endsWith('…')).toBe(true);
    }),
  );
  expect(shorten('ab😀cd', 4)).toBe('ab…');
  expect(shorten('\ud83d', 4)).toBe('\ufffd');
});

test('a text in a log line never breaks the line, and a name in a sentence is short', () => {
  expect(asLine('a\nb\r\t\u0000\u001b[31m\u2028c')).toBe('a\\nb\\r\\t\\u0000\\u001b[31m\\u2028c');
  expect(asLine('\n'.repeat(5000)).length).toBeLessThanOrEqual(MAX_LINE_LENGTH);
  expect(quoted(`pay\n${'x'.repeat(2000)}`)).toMatch(/^"pay\\nx+…"$/);
  expect(quoted('x'.repeat(2000)).length).toBeLessThan(200);
});

test('the latest stacks of many attempts are kept, bounded together, and by the number of jobs in a step', () => {
  expect(latestStacks(['1', '2'], '3', 10)).toEqual(['1', '2', '3']);
  expect(latestStacks(['1', '2'], '3', 2)).toEqual(['2', '3']);
  expect(latestStacks(['1'], '2', 0)).toEqual([]);
  expect(latestStacks([{}, '1'], '2', 3)).toEqual(['1', '2']);
  const long = 's'.repeat(MAX_STACK_LENGTH);
  expect(latestStacks([long, long, long], long, 10)).toEqual([long, long]);
  expect(latestStacks([], 's'.repeat(1e6), 10).join('').length).toBe(MAX_STACKS_LENGTH);
  const shared = latestStacks([long], long, 10, 128);
  expect(shared.join('').length).toBe(8192);
});
