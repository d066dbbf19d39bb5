/**
 * The records of one run: what each process saw, and whether the promises were kept.
 * They are flat arrays by the number of the job, so that the measurement adds little work for the garbage collector.
 */

/** The record of one process. Times in ms, by one clock for all processes; 0 if it did not happen in this one. */
export interface PodRecord {
  readonly called: Float64Array;
  readonly accepted: Float64Array;
  readonly started: Float64Array;
  readonly ended: Float64Array;
  /** How often each job ran. */
  readonly times: Uint8Array;
}

export interface Verdict {
  readonly jobsPerSecond: number;
  /** From the call of enqueue to the start of the handler. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Jobs that did not run exactly once. */
  readonly wrongTotal: number;
  readonly overlaps: number;
  readonly disorder: number;
}

/** Converts a time of this process's clock to the machine's clock. */
const OFFSET_MS = Number(process.hrtime.bigint()) / 1e6 - performance.now();

export const nowMs = () => OFFSET_MS + performance.now();

export function newRecord(jobs: number): PodRecord {
  const times = () => new Float64Array(jobs);
  return { called: times(), accepted: times(), started: times(), ended: times(), times: new Uint8Array(jobs) };
}

/** The runs of jobs, by their starts. If a job ran several times on one pod, only its last run is recorded. */
interface Run {
  readonly k: number;
  readonly startMs: number;
  readonly endMs: number;
}

export function judge(records: readonly PodRecord[], entities: number): Verdict {
  const [{ called, accepted } = newRecord(0)] = records;
  const runs = records
    .flatMap(({ started, ended, times }) =>
      Array.from(times, (count, k) => ({ count, k, startMs: started[k] ?? 0, endMs: ended[k] ?? 0 })),
    )
    .filter(({ count }) => count > 0)
    .sort((a, b) => a.startMs - b.startMs);
  const total = called.map((_, k) => records.reduce((sum, { times }) => sum + (times[k] ?? 0), 0));
  const latencies = runs.map(({ k, startMs }) => startMs - (called[k] ?? 0)).sort((a, b) => a - b);
  const lastMs = runs.reduce((last, { endMs }) => Math.max(last, endMs), 0);
  return {
    jobsPerSecond: called.length / ((lastMs - (called[0] ?? 0)) / 1000),
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    wrongTotal: total.filter(count => count !== 1).length,
    ...faults(runs, called, accepted, entities),
  };
}

/** A job is out of order if it starts after another job of its entity whose enqueue began only after its own was accepted. */
function faults(runs: readonly Run[], called: Float64Array, accepted: Float64Array, entities: number) {
  const lastEnd = new Float64Array(entities);
  const lastCall = new Float64Array(entities);
  let overlaps = 0;
  let disorder = 0;
  for (const { k, startMs, endMs } of runs) {
    const entity = k % entities;
    if (startMs < (lastEnd[entity] ?? 0)) overlaps++;
    if ((accepted[k] ?? 0) < (lastCall[entity] ?? 0)) disorder++;
    lastEnd[entity] = Math.max(endMs, lastEnd[entity] ?? 0);
    lastCall[entity] = Math.max(called[k] ?? 0, lastCall[entity] ?? 0);
  }
  return { overlaps, disorder };
}

export function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
}

export function median(values: readonly number[]): number {
  return quantile(
    [...values].sort((a, b) => a - b),
    0.5,
  );
}
