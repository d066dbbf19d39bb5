/** Time, as the core needs it. Neighbour: `own-timers.ts` has Node's. */
/** Above it, a timer of Node fires at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/** A cancellable timer. */
export interface Timer {
  cancel(): void;
}

/** Time. Two clocks, since a suspended machine stops one, and the other can be set. */
export interface Clock {
  /** Milliseconds since some fixed moment; never goes back. */
  monotonicMs(): number;
  /** Milliseconds since 1970, as the machine believes. */
  wallMs(): number;
  /** Runs `callback` once after `ms`; does not keep the process alive. */
  after(ms: number, callback: () => void): Timer;
}
