/** The demo's table: faults come first and are marked, and each row says what it means. */
import { isCorrect, report } from '../../../examples/banking/demo/report.js';
import type { Result } from '../../../examples/banking/demo/run.js';

const right: Result = {
  orders: 4000,
  refused: 300,
  refunded: 40,
  perSecond: 200,
  pods: 3,
  takeoverMs: 3100,
  drift: 0,
  wrongPayments: 0,
  missing: 0,
};
const wrong: Result = { ...right, refused: 0, perSecond: 900, takeoverMs: undefined, drift: 8000, wrongPayments: 250 };

test('drift and wrong payments are the first rows, and the only marked ones; the speed is the last row', () => {
  const lines = report(right, wrong, false)
    .split('\n')
    .map(line => line.trim().replace(/ {2,}/g, ' | '));
  expect(lines.slice(3, 9)).toEqual([
    'balance drift | ok 0 | WRONG 8000',
    expect.stringMatching(/^money made or lost/),
    'wrong payments | ok 0 | WRONG 250',
    expect.stringMatching(/^withdrawals and transfers that were paid/),
    'orders missing | ok 0 | ok 0',
    expect.stringMatching(/^acknowledged orders/),
  ]);
  const marked = lines.filter(line => /\bWRONG\b/.test(line));
  expect(marked).toHaveLength(2);
  expect(lines.findLastIndex(line => line.includes(' | '))).toBe(lines.indexOf('orders/s | 200 | 900'));
  expect(lines.join('\n')).toMatch(/Every acknowledged order was done.*although a pod was killed/);
});

test('any of the three faults fails the run with queues, and only terminals get colours', () => {
  expect(isCorrect(right)).toBe(true);
  for (const fault of ['drift', 'wrongPayments', 'missing'] as const) {
    const result = { ...right, [fault]: 1 };
    expect(isCorrect(result)).toBe(false);
    expect(report(result, wrong, false)).toMatch(/FAILED with queues/);
  }
  expect(report(right, wrong, false)).not.toContain('\u001b');
  expect(report(right, wrong, true)).toContain('\u001b[1m\u001b[31m');
});
