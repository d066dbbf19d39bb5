/**
 * The lease of a claim, as the owner counts it by two clocks.
 *
 * - It begins when the pod *sent* the renewal that was granted, so it never ends later than Redis counts.
 * - The larger age of the two clocks counts. A suspended machine stops the monotonic clock; an operator may set the wall clock back.
 * - A dormant claim is renewed only seldom. Nothing starts under it until a fetch that finds work has reactivated it.
 *
 * Owns: how long jobs may start under the claim (I2), when it must be renewed, and the signals by which handlers learn to stop.
 * Neighbours: `heartbeat.ts` renews it, `next-step.ts` asks it before each start, and `running-job.ts` has the signal of a run.
 */

import type { Claim } from '../model/claim.js';
import { StaleClaimError } from '../model/job-errors.js';
import type { Clock } from '../ports/clock.js';

/** A moment on both clocks. */
export interface Moment {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

export function momentOf(clock: Clock): Moment {
  return { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
}

/** Fraction of a lease that the owner does not use: the clocks of two machines run at slightly different speeds. */
const MARGIN = 0.05;

/** Whether a lease that began at `since` may have passed. */
export function mayHavePassed(clock: Clock, leaseMs: number, since: Moment): boolean {
  // guards: lease.mayHavePassed
  const ageMs = Math.max(clock.monotonicMs() - since.monotonicMs, clock.wallMs() - since.wallMs);
  return ageMs >= leaseMs * (1 - MARGIN);
}

/** Duration of a dormant claim, in leases, unless its pod falls silent. It is renewed after a third of that time. */
export const DORMANT_LEASES = 10;

/** Handlers were told to stop while a job was about to start. The job goes back, and no attempt is counted. */
export class NotStarted extends Error {}

/**
 * Fraction of a lease without any renewal that counts as a silence of all pods. A pod renews every third of a lease, and the thread
 * of a blocked pod before half a lease has passed. So a live pod is never silent for that long. The first claims lapse after an outage
 * of two thirds of a lease, which is a twelfth of a lease longer than a silence.
 */
export const SILENCE_OF_LEASE = 7 / 12;

export class Lease {
  /** The signals of the runs under this claim. */
  private readonly followers = new Set<AbortController>();
  private reason: Error | undefined;
  private renewedAt: Moment;
  /** Callbacks of the jobs that wait for a renewal, or for the end of the claim. */
  private waiting: (() => void)[] = [];
  /** `requested`: a renewal is under way that may make the claim dormant, and the worker has sent no call since. */
  private dormancy: 'awake' | 'requested' | 'dormant' = 'awake';

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
    this.tellWaiting();
  }

  /**
   * Whether the next renewal must contain this claim.
   * @param isIdle whether the worker is idle, so that its claim may become dormant.
   */
  isToRenew(isIdle: boolean): boolean {
    // guards: lease.isToRenew
    if (isIdle && this.isDormant && !this.isDue) return false;
    this.dormancy = isIdle ? 'requested' : 'awake';
    return true;
  }

  /** The last renewal has made the claim dormant. */
  becomeDormant(): void {
    if (this.dormancy === 'requested') this.dormancy = 'dormant';
  }

  get isDormant(): boolean {
    return this.dormancy === 'dormant';
  }

  private get isDue(): boolean {
    // guards: lease.isDue
    return mayHavePassed(this.clock, (this.leaseMs * DORMANT_LEASES) / 3, this.renewedAt);
  }

  /** The worker sends a call that may reactivate the claim, or its state in Redis is unknown. The next renewal contains the claim. */
  reactivate(): void {
    this.dormancy = 'awake';
  }

  /** Aborts `run` when the handlers under this claim must stop, or at once if they were told already. */
  follow(run: AbortController): void {
    if (this.reason) run.abort(this.reason);
    else this.followers.add(run);
  }

  /** Forgets the signal of a run that has ended, with its listeners: the claim may last much longer. */
  letGo(run: AbortController): void {
    this.followers.delete(run);
  }

  /** Tells the handlers under this claim to stop: the claim is lost, or a shutdown waits no longer. */
  stop(reason: Error): void {
    this.reason ??= reason;
    for (const run of this.followers) run.abort(this.reason);
    this.followers.clear();
    this.tellWaiting();
  }

  /**
   * Resolves when the lease is valid (I2). The validation before a handler may take longer than the lease.
   * @throws StaleClaimError if the claim is lost, NotStarted if its handlers were told to stop.
   */
  async untilValid(): Promise<void> {
    // guards: lease.untilValid
    while (!this.reason) {
      if (this.isValid()) return;
      await new Promise<void>(resolve => this.waiting.push(resolve));
    }
    throw this.reason instanceof StaleClaimError ? this.reason : new NotStarted(this.reason.message);
  }

  private tellWaiting(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  isValid(): boolean {
    return !mayHavePassed(this.clock, this.leaseMs, this.renewedAt);
  }
}
