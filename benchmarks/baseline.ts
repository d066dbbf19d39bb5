/**
 * Gains that were had are kept: the ratios of the quick suite beside those of earlier runs of it.
 *
 * On a shared machine ratios move with the hour: who waits for one connection hardly notices when it is slow, who keeps both
 * cores busy does. So the lowest that were measured, in good hours and in bad ones, are the baseline.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { Results } from './results.js';

/** By workload and peer: how many times as fast this library is. */
type Ratios = Readonly<Record<string, number>>;

const FILE = 'benchmarks/baseline.json';
/** Ratios of short runs scatter; a loss beyond this is one. */
const TOLERATED_LOSS = 0.25;

export interface Loss {
  readonly workload: string;
  readonly peer: string;
  readonly was: number;
  readonly least: number;
  readonly is: number;
}

/** What was measured, by the name that it has in the file. */
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

/** The lower one of each ratio stays; where there was a gain, its lines are deleted before. */
export function saveBaseline(results: Results): void {
  const now = ratiosOf(results);
  const then = existsSync(FILE) ? readBaseline() : {};
  const lower = Object.entries(now).map(([what, ratio]) => [what, Math.min(ratio, then[what] ?? ratio)] as const);
  writeFileSync(FILE, `${JSON.stringify({ ...then, ...Object.fromEntries(lower) }, null, 2)}\n`);
}

export function readBaseline(): Ratios {
  return JSON.parse(readFileSync(FILE, 'utf8')) as Ratios;
}

/** What has become worse, of what was measured. */
export function lossesSince(then: Ratios, results: Results): Loss[] {
  const now = ratiosOf(results);
  return Object.entries(then).flatMap(([what, was]) => {
    const is = now[what];
    const least = was * (1 - TOLERATED_LOSS);
    const [workload = '', peer = ''] = what.split(' / ');
    return is !== undefined && is < least ? [{ workload, peer, was, least, is }] : [];
  });
}
