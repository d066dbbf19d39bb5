/**
 * The reference model: which jobs of one entity start, and in which order. Crashes, pauses, backoffs and hand-overs change when a job
 * starts, and a crash changes how often, but never the order. So the model needs no clock: it is a list.
 */

/** What an operator decides about a job that blocks its entity. */
export type Decision = 'retry' | 'skip' | 'drop';

export interface JobSpec {
  readonly n: number;
  /** The handler fails that often before it succeeds. */
  readonly fails: number;
  readonly attempts: number;
  readonly backoffMs: number;
  /** It joins the queue at some time after this delay, and is no part of the order. */
  readonly delayMs: number;
  /** The operator's decisions about it, one after the other; then 'skip'. */
  readonly decisions: readonly Decision[];
}

/** How a job ends: `exhausted` when it has no attempts left and the operator skips it, `gone` when the operator removes it. */
export type End = 'completed' | 'exhausted' | 'gone';

/** How often a job starts, and how it ends, in a world without crashes. */
export function lifeOf({ fails, attempts, decisions }: JobSpec, blocks: boolean): { starts: number; end: End } {
  let starts = 0;
  let failed = 0;
  for (const decision of [...(blocks ? decisions : []), 'skip']) {
    for (let made = 0; made < attempts; made++) {
      starts++;
      if (failed >= fails) return { starts, end: 'completed' };
      failed++;
    }
    if (decision !== 'retry') return { starts, end: decision === 'drop' ? 'gone' : 'exhausted' };
  }
  return { starts, end: 'exhausted' };
}

/** The numbers of jobs in the order of their starts, each as often as it starts. */
export function expectedStarts(jobs: readonly JobSpec[], blocks: boolean): number[] {
  return jobs
    .filter(({ delayMs }) => delayMs === 0)
    .flatMap(job => Array(lifeOf(job, blocks).starts).fill(job.n) as number[]);
}

/** Without repetitions. */
export function collapsed(starts: readonly number[]): number[] {
  return starts.filter((n, index) => n !== starts[index - 1]);
}
