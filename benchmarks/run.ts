/**
 * `npm run bench`: this library beside "one BullMQ queue and worker per entity", on the same workloads in one go.
 * A process and a fresh Redis for each run, the contenders in turn, medians with their spread, and the ratio.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { startRedis } from '#dev-redis';
import { CONTENDERS, type Measured } from './contender.js';
import { WORKLOADS } from './workloads.js';

const RUNS = Number(process.argv.includes('--quick') ? 1 : (process.env['RUNS'] ?? 5));

async function measureOnce(contender: string, workload: number): Promise<Measured> {
  const redis = await startRedis({ alwaysPrivate: true });
  try {
    const child = fork(new URL('./contender.js', import.meta.url), [contender, String(workload), redis.url]);
    const [measured] = await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(([code]) => {
        throw new Error(`${contender} ended with code ${code}`);
      }),
    ]);
    return measured as Measured;
  } finally {
    await redis.stop();
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

const names = Object.keys(CONTENDERS);
let failed = false;
for (const [index, workload] of WORKLOADS.entries()) {
  const results = new Map<string, Measured[]>(names.map(name => [name, []]));
  for (let run = 0; run < RUNS; run++) {
    for (const name of names) results.get(name)?.push(await measureOnce(name, index));
  }
  const rows = names.map(name => {
    const runs = results.get(name) ?? [];
    const speeds = runs.map(({ jobsPerSecond }) => jobsPerSecond);
    failed ||= runs.some(({ overlaps, disorder }) => overlaps > 0 || disorder > 0);
    return {
      contender: name,
      'jobs/s': Math.round(median(speeds)),
      spread: `${Math.round(Math.min(...speeds))}–${Math.round(Math.max(...speeds))}`,
      'CPU s': median(runs.map(({ cpuSeconds }) => cpuSeconds)).toFixed(1),
      'peak RSS MB': Math.round(median(runs.map(({ peakRssMb }) => peakRssMb))),
      overlaps: Math.max(...runs.map(({ overlaps }) => overlaps)),
      'out of order': Math.max(...runs.map(({ disorder }) => disorder)),
    };
  });
  process.stdout.write(`\n${workload.name}, in waves of ${workload.wave}, median of ${RUNS}\n`);
  console.table(rows);
  const [ours, theirs] = rows;
  if (ours && theirs) process.stdout.write(`ratio: ${(ours['jobs/s'] / theirs['jobs/s']).toFixed(2)}\n`);
}
process.exitCode = failed ? 1 : 0;
