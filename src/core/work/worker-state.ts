/**
 * The state of one worker, which its parts share: the phase, the claim and its lease, the local queue, the pending responses, and
 * the notes for the next step.
 *
 * Owns: every change of that state. The other parts read it, and call a method that names what has happened.
 * Neighbours: `next-step.ts` decides what the worker does next; `store-calls.ts`, `resync.ts` and `release.ts` carry it out.
 * `local-queue.ts` keeps and runs the jobs, `pending-responses.ts` keeps the responses in order, and `transitions.ts` has the phases.
 *
 * In the phase `lost` the worker waits for its running handlers. Until they have ended, no job of the entity may start on this pod (I1).
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

export type ReleaseReason = 'shutdown' | 'give way' | 'unknown job';

export class WorkerState {
  private currentPhase: WorkerPhase = 'claiming';
  private currentEpoch: number;
  private currentLease: Lease | undefined;
  private currentFailure: Error | undefined;
  private reasonToRelease: ReleaseReason | undefined;
  private hasNews = false;
  private wasRecalled = false;
  private becameIdleAtMs = 0;
  /** A run exceeded its time limit under this token, and code that it has begun may still write under it (race 39). */
  private spentToken: string | undefined;
  readonly jobs: LocalQueue;
  readonly responses = new PendingResponses(failure => {
    if (failure) this.fail(failure);
    this.advance();
  });

  /** @param advance takes all steps that are possible now. Called after every change. */
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

  /** Takes a new epoch for the calls from now on. Earlier calls that the store has not executed yet become stale. */
  newEpoch(): number {
    this.currentEpoch = this.context.nextEpoch();
    return this.currentEpoch;
  }

  /** The store has granted the claim, or confirmed it after a resync. The grant has given back all that was fetched before it. */
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

  /** How long the worker has been idle, in ms. */
  get idleForMs(): number {
    return this.context.clock.monotonicMs() - this.becameIdleAtMs;
  }

  /** The worker asks the store to take the claim back. */
  release(): void {
    this.move('release');
  }

  /** The store refused to take the claim back, since the entity has work. */
  keepClaim(): void {
    this.move('keepClaim');
    this.noteWork();
  }

  /** The store has taken the claim back. */
  released(): void {
    this.currentLease = undefined;
  }

  /** This pod adds a job during the release. The add may claim the entity, however the release ends (race 4). */
  claimAgain(): void {
    this.move('claimAgain');
    this.currentLease = undefined;
    this.newEpoch();
    // guards: worker-state.claimAgain
    // The release may have failed because of a job of another pod, and the add may never be executed.
    this.noteWork();
  }

  /** The store says that `claim` is not the current one. A response about an earlier claim of this pod changes nothing. */
  lose(claim: Claim): void {
    // guards: worker-state.lose
    if (claim !== this.claim || !mayMove(this.currentPhase, 'lose')) return;
    this.move('lose');
    emitWorkerEvent(this.context.events, 'worker.lost', claim);
    this.context.lost(claim);
    this.jobs.clear();
    this.lease?.stop(
      new StaleClaimError(
        `This pod has lost its claim of ${entityKey(this.entity)}. The handler must stop and write nothing more: its end does not count, and the new owner runs the job again.`,
      ),
    );
    for (const id of this.jobs.runs.ids) {
      this.context.log.warn(
        `This pod lost its claim of ${entityKey(this.entity)} while job ${id} was running. The end of this run does not count: the new owner runs the job again.`,
      );
    }
    this.advance();
  }

  /** The pod has disconnected: the entity stays as it is in the store. */
  abandon(): void {
    this.move('abandon');
    this.currentFailure = undefined;
  }

  /** Ends the worker. Responses that are still pending change nothing any more. */
  end(): void {
    this.move('end');
    this.forgetResponses();
  }

  // ── resync ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Why the worker must resync: a response did not come, or cannot be true. */
  get failure(): Error | undefined {
    return this.currentFailure;
  }

  /** Notes that the worker must resync. The first failure is kept until then. */
  fail(failure: Error): void {
    this.currentFailure ??= failure;
  }

  /** Makes all calls that are under way stale. Call {@link forgetResponses} first. */
  resync(): void {
    // guards: worker-state.resync
    this.newEpoch();
    if (this.claim) this.move('resync');
  }

  resynced(): void {
    this.currentFailure = undefined;
  }

  /** Ignores all pending responses, and forgets the fetched jobs: the next call makes the store give them back. */
  forgetResponses(): void {
    this.responses.forget();
    this.jobs.clear();
    this.hasNews = false;
  }

  // ── notes for the next step ─────────────────────────────────────────────────────────────────────────────────────

  /** Whether the queue may have jobs that no pending response will bring. */
  get mayHaveWork(): boolean {
    return this.hasNews;
  }

  noteWork(): void {
    this.hasNews = true;
  }

  /** The worker asks the store for those jobs. */
  clearWork(): void {
    this.hasNews = false;
  }

  /** Whether the operator has paused or emptied the queue, so that fetched jobs must go back. */
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

  /** Asks the worker to give up its entity. A shutdown overrides every other reason. */
  askToRelease(reason: ReleaseReason): void {
    if (reason === 'shutdown') this.reasonToRelease = reason;
    else this.reasonToRelease ??= reason;
  }

  /** Withdraws the request to give way to other entities. */
  stay(): void {
    if (this.reasonToRelease === 'give way') this.reasonToRelease = undefined;
  }

  /** A run exceeded its time limit. No job starts under this token any more, not even after a resync, which keeps the token (race 39). */
  spend(claim: Claim): void {
    // guards: worker-state.spend
    this.spentToken = claim.token;
  }

  /** Whether the worker must give up the entity, so that the next job runs under a newer token. */
  get isSpent(): boolean {
    return this.claim !== undefined && this.claim.token === this.spentToken;
  }

  get isToRelease(): boolean {
    return this.reasonToRelease !== undefined || this.isSpent;
  }
}
