/**
 * The batch that the jobs at the head of an entity's line form: whether it starts, needs a fetch, or waits for more.
 *
 * Owns: until when it waits, its timer, and whether the store may have more for it.
 * Neighbours: `local-queue.ts` has the jobs, and runs the batch; `next-step.ts` does what is decided here.
 */
import type { BatchLimits } from '../handlers/batch-options.js';
import type { FetchedJob } from '../model/job.js';
import type { Clock, Timer } from '../ports/clock.js';

/** What is to be done about a batch whose first job is the next one. */
export type BatchStep =
  | { readonly start: number }
  /** So many more are to be fetched; others are to call this pod for what comes within `forMs`, if that is above 0. */
  | { readonly fetch: number; readonly forMs: number }
  | 'wait';

export class BatchCollector {
  /** The batch that waits is the one that begins with this job. */
  private first: string | undefined;
  private untilMs = 0;
  private timer: Timer | undefined;
  /** The last fetch has brought all there was. */
  private isDry = false;
  /** A batch waits for so many jobs, also for those that are yet to come. */
  waitsFor = 0;

  /** @param isReadable whether this pod can read the payload of a job. */
  constructor(
    private readonly clock: Clock,
    private readonly isReadable: (job: FetchedJob) => boolean,
  ) {}

  /** The store may have more than the last fetch has brought. */
  moreMayWait(): void {
    this.isDry = false;
  }

  /** A fetch of so many jobs has brought so many. */
  onFetched(askedFor: number, brought: number): void {
    this.isDry = brought < askedFor;
  }

  /** @param wake called when the batch has waited for long enough. */
  step(ready: readonly FetchedJob[], { max, maxWaitMs }: BatchLimits, wake: () => void): BatchStep {
    const jobs = this.countAlike(ready, max);
    const now = this.clock.monotonicMs();
    // What comes next is of another kind: no more can join it (I6).
    // guards: batch-collector.step
    if (jobs === max || jobs < ready.length) return this.start(jobs);
    if (this.first !== ready[0]?.id) {
      this.first = ready[0]?.id;
      this.untilMs = now + maxWaitMs;
      // Others do not know yet that it waits.
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

  /** No batch waits any more. */
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

  /** How many jobs at the head run together, at most so many. One that must fail, or that this pod can't read, is by itself. */
  private countAlike(ready: readonly FetchedJob[], max: number): number {
    const name = ready[0]?.name;
    const end = ready.findIndex(
      // guards: batch-collector.countAlike
      (job, at) => at > 0 && (job.name !== name || job.mustFail !== undefined || !this.isReadable(job)),
    );
    return Math.min(max, end < 0 ? ready.length : end);
  }
}
