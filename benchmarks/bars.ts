/** The bars: how many times faster or cheaper than its peers this library must be, on medians of one interleaved run. */
import type { Figure, Results } from './results.js';

interface Bar {
  readonly workload: string;
  /** If there are several, the best of them counts. */
  readonly against: RegExp;
  readonly figure: Figure;
  readonly least: number;
}

const PER_ENTITY = /worker per entity/;
const GROUPMQ = /groupmq/;
const HASHED = /hashed/;
const PLAIN = /one queue/;
const MUTEX = /mutex/;
const ANY_PEER = /bullmq|groupmq|mutex/;

const bar = (workload: string, against: RegExp, least: number, figure: Figure = 'jobsPerSecond'): Bar => ({
  workload,
  against,
  figure,
  least,
});

export const BARS: readonly Bar[] = [
  bar('hot', PER_ENTITY, 2.5),
  bar('hot', GROUPMQ, 2),
  bar('hot, 1 ms network', PER_ENTITY, 12),
  bar('seed', PER_ENTITY, 1.6),
  bar('seed', GROUPMQ, 1.3),
  bar('seed', HASHED, 1.3),
  bar('seed', PLAIN, 1.2),
  bar('seed, 1 ms network', PER_ENTITY, 2.5),
  bar('many', PER_ENTITY, 7),
  bar('many', GROUPMQ, 1.3),
  bar('many', HASHED, 1.15),
  bar('cold', PER_ENTITY, 15),
  bar('cold', GROUPMQ, 1.3),
  bar('cold', HASHED, 1),
  bar('wide', GROUPMQ, 2),
  bar('deep', /in one process/, 0.95),
  bar('paced', ANY_PEER, 1, 'p50Ms'),
  bar('paced', ANY_PEER, 1, 'p99Ms'),
  bar('paced', HASHED, 1, 'cpuSeconds'),
  ...['hot', 'seed', 'many', 'cold', 'wide', 'deep', 'hot, 1 ms network', 'seed, 1 ms network', 'seed, 5 pods'].map(
    workload => bar(workload, MUTEX, 1.5),
  ),
];

export interface Held {
  readonly workload: string;
  readonly against: string;
  readonly figure: Figure;
  readonly least: number;
  readonly ratio: number;
}

export function compare(results: Results): Held[] {
  return BARS.flatMap(({ workload, against, figure, least }) => {
    const rows = results.rows.filter(row => row.workload === workload);
    const [ours] = rows.filter(row => row.contender === results.ours);
    const others = rows.filter(row => against.test(row.contender) && row !== ours);
    if (!ours || others.length === 0) return [];
    const isMoreBetter = figure === 'jobsPerSecond';
    const best = others.reduce((a, b) => (a[figure].median > b[figure].median === isMoreBetter ? a : b));
    const ratio = isMoreBetter ? ours[figure].median / best[figure].median : best[figure].median / ours[figure].median;
    return [{ workload, against: best.contender, figure, least, ratio }];
  });
}
