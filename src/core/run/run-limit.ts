/**
 * How long a handler may run (`handlerTimeoutMs`): then its signal aborts, and if it has not settled a moment later it is given up.
 *
 * Owns that moment, and the timers: none for a type without the option. Neighbours: `run-job.ts` and `run-batch.ts` run
 * handlers within it; a worker whose run had to be told to stop starts nothing more under its token (`worker-state.ts`, race 39).
 */
import { HandlerTimeoutError } from '../model/job-errors.js';
import { ignoreRejections } from '../payload/ignored-rejections.js';
import type { Clock, Timer } from '../ports/clock.js';

/** How long a handler that was told to stop has for it. */
export const STOP_GRACE_MS = 1000;

export interface RunLimit {
  /**
   * Its time was over. Something of it may still run, also if it has settled since: an Observable that is unsubscribed, or a race with
   * the signal, only stops waiting for what it has begun.
   */
  readonly isOver: boolean;
  /**
   * Settles as `work` does, unless it takes too long.
   * @param stop tells it to stop.
   * @throws HandlerTimeoutError when it was given up.
   */
  within<T>(work: () => T, stop?: (reason: Error) => void): T | Promise<Awaited<T>>;
}

export const NO_LIMIT: RunLimit = { isOver: false, within: work => work() };

/** Of one run. */
export class TimeLimit implements RunLimit {
  isOver = false;

  constructor(
    private readonly clock: Clock,
    private readonly ms: number,
  ) {}

  async within<T>(work: () => T, stop: (reason: Error) => void = () => {}): Promise<Awaited<T>> {
    let timer: Timer | undefined;
    let running: Promise<Awaited<T>> | undefined;
    const givenUp = new Promise<never>((_, reject) => {
      timer = this.clock.after(this.ms, () => {
        const error = new HandlerTimeoutError(this.ms);
        // guards: run-limit.within
        this.isOver = true;
        timer = this.clock.after(STOP_GRACE_MS, () => {
          reject(error);
          // What it gives later is dropped.
          running?.then(ignoreRejections, () => {});
        });
        stop(error);
      });
    });
    try {
      running = Promise.resolve(work());
      return await Promise.race([running, givenUp]);
    } finally {
      timer?.cancel();
    }
  }
}
