/**
 * One claim as its pod holds it: how long it may still start jobs under it (I2), and the signal by which handlers learn
 * that it is lost. Valid for less time than Redis grants, by two clocks.
 *
 * Counted from *sending* the renewal that was granted, so never longer than Redis counts. The larger age of the two
 * clocks wins: a suspended machine stops the monotonic one, a person sets the other back.
 */
import type { Claim, Clock } from './ports.js';

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
  /** Made when first asked for: most handlers never do. */
  private abort: AbortController | undefined;
  private reason: Error | undefined;
  private renewedAt: Moment;

  constructor(
    readonly claim: Claim,
    private readonly clock: Clock,
    private readonly leaseMs: number,
    sentAt: Moment,
  ) {
    this.renewedAt = sentAt;
  }

  renew(sentAt: Moment): void {
    if (sentAt.monotonicMs >= this.renewedAt.monotonicMs) this.renewedAt = sentAt;
  }

  /** Aborted when handlers under this claim are to stop. */
  get signal(): AbortSignal {
    if (!this.abort) {
      this.abort = new AbortController();
      if (this.reason) this.abort.abort(this.reason);
    }
    return this.abort.signal;
  }

  /** Tells the handlers under this claim to stop: it is lost, or the pod shuts down and waits no longer. */
  stop(reason: Error): void {
    this.reason ??= reason;
    this.abort?.abort(reason);
  }

  isValid(): boolean {
    const age = Math.max(
      this.clock.monotonicMs() - this.renewedAt.monotonicMs,
      this.clock.wallMs() - this.renewedAt.wallMs,
    );
    return age < this.leaseMs * (1 - MARGIN);
  }
}
