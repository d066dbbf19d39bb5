/**
 * The shared reads of an entity: jobs that run alongside each other, and nothing else. While one runs, all that run are reads,
 * and the next job may start if it is one, too.
 *
 * Owns: how many run, whether there may be more to fetch for them, and that others know of it: they call this pod for what they
 * add. So nothing is asked for in vain, and no read waits for the end of another.
 * Neighbours: `local-queue.ts` runs them; `next-step.ts` fetches what is sought here.
 */
import { type Gathering, WHILE_CLAIMED_MS } from '../ports/work.js';

export class SharedReads {
  private running = 0;
  /** The last fetch has brought all there was, and who has added more since has brought it, or calls. */
  private isDry = false;
  private areOthersTold = false;

  /** @param max how many may run at once. */
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

  /** Whether there may be one for a handler that is free. */
  get areSought(): boolean {
    return this.running > 0 && !(this.isDry && this.areOthersTold);
  }

  /** What a fetch for free handlers tells others; nothing if they know. */
  onTake(): Gathering | undefined {
    this.isDry = true;
    if (this.areOthersTold) return undefined;
    this.areOthersTold = true;
    // guards: shared-reads.onTake
    return { upTo: this.max, forMs: WHILE_CLAIMED_MS };
  }

  /** The store may have more than the last fetch has brought. */
  moreMayWait(): void {
    this.isDry = false;
  }

  /** A fetch of so many jobs has brought so many. */
  onFetched(askedFor: number, brought: number): void {
    // guards: shared-reads.onFetched
    if (askedFor > 0) this.isDry = brought < askedFor;
  }

  /** A batch has told others something else. */
  onGathering(): void {
    this.areOthersTold = false;
  }

  /** The claim is a new one. */
  forget(): void {
    // guards: shared-reads.forget
    this.isDry = false;
    this.areOthersTold = false;
  }
}
