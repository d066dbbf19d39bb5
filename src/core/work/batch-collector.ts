/**
 * Decides about the batch that the jobs at the head of the local queue form: it starts, needs a fetch, or waits for more jobs.
 *
 * Owns: how long a batch waits, its timer, and whether the store may have more jobs for it.
 * Neighbours: `local-queue.ts` has the jobs and runs the batch. `next-step.ts` carries out the decision.
 */
import type { BatchLimits } from '../handlers/batch-options.js';
import type { FetchedJob } from '../model/job.js';
import type { Clock, Timer } from '../ports/clock.js';

/** The decision about a batch whose first job is the next one. */
export type BatchStep =
  /** Run that many jobs as one batch. */
  | { readonly start: number }
  /** Fetch that many more jobs. If `forMs` is above 0, other pods call this pod for the jobs that they add within that time. */
  | { readonly fetch: number; readonly forMs: number }
  | 'wait';

export class BatchCollector {
  /** Id of the first job of the batch that waits. */
  private first: string | undefined;
  private untilMs = 0;
  private timer: Timer | undefined;
  /** Whether the last fetch has brought all jobs that the store had. */
  private isDry = false;
  /** Number of jobs that the waiting batch may have; 0 if no batch waits for jobs that are still to be added. */
  waitsFor = 0;

  /** @param isReadable whether this pod can read the payload of a job. */
  constructor(
    private readonly clock: Clock,
    private readonly isReadable: (job: FetchedJob) => boolean,
  ) {}

  /** The store may have jobs that the last fetch did not bring. */
  moreMayWait(): void {
    this.isDry = false;
  }

  /** A fetch asked for `askedFor` jobs and brought `brought`. */
  onFetched(askedFor: number, brought: number): void {
    this.isDry = brought < askedFor;
  }

  /**
   * @param ready fetched jobs that have not started.
   * @param wake called when the batch has waited long enough.
   */
  step(ready: readonly FetchedJob[], { max, maxWaitMs }: BatchLimits, wake: () => void): BatchStep {
    const jobs = this.countAlike(ready, max);
    const now = this.clock.monotonicMs();
    // The batch is full, or the job behind it can't join it. No later job may overtake that one (I6).
    // guards: batch-collector.step
    if (jobs === max || jobs < ready.length) return this.start(jobs);
    if (this.first !== ready[0]?.id) {
      this.first = ready[0]?.id;
      this.untilMs = now + maxWaitMs;
      // Other pods do not know yet that this batch waits. The fetch tells them.
      if (maxWaitMs > 0) this.isDry = false;
    }
    const leftMs = this.untilMs - now;
    this.waitsFor = leftMs > 0 ? max : 0;
    if (!this.isDry) return { fetch: max - jobs, forMs: Math.max(0, leftMs) };
    if (leftMs <= 0) return this.start(jobs);
    this.timer ??= this.clock.after(leftMs, () => {
      this.timer = undefined;
      wake();
    });
    return 'wait';
  }

  /** Stops waiting, and forgets the batch. */
  close(): void {
    this.timer?.cancel();
    this.timer = undefined;
    this.first = undefined;
    this.isDry = false;
    this.waitsFor = 0;
  }

  private start(jobs: number): BatchStep {
    this.close();
    return { start: jobs };
  }

  /** Number of jobs at the head that may run together, at most `max`. A job that must fail, or that this pod can't read, joins no batch. */
  private countAlike(ready: readonly FetchedJob[], max: number): number {
    const name = ready[0]?.name;
    const end = ready.findIndex(
      // guards: batch-collector.countAlike
      (job, at) => at > 0 && (job.name !== name || job.mustFail !== undefined || !this.isReadable(job)),
    );
    return Math.min(max, end < 0 ? ready.length : end);
  }
}
