/**
 * One claim as its pod holds it: how long it may still start jobs under it (I2), when to renew it, and the signal by which
 * handlers learn that it is lost. Valid for less time than Redis grants, by two clocks.
 *
 * Counted from *sending* the renewal that was granted, so never longer than Redis counts. The larger age of the two
 * clocks wins: a suspended machine stops the monotonic one, a person sets the other back.
 *
 * The claim of an idle worker whose queue is empty *rests*: it lasts as long as its pod's renewals are heard, and is renewed
 * itself only now and then. It is reactivated by the fetch that finds work, which renews the lease; nothing starts before that.
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

/** Part of a lease that is not used: clocks of two machines run at slightly different speeds. */
const MARGIN = 0.05;

/** Whether a lease that began then may have passed. */
export function mayHavePassed(clock: Clock, leaseMs: number, since: Moment): boolean {
  // guards: lease.mayHavePassed
  const ageMs = Math.max(clock.monotonicMs() - since.monotonicMs, clock.wallMs() - since.wallMs);
  return ageMs >= leaseMs * (1 - MARGIN);
}

/** How many leases long a claim rests, unless its pod falls silent; it is renewed in the first third of that. */
export const DORMANT_LEASES = 10;

/** A job was about to start when handlers were told to stop: it goes back as it was. */
export class NotStarted extends Error {}

/**
 * The part of a lease without any renewal that counts as a silence of all pods. A renewal comes every third of a lease, and a blocked
 * pod's thread renews before half of one has passed, so a pod that lives is not silent for as long. After an outage of two thirds
 * of a lease the first claims have passed, so that is recognized as a silence with a margin of a twelfth.
 */
export const SILENCE_OF_LEASE = 7 / 12;

export class Lease {
  /** Of the runs under this claim that have asked for a signal. */
  private readonly followers = new Set<AbortController>();
  private reason: Error | undefined;
  private renewedAt: Moment;
  /** Who waits for a renewal, or for word that there will be none. */
  private waiting: (() => void)[] = [];
  /** `asked`: a renewal is under way that may let it rest, and nothing that could reactivate it was sent since. */
  private rest: 'awake' | 'asked' | 'dormant' = 'awake';

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

  /** Whether the claim belongs into the renewal that is about to be sent, for a worker that is idle or not. */
  isToRenew(isIdle: boolean): boolean {
    // guards: lease.isToRenew
    if (isIdle && this.isDormant && !this.isDue) return false;
    this.rest = isIdle ? 'asked' : 'awake';
    return true;
  }

  /** The store has let the claim rest, in answer to the last renewal. */
  becomeDormant(): void {
    if (this.rest === 'asked') this.rest = 'dormant';
  }

  get isDormant(): boolean {
    return this.rest === 'dormant';
  }

  private get isDue(): boolean {
    // guards: lease.isDue
    return mayHavePassed(this.clock, (this.leaseMs * DORMANT_LEASES) / 3, this.renewedAt);
  }

  /** Something is sent that may reactivate the claim, or nobody knows whether it still rests: the next renewal takes it along. */
  reactivate(): void {
    this.rest = 'awake';
  }

  /** Aborts it when handlers under this claim are to stop; at once, if they were told already. */
  follow(run: AbortController): void {
    if (this.reason) run.abort(this.reason);
    else this.followers.add(run);
  }

  /** The run has ended: what listens to its signal is not kept for as long as the claim lasts. */
  letGo(run: AbortController): void {
    this.followers.delete(run);
  }

  /** Tells the handlers under this claim to stop: it is lost, or the pod shuts down and waits no longer. */
  stop(reason: Error): void {
    this.reason ??= reason;
    for (const run of this.followers) run.abort(this.reason);
    this.followers.clear();
    this.tellWaiting();
  }

  /**
   * Resolves when a job may start under it (I2): what is done before its handler runs may take long.
   * @throws StaleClaimError when it is lost, NotStarted when its handlers were told to stop.
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
