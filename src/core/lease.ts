/**
 * A pod's own view of the lease of one claim (I2): valid for less time than Redis grants, by two clocks.
 *
 * Counted from *sending* the renewal that was granted, so never longer than Redis counts. The larger age of the two
 * clocks wins: a suspended machine stops the monotonic one, a person sets the other back.
 */
import type { Clock } from './ports.js';

/** A moment on both clocks. */
export interface Moment {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

export function momentOf(clock: Clock): Moment {
  return { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
}

/** Part of the lease that is not used: clocks of two machines run at slightly different speeds. */
const MARGIN = 0.05;

export class Lease {
  private renewedAt: Moment;

  constructor(
    private readonly clock: Clock,
    private readonly leaseMs: number,
    sentAt: Moment,
  ) {
    this.renewedAt = sentAt;
  }

  renew(sentAt: Moment): void {
    if (sentAt.monotonicMs >= this.renewedAt.monotonicMs) this.renewedAt = sentAt;
  }

  isValid(): boolean {
    const age = Math.max(
      this.clock.monotonicMs() - this.renewedAt.monotonicMs,
      this.clock.wallMs() - this.renewedAt.wallMs,
    );
    return age < this.leaseMs * (1 - MARGIN);
  }
}
