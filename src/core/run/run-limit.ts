/**
 * The time limit of a run (`handlerTimeoutMs`). When it has passed, the signal of the run aborts. If the handler has not settled a second
 * later, the run is given up and its attempt has failed.
 *
 * Owns: that grace of a second, and the timers. A type without the option has no timers.
 * Neighbours: `run-job.ts` and `run-batch.ts` run handlers within the limit. After a run that exceeded it, `worker-state.ts` starts
 * no job under the same token (race 39).
 */
import { HandlerTimeoutError } from '../model/job-errors.js';
import { ignoreRejections } from '../payload/ignored-rejections.js';
import type { Clock, Timer } from '../ports/clock.js';

/** Time that a handler has to settle after its signal aborted. */
export const STOP_GRACE_MS = 1000;

export interface RunLimit {
  /**
   * Whether the run has exceeded the limit. Code of its handler may still run, even if the handler has settled since: unsubscribing an
   * Observable, or a race with the signal, only stops the wait (race 39).
   */
  readonly isOver: boolean;
  /**
   * Runs `work`, and settles as it does unless the run is given up.
   * @param stop called when the limit has passed; it aborts the signal of the run.
   * @throws HandlerTimeoutError if the run was given up.
   */
  within<T>(work: () => T, stop?: (reason: Error) => void): T | Promise<Awaited<T>>;
}

export const NO_LIMIT: RunLimit = { isOver: false, within: work => work() };

/** The limit of one run. */
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
          // A result that the handler returns later is dropped, with the promises in it.
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
