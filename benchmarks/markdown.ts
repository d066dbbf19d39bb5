/** The results of a suite as a page of the docs. */
import type { Held } from './bars.js';
import type { Results, Row, Spread } from './results.js';

const COLUMNS: readonly (readonly [string, (row: Row) => string])[] = [
  ['contender', row => row.contender],
  ['jobs/s', row => whole(row.jobsPerSecond.median)],
  ['least to most', row => range(row.jobsPerSecond)],
  ['p50 ms', row => row.p50Ms.median.toFixed(1)],
  ['p99 ms', row => row.p99Ms.median.toFixed(1)],
  ['CPU s', row => row.cpuSeconds.median.toFixed(2)],
  ['CPU s of Redis', row => row.redisCpuSeconds.median.toFixed(2)],
  ['commands per job', row => row.commandsPerJob.median.toFixed(0)],
  ['connections', row => whole(row.connections.median)],
  ['peak RSS MB', row => whole(row.peakRssMb.median)],
  ['overlaps', row => whole(row.overlaps)],
  ['out of order', row => whole(row.disorder)],
];

export function markdown(title: string, results: Results, bars: readonly Held[]): string {
  const workloads = [...new Set(results.rows.map(row => row.workload))];
  const sections = workloads.map(workload => {
    const rows = results.rows.filter(row => row.workload === workload);
    return `## ${workload}\n\n${table(
      COLUMNS.map(([name]) => name),
      rows.map(row => COLUMNS.map(([, text]) => text(row))),
    )}`;
  });
  const ratios = table(
    ['workload', 'against', 'figure', 'at least', 'ratio', 'holds'],
    bars.map(({ workload, against, figure, least, ratio }) => [
      workload,
      against,
      figure,
      String(least),
      ratio.toFixed(2),
      ratio >= least ? 'yes' : 'no',
    ]),
  );
  return [
    `# ${title}`,
    `Written by the benchmark. ${results.runs} runs of each, in turn; medians. ${results.machine}, Node ${results.node}.`,
    ...sections,
    ...(bars.length > 0 ? [`## Ratios\n\n${ratios}`] : []),
  ].join('\n\n');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const align = head.map((_, column) => (column === 0 ? '---' : '---:'));
  return [line(head), line(align), ...rows.map(line)].join('\n');
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en');
}

function range({ least, most }: Spread): string {
  return `${whole(least)}–${whole(most)}`;
}
