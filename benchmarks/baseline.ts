/** Gains that were had are kept: the ratios of the quick suite beside those of an earlier run of it. */
import { readFileSync, writeFileSync } from 'node:fs';
import type { Results } from './results.js';

/** By workload and peer: how many times as fast this library is. */
type Ratios = Readonly<Record<string, number>>;

const FILE = 'benchmarks/baseline.json';
/** Ratios of short runs on a shared machine scatter; a loss beyond this is one. */
const TOLERATED_LOSS = 0.25;

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

export function saveBaseline(results: Results): void {
  writeFileSync(FILE, `${JSON.stringify(ratiosOf(results), null, 2)}\n`);
}

/** @returns what has become worse, in words */
export function lossesSinceBaseline(results: Results): string[] {
  const now = ratiosOf(results);
  const then = JSON.parse(readFileSync(FILE, 'utf8')) as Ratios;
  return Object.entries(then).flatMap(([what, ratio]) => {
    const least = ratio * (1 - TOLERATED_LOSS);
    const is = now[what];
    if (is === undefined) return [`${what}: not measured`];
    return is < least ? [`${what}: ${is}, was ${ratio}, at least ${least.toFixed(2)}`] : [];
  });
}
