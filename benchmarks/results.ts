/** Runs a suite, the contenders alternately, and gives the medians with their spread. */
import { cpus, totalmem } from 'node:os';
import { contender } from './contenders/all.js';
import type { ContenderKind } from './contenders/contender.js';
import { type Measured, measure } from './measure.js';
import { median } from './records.js';
import type { Workload } from './workloads.js';

export type Figure = Exclude<keyof Measured, 'wrongTotal' | 'overlaps' | 'disorder'>;

export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

export type Row = Readonly<Record<Figure, Spread>> & {
  readonly workload: string;
  readonly contender: string;
  /** The worst of all runs. */
  readonly wrongTotal: number;
  readonly overlaps: number;
  readonly disorder: number;
};

export interface Results {
  readonly machine: string;
  readonly node: string;
  readonly runs: number;
  readonly ours: string;
  readonly rows: readonly Row[];
}

const FIGURES: readonly Figure[] = [
  'jobsPerSecond',
  'p50Ms',
  'p99Ms',
  'cpuSeconds',
  'redisCpuSeconds',
  'commandsPerJob',
  'connections',
  'peakRssMb',
  'grownRssMb',
];

export async function measureAll(
  workloads: readonly Workload[],
  contenders: readonly ContenderKind[],
  runs: number,
  onWorkload: (workload: Workload, rows: readonly Row[]) => void,
): Promise<Results> {
  const all: Row[] = [];
  for (const workload of workloads) {
    const measured = new Map<string, Measured[]>();
    for (let run = 0; run < runs; run++) {
      for (const { name, fits } of contenders) {
        if (fits && !fits(workload)) continue;
        process.stderr.write(`\r\u001b[K${workload.name}, run ${run + 1} of ${runs}: ${name}`);
        measured.set(name, [...(measured.get(name) ?? []), await measure(name, workload)]);
      }
    }
    process.stderr.write('\r\u001b[K');
    const rows = [...measured].map(([name, of]) => row(workload, name, of));
    onWorkload(workload, rows);
    all.push(...rows);
  }
  const [cpu] = cpus();
  const machine = `${cpus().length} × ${cpu?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GB`;
  return { machine, node: process.version, runs, ours: contenders[0]?.name ?? '', rows: all };
}

/** Whether each run kept what its contender promises. */
export function isRight({ contender: name, wrongTotal, overlaps, disorder }: Row): boolean {
  const { keeps } = contender(name);
  return wrongTotal === 0 && (overlaps === 0 || !keeps.oneAtATime) && (disorder === 0 || !keeps.order);
}

function row(workload: Workload, name: string, runs: readonly Measured[]): Row {
  const spreads = FIGURES.map(figure => [figure, spread(runs.map(run => run[figure]))] as const);
  const worst = (of: 'wrongTotal' | 'overlaps' | 'disorder') => Math.max(...runs.map(run => run[of]));
  return {
    workload: workload.name,
    contender: name,
    ...(Object.fromEntries(spreads) as Record<Figure, Spread>),
    wrongTotal: worst('wrongTotal'),
    overlaps: worst('overlaps'),
    disorder: worst('disorder'),
  };
}

function spread(values: readonly number[]): Spread {
  return { median: median(values), least: Math.min(...values), most: Math.max(...values) };
}
