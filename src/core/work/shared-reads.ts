/**
 * The shared reads of an entity, which run alongside each other. While one runs, all running jobs are reads, and the next job may
 * start if it is a read, too.
 *
 * Owns: the number of running reads, whether the store may have more jobs for the free handlers, and whether other pods know that
 * they must call this pod for jobs that they add. So the worker fetches only what may exist, and no read waits for another.
 * Neighbours: `local-queue.ts` runs the reads, and `next-step.ts` fetches more.
 */
import { type Gathering, WHILE_CLAIMED_MS } from '../ports/work.js';

export class SharedReads {
  private running = 0;
  /** The last fetch has brought all jobs that the store had. An add after it has brought its job, or calls this pod. */
  private isDry = false;
  private areOthersTold = false;

  /** @param max maximum number of reads that run at once. */
  constructor(readonly max: number) {}

  get areRunning(): boolean {
    return this.running > 0;
  }

  onStart(): void {
    this.running++;
  }

  onEnd(): void {
    this.running--;
  }

  /** Whether the store may have a read for a free handler. */
  get areSought(): boolean {
    return this.running > 0 && !(this.isDry && this.areOthersTold);
  }

  /** A fetch for free handlers is about to be sent. @returns what it tells other pods; undefined if they know. */
  onTake(): Gathering | undefined {
    this.isDry = true;
    if (this.areOthersTold) return undefined;
    this.areOthersTold = true;
    // guards: shared-reads.onTake
    return { upTo: this.max, forMs: WHILE_CLAIMED_MS };
  }

  /** The store may have jobs that the last fetch did not bring. */
  moreMayWait(): void {
    this.isDry = false;
  }

  /** A fetch asked for `askedFor` jobs and brought `brought`. */
  onFetched(askedFor: number, brought: number): void {
    // guards: shared-reads.onFetched
    if (askedFor > 0) this.isDry = brought < askedFor;
  }

  /** A batch has replaced the note for other pods by its own. */
  onGathering(): void {
    this.areOthersTold = false;
  }

  /** Forgets what is known of the store and of other pods: the claim is a new one. */
  forget(): void {
    // guards: shared-reads.forget
    this.isDry = false;
    this.areOthersTold = false;
  }
}
