/** Prints the results as tables in the terminal. */
import type { Held } from './bars.js';
import type { Row, Spread } from './results.js';
import type { Workload } from './workloads.js';

export function tellWorkload({ name, entities, jobs, load, handlerMs, payloadBytes }: Workload, rows: readonly Row[]) {
  const sent = 'wave' in load ? `in waves of ${load.wave}` : `${load.perSecond} a second`;
  const extras = [
    handlerMs ? `, handler of ${handlerMs} ms` : '',
    payloadBytes ? `, payload of ${payloadBytes.toLocaleString('en')} bytes` : '',
  ].join('');
  process.stdout.write(
    `\n${name}: ${entities.toLocaleString('en')} entities, ${jobs.toLocaleString('en')} jobs ${sent}${extras}\n`,
  );
  console.table(
    rows.map(row => ({
      contender: row.contender,
      'jobs/s': Math.round(row.jobsPerSecond.median),
      spread: spreadOf(row.jobsPerSecond),
      'p50 ms': row.p50Ms.median.toFixed(2),
      'p99 ms': row.p99Ms.median.toFixed(1),
      'CPU s': row.cpuSeconds.median.toFixed(2),
      'Redis CPU s': row.redisCpuSeconds.median.toFixed(2),
      'commands/job': row.commandsPerJob.median.toFixed(1),
      connections: row.connections.median,
      'peak RSS MB': Math.round(row.peakRssMb.median),
      'grown by MB': Math.round(row.grownRssMb.median),
      overlaps: row.overlaps,
      'out of order': row.disorder,
      'lost or twice': row.wrongTotal,
    })),
  );
}

export function tellBars(bars: readonly Held[]): void {
  if (bars.length === 0) return;
  process.stdout.write('\nBars\n');
  console.table(
    bars.map(({ workload, against, figure, least, ratio }) => ({
      workload,
      'against (the best of its kind)': against,
      figure,
      'at least': least,
      ratio: ratio.toFixed(2),
      holds: ratio >= least ? 'yes' : 'NO',
    })),
  );
}

function spreadOf({ least, most }: Spread): string {
  return `${Math.round(least)}–${Math.round(most)}`;
}
