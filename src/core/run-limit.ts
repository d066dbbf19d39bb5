/**
 * How long a handler may run (`handlerTimeoutMs`): then its signal aborts, and if it has not settled a moment later it is given up.
 *
 * Owns that moment, and the timers: none for a type without the option. Neighbours: `job-execution.ts` and `batch-execution.ts` run
 * handlers within it; a worker whose handler was given up starts nothing more under its token (`tenure.ts`, race 39).
 */
import { HandlerTimeoutError } from './errors.js';
import type { Clock, Timer } from './ports.js';

/** How long a handler that was told to stop has for it. */
export const STOP_GRACE_MS = 1000;

export interface RunLimit {
  /** Something was given up, and may still run. */
  readonly isGivenUp: boolean;
  /**
   * Settles as `work` does, unless it takes too long.
   * @param stop tells it to stop.
   * @throws HandlerTimeoutError when it was given up.
   */
  within<T>(work: () => T, stop?: (reason: Error) => void): T | Promise<Awaited<T>>;
}

export const NO_LIMIT: RunLimit = { isGivenUp: false, within: work => work() };

/** Of one run. */
export class TimeLimit implements RunLimit {
  isGivenUp = false;

  constructor(
    private readonly clock: Clock,
    private readonly ms: number,
  ) {}

  async within<T>(work: () => T, stop: (reason: Error) => void = () => {}): Promise<Awaited<T>> {
    let timer: Timer | undefined;
    const givenUp = new Promise<never>((_, reject) => {
      timer = this.clock.after(this.ms, () => {
        const error = new HandlerTimeoutError(this.ms);
        timer = this.clock.after(STOP_GRACE_MS, () => {
          this.isGivenUp = true;
          reject(error);
        });
        stop(error);
      });
    });
    try {
      return await Promise.race([work(), givenUp]);
    } finally {
      timer?.cancel();
    }
  }
}
