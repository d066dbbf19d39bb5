/**
 * The reference: what starts in one entity, in which order, whatever happens around it. Crashes, pauses, backoffs and hand-overs
 * change when a job starts, and a crash how often; never the order. So the model needs no clock: it is a list.
 */

/** What a person decides about a job that blocks its entity. */
export type Decision = 'retry' | 'skip' | 'drop';

export interface JobSpec {
  readonly n: number;
  /** The handler fails that often before it succeeds. */
  readonly fails: number;
  readonly attempts: number;
  readonly backoffMs: number;
  /** Joins the queue at some time after that: no part of the order. */
  readonly delayMs: number;
  /** What is decided about it, one time after the other; then 'skip'. */
  readonly decisions: readonly Decision[];
}

/** The starts of one job, in a world without crashes. */
export function startsOf({ fails, attempts, decisions }: JobSpec, blocks: boolean): number {
  let starts = 0;
  let failed = 0;
  for (const decision of [...(blocks ? decisions : []), 'skip']) {
    for (let made = 0; made < attempts; made++) {
      starts++;
      if (failed >= fails) return starts;
      failed++;
    }
    if (decision !== 'retry') return starts;
  }
  return starts;
}

/** The numbers of jobs in the order of their starts, each as often as it starts. */
export function expectedStarts(jobs: readonly JobSpec[], blocks: boolean): number[] {
  return jobs
    .filter(({ delayMs }) => delayMs === 0)
    .flatMap(job => Array(startsOf(job, blocks)).fill(job.n) as number[]);
}

/** Without repetitions. */
export function collapsed(starts: readonly number[]): number[] {
  return starts.filter((n, index) => n !== starts[index - 1]);
}
