/**
 * Where calls wait that come before the application has started. They go on in their order when it has.
 *
 * A call that waits keeps the process alive, unlike all other timers of this library: a hook or a factory that awaits the call may be all
 * that is left to do, and the process would end without a word.
 * Neighbour: `runtime.ts` opens it.
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

  /** Whether it was opened or closed. */
  get isSettled(): boolean {
    return this.outcome !== undefined;
  }

  /** Resolves when the gate opens; rejects when it closes, or with what `tooLate` returns after `timeoutMs`. */
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
      // There may be no call: an unhandled rejection would hide the error that Nest itself reports.
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
