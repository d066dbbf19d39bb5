/**
 * The state of one worker, which its parts share: its phase, the claim and its lease, the jobs at hand, the responses that are
 * pending, and what was noted for the next step.
 *
 * Owns: every change of it. Other parts read, and call a method that names what has happened.
 * Neighbours: `next-step.ts` decides what comes next, and each of `store-calls.ts`, `resync.ts` and `release.ts`
 * does one thing of it; `local-queue.ts` keeps and runs the jobs, `pending-responses.ts` keeps the answers in order.
 *
 * `transitions.ts` has the phases. In `lost` the worker waits for the handlers that are running; while it does, no job of the entity
 * may start on this pod (I1).
 */

import type { Claim } from '../model/claim.js';
import { type EntityRef, entityKey } from '../model/entity.js';
import { StaleClaimError } from '../model/job-errors.js';
import type { EntityTypeConfig } from '../options/config.js';
import { Lease, type Moment } from '../run/lease.js';
import { emitWorkerEvent } from './lifecycle-events.js';
import { LocalQueue } from './local-queue.js';
import { PendingResponses } from './pending-responses.js';
import { mayMove, phaseAfter, type TransitionName, type WorkerPhase } from './transitions.js';
import type { WorkerEnvironment } from './worker-environment.js';

export type ReleaseReason = 'shutdown' | 'room' | 'unknown job';

export class WorkerState {
  private currentPhase: WorkerPhase = 'claiming';
  private currentEpoch: number;
  private currentLease: Lease | undefined;
  private currentFailure: Error | undefined;
  private reasonToRelease: ReleaseReason | undefined;
  private hasNews = false;
  private wasRecalled = false;
  private becameIdleAtMs = 0;
  /** A run was over time under this token, and what it has begun may still write under it. */
  private spentToken: string | undefined;
  readonly jobs: LocalQueue;
  readonly responses = new PendingResponses(failure => {
    if (failure) this.fail(failure);
    this.advance();
  });

  /** @param advance does what can be done now; called after every change. */
  constructor(
    readonly entity: EntityRef,
    readonly type: EntityTypeConfig,
    readonly context: WorkerEnvironment,
    readonly advance: () => void,
  ) {
    this.currentEpoch = context.nextEpoch();
    this.jobs = new LocalQueue(type, context);
  }

  get phase(): WorkerPhase {
    return this.currentPhase;
  }

  private move(transition: TransitionName): void {
    this.currentPhase = phaseAfter(this.currentPhase, transition);
  }

  // ── the claim ───────────────────────────────────────────────────────────────────────────────────────────────────

  get lease(): Lease | undefined {
    return this.currentLease;
  }

  get claim(): Claim | undefined {
    return this.currentLease?.claim;
  }

  get epoch(): number {
    return this.currentEpoch;
  }

  /** What is asked for from now on carries it; earlier calls that the store has not executed are stale. */
  newEpoch(): number {
    this.currentEpoch = this.context.nextEpoch();
    return this.currentEpoch;
  }

  /** The store has granted the claim, or confirmed it after a resync. What was fetched before the grant is given back by it. */
  claimed(claim: Claim, sentAt: Moment): void {
    this.move('claimed');
    // guards: worker-state.claimed
    this.currentLease = new Lease(claim, this.context.clock, this.context.leaseMs, sentAt);
    if (this.reasonToRelease === 'unknown job') this.reasonToRelease = undefined;
    this.jobs.clear();
  }

  startJob(): void {
    this.move('startJob');
  }

  becomeIdle(): void {
    this.move('becomeIdle');
    this.jobs.plan.window.reset();
    this.becameIdleAtMs = this.context.clock.monotonicMs();
  }

  /** For how long it has been idle. */
  get idleForMs(): number {
    return this.context.clock.monotonicMs() - this.becameIdleAtMs;
  }

  /** The store is asked to take the claim back. */
  release(): void {
    this.move('release');
  }

  /** The store has not: there is work. */
  keepClaim(): void {
    this.move('keepClaim');
    this.noteWork();
  }

  /** The store has. */
  released(): void {
    this.currentLease = undefined;
  }

  /** A job is added while the claim is being released: the add may claim, however the release ends (race 4). */
  claimAgain(): void {
    this.move('claimAgain');
    this.currentLease = undefined;
    this.newEpoch();
  }

  /** The store says that `claim` is not the current one. A response about an earlier claim of this pod says nothing. */
  lose(claim: Claim): void {
    // guards: worker-state.lose
    if (claim !== this.claim || !mayMove(this.currentPhase, 'lose')) return;
    this.move('lose');
    emitWorkerEvent(this.context.events, 'worker.lost', claim);
    this.context.lost(claim);
    this.jobs.clear();
    this.lease?.stop(new StaleClaimError(`This pod has lost ${entityKey(this.entity)}: stop, and write nothing more.`));
    for (const id of this.jobs.runs.ids) {
      this.context.log.warn(
        `Lost ${entityKey(this.entity)} while job ${id} runs; its end will not count, and the new owner runs it again.`,
      );
    }
    this.advance();
  }

  /** The store is gone: the entity is left as it is. */
  abandon(): void {
    this.move('abandon');
    this.currentFailure = undefined;
  }

  /** Responses that are still pending change nothing any more. */
  end(): void {
    this.move('end');
    this.forgetResponses();
  }

  // ── resync ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Why the worker has to resync: a response did not come, or cannot be true. */
  get failure(): Error | undefined {
    return this.currentFailure;
  }

  /** The first failure is kept until the resync. */
  fail(failure: Error): void {
    this.currentFailure ??= failure;
  }

  /** Calls that are under way become stale; {@link forgetResponses} comes before it. */
  resync(): void {
    // guards: worker-state.resync
    this.newEpoch();
    if (this.claim) this.move('resync');
  }

  resynced(): void {
    this.currentFailure = undefined;
  }

  /** What is under way is ignored, and what is fetched is given back by the store. */
  forgetResponses(): void {
    this.responses.forget();
    this.jobs.clear();
    this.hasNews = false;
  }

  // ── notes for the next step ─────────────────────────────────────────────────────────────────────────────────────

  /** Something may be waiting in the queue that no pending response will bring. */
  get mayHaveWork(): boolean {
    return this.hasNews;
  }

  noteWork(): void {
    this.hasNews = true;
  }

  /** The store is asked for it. */
  clearWork(): void {
    this.hasNews = false;
  }

  /** The operator has paused the queue, or emptied it: what is fetched goes back. */
  get isRecalled(): boolean {
    return this.wasRecalled;
  }

  recall(): void {
    this.wasRecalled = true;
  }

  clearRecall(): void {
    this.wasRecalled = false;
  }

  // ── giving the entity up ────────────────────────────────────────────────────────────────────────────────────────

  get releaseReason(): ReleaseReason | undefined {
    return this.reasonToRelease;
  }

  /** A shutdown overrides every other reason. */
  askToRelease(reason: ReleaseReason): void {
    if (reason === 'shutdown') this.reasonToRelease = reason;
    else this.reasonToRelease ??= reason;
  }

  /** It was asked to make room, and could not soon. */
  stay(): void {
    if (this.reasonToRelease === 'room') this.reasonToRelease = undefined;
  }

  /** A run was over time: nothing more starts under the token of its claim, also after a resync, which keeps it (race 39). */
  spend(claim: Claim): void {
    // guards: worker-state.spend
    this.spentToken = claim.token;
  }

  /** The entity is to be given up, so that the next job runs under a newer token. */
  get isSpent(): boolean {
    return this.claim !== undefined && this.claim.token === this.spentToken;
  }

  get isToRelease(): boolean {
    return this.reasonToRelease !== undefined || this.isSpent;
  }
}
