/** Time, as the core needs it. Neighbour: `own-timers.ts` has Node's timers and clocks. */

/** Node's longest timer: a longer one fires at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/** A cancellable timer. */
export interface Timer {
  cancel(): void;
}

/** Time. Two clocks: one stops while the machine is suspended, the other can be set. */
export interface Clock {
  /** Milliseconds since some fixed moment; never goes back. */
  monotonicMs(): number;
  /** Milliseconds since 1970, by the clock of the machine. */
  wallMs(): number;
  /** Runs `callback` once after `ms`; does not keep the process alive. */
  after(ms: number, callback: () => void): Timer;
}
