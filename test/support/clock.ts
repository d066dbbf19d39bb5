/** A clock that stands still until a test moves it. */
import type { Clock } from '../../src/core/ports/clock.js';

export class ManualClock implements Clock {
  private now = 1_000_000;
  private wallOffset = 1_700_000_000_000;
  private timers = new Set<{ atMs: number; callback: () => void }>();

  monotonicMs(): number {
    return this.now;
  }

  wallMs(): number {
    return this.now + this.wallOffset;
  }

  after(ms: number, callback: () => void) {
    const timer = { atMs: this.now + ms, callback };
    this.timers.add(timer);
    return { cancel: () => void this.timers.delete(timer) };
  }

  /** An operator sets the wall clock. */
  jumpWall(ms: number): void {
    this.wallOffset += ms;
  }

  /** Time passes, and no timer runs: the event loop is blocked. */
  stall(ms: number): void {
    this.now += ms;
  }

  /** Time passes; each timer runs at its time, and what it starts runs before the next. */
  async advance(ms: number): Promise<void> {
    const end = this.now + ms;
    await settle();
    for (;;) {
      const next = this.nextTimer();
      if (!next || next.atMs > end) break;
      this.now = Math.max(this.now, next.atMs);
      this.timers.delete(next);
      next.callback();
      await settle();
    }
    this.now = end;
  }

  /** The one that is due first; of several, the one that was set first. */
  private nextTimer() {
    let next: { atMs: number; callback: () => void } | undefined;
    for (const timer of this.timers) if (!next || timer.atMs < next.atMs) next = timer;
    return next;
  }

  get pendingTimers(): number {
    return this.timers.size;
  }
}

/** Runs all work that does not wait for time. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise(resolve => setImmediate(resolve));
}
