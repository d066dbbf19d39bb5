/**
 * Compares the quick suite with earlier runs of it, so that a gain is not lost unnoticed.
 *
 * On a shared machine the ratios change with its load: a contender that waits for one connection is hardly slowed down, one that keeps
 * both cores busy is. So the baseline has the lowest ratios that were measured, under light and under heavy load.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { Results } from './results.js';

/** How many times as fast as each peer this library is, by workload and peer. */
type Ratios = Readonly<Record<string, number>>;

const FILE = 'benchmarks/baseline.json';
/** Ratios of short runs vary by chance; only a larger loss counts. */
const TOLERATED_LOSS = 0.25;

export interface Loss {
  readonly workload: string;
  readonly peer: string;
  readonly was: number;
  readonly least: number;
  readonly is: number;
}

/** The ratios of a run, by their names in the file. */
function ratiosOf({ rows, ours }: Results): Ratios {
  const speed = (workload: string) =>
    rows.find(row => row.workload === workload && row.contender === ours)?.jobsPerSecond.median ?? Number.NaN;
  return Object.fromEntries(
    rows
      .filter(row => row.contender !== ours)
      .map(({ workload, contender, jobsPerSecond }) => [
        `${workload} / ${contender}`,
        Number((speed(workload) / jobsPerSecond.median).toFixed(2)),
      ]),
  );
}

/** Keeps the lower value of each ratio. After a gain, delete its lines from the file first. */
export function saveBaseline(results: Results): void {
  const now = ratiosOf(results);
  const then = existsSync(FILE) ? readBaseline() : {};
  const lower = Object.entries(now).map(([what, ratio]) => [what, Math.min(ratio, then[what] ?? ratio)] as const);
  writeFileSync(FILE, `${JSON.stringify({ ...then, ...Object.fromEntries(lower) }, null, 2)}\n`);
}

export function readBaseline(): Ratios {
  return JSON.parse(readFileSync(FILE, 'utf8')) as Ratios;
}

/** The ratios that have become worse than their baseline. */
export function lossesSince(then: Ratios, results: Results): Loss[] {
  const now = ratiosOf(results);
  return Object.entries(then).flatMap(([what, was]) => {
    const is = now[what];
    const least = was * (1 - TOLERATED_LOSS);
    const [workload = '', peer = ''] = what.split(' / ');
    return is !== undefined && is < least ? [{ workload, peer, was, least, is }] : [];
  });
}
