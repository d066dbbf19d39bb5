/**
 * The prefetch window: how many jobs of an entity a worker fetches before their turn. It is 1 for an idle worker and for slow
 * handlers. It grows only while ends of jobs bring successors: a fetch that finds nothing costs Redis as much as one that finds a job.
 *
 * Owns: the size of the window, and recovery mode.
 * Neighbours: `fetch-plan.ts` asks it how many jobs to fetch, and `local-queue.ts` reports the ends of runs.
 */

/** From this duration on, a round trip is a small part of a job, so prefetching gains nothing. */
const SLOW_JOB_MS = 20;
/** Maximum number of jobs that one end fetches. So a full window needs several round trips. */
const MAX_PER_END = 4;

export class PrefetchWindow {
  private size = 1;
  private recovering = 0;

  /** @param max maximum size of the window (`prefetch`). */
  constructor(private readonly max: number) {}

  /**
   * Fetches one job at a time until the jobs of a dead owner have ended. So a job that kills its pod is the only fetched one the next
   * time (race 7).
   * @param jobs number of jobs that the dead owner had fetched.
   */
  enterRecoveryMode(jobs: number): void {
    this.recovering = jobs;
    if (jobs > 0) this.size = 1;
  }

  get isRecovering(): boolean {
    return this.recovering > 0;
  }

  reset(): void {
    this.size = 1;
  }

  onJobEnd(durationMs: number): void {
    if (this.recovering > 0) this.recovering--;
    if (durationMs >= SLOW_JOB_MS) this.size = 1;
  }

  onSuccessor(): void {
    if (this.recovering === 0) this.size = Math.min(this.max, 2 * this.size);
  }

  /** Number of jobs that should be fetched or requested, if batches may have `batchMax` jobs. */
  ahead(batchMax: number): number {
    return Math.max(this.size, batchMax);
  }

  /**
   * Number of jobs to fetch with the end of a job: 0 to 4. If no job is ready it is at least 1, even if a fetch is under way. That
   * fetch may bring nothing, and a pod that has added a job meanwhile relies on this one.
   * @param ready number of fetched jobs that have not started.
   * @param askedFor number of requested jobs whose responses are pending.
   */
  wanted(ready: number, askedFor: number): number {
    const least = ready === 0 ? 1 : 0;
    return Math.max(least, Math.min(MAX_PER_END, this.size - ready - askedFor));
  }
}
