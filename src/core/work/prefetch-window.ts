/**
 * How many jobs of an entity are fetched ahead. One at rest and for slow handlers; wider only when the end of a job has
 * brought the next one, since a fetch that finds nothing costs Redis as much as one that finds a job.
 */

/** From this duration on a round trip is a small part of a job, and fetching ahead gains nothing. */
const SLOW_JOB_MS = 20;
/** With each end; four times as many in each round trip, until the window is full. */
const MAX_AT_ONCE = 4;

export class PrefetchWindow {
  private size = 1;
  private recovering = 0;

  constructor(private readonly max: number) {}

  /** Jobs of a dead owner: one at a time until they are through, so that one that kills its pod is alone next time. */
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

  /** How many are at hand, or asked for, at best, where so many run as one. */
  ahead(batchMax: number): number {
    return Math.max(this.size, batchMax);
  }

  /**
   * How many to fetch with the end of a job: from 0 to 4. One at least if none is at hand, whatever is asked for already:
   * an answer that is late may bring nothing, and who has added a job meanwhile counts on this fetch.
   */
  wanted(atHand: number, askedFor: number): number {
    const least = atHand === 0 ? 1 : 0;
    return Math.max(least, Math.min(MAX_AT_ONCE, this.size - atHand - askedFor));
  }
}
