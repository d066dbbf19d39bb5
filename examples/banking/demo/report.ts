/** The table at the end of the demo, and what it means. */
import type { Result } from './run.js';

const WIDTHS = [30, 22, 22] as const;

export function report(queued: Result, direct: Result): string {
  const correct = queued.drift === 0 && queued.missing === 0;
  const lines = [
    row('', 'with atomic-queues', 'without'),
    '─'.repeat(WIDTHS[0] + WIDTHS[1] + WIDTHS[2]),
    row('orders', queued.orders, direct.orders),
    row('  of these refused', queued.refused, direct.refused),
    row('  of these refunded', queued.refunded, direct.refunded),
    row('orders/s', queued.perSecond, direct.perSecond),
    row('pods that worked', queued.pods, direct.pods),
    row('pods killed', 1, 0),
    row('takeover', `${queued.takeoverMs} ms`, '–'),
    row('orders missing', queued.missing, direct.missing),
    row('balance drift', queued.drift, direct.drift),
    '',
    'refused:  orders that found too little money; the more of them, the longer credits wait behind other orders.',
    'refunded: transfers to an account that is closed: the saga gives the money back.',
    'takeover: from the kill until the last account of the killed pod was worked by another pod.',
    'missing:  acknowledged orders that the ledger does not show, exactly once and complete.',
    'drift:    sum over all accounts of |balance − (initial balance + what the ledger says was applied)|.',
    '',
    correct
      ? 'Every acknowledged order was done, once, and every balance agrees with the ledger, although a pod was killed.'
      : 'FAILED: orders are missing, or balances do not agree with the ledger.',
  ];
  return `\n${lines.join('\n')}\n`;
}

function row(name: string, ...values: readonly (string | number)[]): string {
  const cells = values.map((value, index) => String(value).padStart(WIDTHS[index + 1] ?? 0));
  return name.padEnd(WIDTHS[0]) + cells.join('');
}
