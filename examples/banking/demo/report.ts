/** The table at the end of the demo: what is wrong first, and under each row what it means. */
import type { Result } from './run.js';

const WIDTHS = [28, 20, 20] as const;
const STYLES = { bold: 1, dim: 2, red: 31, green: 32 } as const;
type Style = keyof typeof STYLES;

interface Row {
  readonly name: string;
  readonly meaning: string;
  readonly of: (result: Result) => number | string;
  /** What must be 0, or the run has failed. */
  readonly isFault?: boolean;
}

const ROWS: readonly Row[] = [
  {
    name: 'balance drift',
    meaning: 'money made or lost: sum over all accounts of |balance − what the ledger says it must be|',
    of: ({ drift }) => drift,
    isFault: true,
  },
  {
    name: 'wrong payments',
    meaning: 'withdrawals and transfers that were paid although the account had too little money',
    of: ({ wrongPayments }) => wrongPayments,
    isFault: true,
  },
  {
    name: 'orders missing',
    meaning: 'acknowledged orders that the ledger does not show, exactly once and complete',
    of: ({ missing }) => missing,
    isFault: true,
  },
  { name: 'orders', meaning: 'deposits, withdrawals and transfers that were acknowledged', of: ({ orders }) => orders },
  { name: '  of these refused', meaning: 'there was too little money: an answer, not a fault', of: r => r.refused },
  { name: '  of these refunded', meaning: 'transfers to a closed account: the money went back', of: r => r.refunded },
  {
    name: 'pods killed',
    meaning: 'SIGKILL in the middle of the run, with queues only',
    of: ({ takeoverMs }) => (takeoverMs === undefined ? 0 : 1),
  },
  {
    name: 'takeover',
    meaning: 'from the kill until other pods worked the last of the accounts that the killed pod had',
    of: ({ takeoverMs }) => (takeoverMs === undefined ? '–' : `${takeoverMs} ms`),
  },
  { name: 'pods that worked', meaning: 'pods that wrote to the ledger', of: ({ pods }) => pods },
  {
    name: 'orders/s',
    meaning: 'with queues including the takeover; without, pods wait for nothing, which is what goes wrong',
    of: ({ perSecond }) => perSecond,
  },
];

export const isCorrect = (result: Result) => ROWS.every(({ isFault, of }) => !isFault || of(result) === 0);

/** @param isColoured whether the terminal shows colours */
export function report(queued: Result, direct: Result, isColoured: boolean): string {
  const paint = (text: string, ...styles: Style[]) =>
    isColoured ? `${styles.map(style => `\u001b[${STYLES[style]}m`).join('')}${text}\u001b[0m` : text;
  const rule = '─'.repeat(WIDTHS[0] + WIDTHS[1] + WIDTHS[2]);
  const cell = ({ of, isFault }: Row, result: Result, width: number) => {
    const value = of(result);
    const text = (isFault ? `${value === 0 ? 'ok' : 'WRONG'} ${value}` : String(value)).padStart(width);
    return isFault ? paint(text, 'bold', value === 0 ? 'green' : 'red') : text;
  };
  const lines = ROWS.flatMap(row => [
    row.name.padEnd(WIDTHS[0]) + cell(row, queued, WIDTHS[1]) + cell(row, direct, WIDTHS[2]),
    paint(`    ${row.meaning}`, 'dim'),
  ]);
  const faults = ROWS.filter(({ isFault }) => isFault).length * 2;
  lines.splice(faults, 0, rule);
  return [
    '',
    paint(' '.repeat(WIDTHS[0]) + 'with queues'.padStart(WIDTHS[1]) + 'without'.padStart(WIDTHS[2]), 'bold'),
    rule,
    ...lines,
    '',
    isCorrect(queued)
      ? paint(
          'Every acknowledged order was done, once, and every balance is right, although a pod was killed.',
          'green',
        )
      : paint('FAILED with queues: see the rows that say WRONG.', 'bold', 'red'),
    `Without queues, and without a kill, ${direct.wrongPayments} payments were wrong and the balances are off by ${direct.drift}.`,
    '',
  ].join('\n');
}
