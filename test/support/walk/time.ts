/**
 * Time of a walk: one true time, which is the server's, and a clock of its own for each pod over it.
 * A pod's clock runs a little fast or slow, may be set by an operator, and may stop with its machine; while the pod's event
 * loop is blocked its timers wait, and time passes for the others.
 */
import type { Clock, Timer } from '../../../src/core/ports/clock.js';

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

export class WalkTime implements Clock {
  nowMs = 1_000_000;
  private wallOffsetMs = 1_700_000_000_000;
  private readonly events = new Set<Event>();
  private made = 0;

  /** @param settle lets everything run that needs no time. */
  constructor(private readonly settle: () => Promise<void>) {}

  monotonicMs(): number {
    return this.nowMs;
  }

  wallMs(): number {
    return this.nowMs + this.wallOffsetMs;
  }

  jumpWall(ms: number): void {
    this.wallOffsetMs += ms;
  }

  after(ms: number, callback: () => void): Timer {
    const event: Event = { atMs: this.nowMs + Math.max(0, ms), order: ++this.made, run: callback };
    this.events.add(event);
    return { cancel: () => void this.events.delete(event) };
  }

  async advance(ms: number): Promise<void> {
    const end = this.nowMs + ms;
    await this.settle();
    for (let next = this.next(end); next; next = this.next(end)) {
      this.nowMs = Math.max(this.nowMs, next.atMs);
      this.events.delete(next);
      next.run();
      await this.settle();
    }
    this.nowMs = end;
  }

  get pending(): number {
    return this.events.size;
  }

  private next(end: number): Event | undefined {
    let first: Event | undefined;
    for (const event of this.events) {
      const isEarlier = !first || event.atMs < first.atMs || (event.atMs === first.atMs && event.order < first.order);
      if (event.atMs <= end && isEarlier) first = event;
    }
    return first;
  }
}

export class PodClock implements Clock {
  frozen = false;
  dead = false;
  private readonly timers = new Set<object>();
  private overdue: { timer: object; callback: () => void }[] = [];
  private stoppedAtMs: number | undefined;
  private stoppedForMs = 0;
  private readonly bornAtMs: number;

  constructor(
    private readonly time: WalkTime,
    private readonly rate: number,
    private wallOffsetMs: number,
  ) {
    this.bornAtMs = time.nowMs;
  }

  monotonicMs(): number {
    const trueMs = (this.stoppedAtMs ?? this.time.nowMs) - this.bornAtMs - this.stoppedForMs;
    return 5000 + trueMs * this.rate;
  }

  wallMs(): number {
    return 1_700_000_000_000 + (this.time.nowMs - this.bornAtMs) * this.rate + this.wallOffsetMs;
  }

  jumpWall(ms: number): void {
    this.wallOffsetMs += ms;
  }

  after(ms: number, callback: () => void): Timer {
    const timer = {};
    this.timers.add(timer);
    this.time.after(ms / this.rate, () => {
      if (this.dead || !this.timers.has(timer)) return;
      if (this.frozen) this.overdue.push({ timer, callback });
      else this.fire(timer, callback);
    });
    return { cancel: () => void this.timers.delete(timer) };
  }

  /** The event loop is blocked; with `suspended` the whole machine stands, and its monotonic clock with it. */
  freeze(suspended: boolean): void {
    this.frozen = true;
    if (suspended) this.stoppedAtMs = this.time.nowMs;
  }

  async thaw(settle: () => Promise<void>): Promise<void> {
    this.frozen = false;
    if (this.stoppedAtMs !== undefined) this.stoppedForMs += this.time.nowMs - this.stoppedAtMs;
    this.stoppedAtMs = undefined;
    for (const { timer, callback } of this.overdue.splice(0)) {
      this.fire(timer, callback);
      await settle();
    }
  }

  get pending(): number {
    return this.timers.size;
  }

  private fire(timer: object, callback: () => void): void {
    if (this.timers.delete(timer)) callback();
  }
}
