/**
 * Holds calls that come before the application has started, and continues them in their order afterwards.
 *
 * A waiting call keeps the process alive, unlike all other timers of this library. If a hook or a factory awaits the call, nothing else
 * may be pending, and the process would end silently.
 * Neighbour: `runtime.ts` opens the gate.
 */

import type { Timer } from '../../core/ports/clock.js';
import { clearTimeout, setTimeout } from '../../core/ports/own-timers.js';

interface Waiting<T> {
  readonly timer: Timer;
  resolve(value: T): void;
  reject(error: unknown): void;
}

export class StartGate<T> {
  private readonly waiting = new Set<Waiting<T>>();
  private outcome: Promise<T> | undefined;

  get isWaitedFor(): boolean {
    return this.waiting.size > 0;
  }

  /** Whether the gate was opened or closed. */
  get isSettled(): boolean {
    return this.outcome !== undefined;
  }

  /** Resolves when the gate opens. Rejects when it closes, and after `timeoutMs` with the error of `tooLate`. */
  wait(timeoutMs: number, tooLate: () => Error): Promise<T> {
    if (this.outcome) return this.outcome;
    return new Promise((resolve, reject) => {
      const timer = holdingTimer(timeoutMs, () => {
        this.waiting.delete(waiting);
        reject(tooLate());
      });
      const waiting = { timer, resolve, reject };
      this.waiting.add(waiting);
    });
  }

  open(value: T): void {
    this.outcome ??= Promise.resolve(value);
    for (const { resolve } of this.emptied()) resolve(value);
  }

  close(error: unknown): void {
    if (!this.outcome) {
      this.outcome = Promise.reject(error);
      // If no call waits, an unhandled rejection would hide the error that Nest itself reports.
      this.outcome.catch(() => {});
    }
    for (const { reject } of this.emptied()) reject(error);
  }

  private emptied(): readonly Waiting<T>[] {
    const all = [...this.waiting];
    this.waiting.clear();
    for (const { timer } of all) timer.cancel();
    return all;
  }
}

/** A timer that keeps the process alive. */
export function holdingTimer(ms: number, callback: () => void): Timer {
  // guards: start-gate.holdingTimer
  const timer = setTimeout(callback, ms);
  return { cancel: () => clearTimeout(timer) };
}
