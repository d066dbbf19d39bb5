/**
 * The worker of one entity on this pod. It runs the jobs of the entity one after the other, in order. For a type that gives up order
 * it runs several at once under one claim.
 *
 * Owns: the requests that the rest of the pod may make of a worker.
 * Neighbours: `worker-manager.ts` creates workers, and `heartbeat.ts` renews their claims. `worker-state.ts` is the state that the
 * parts of a worker share, and `next-step.ts` decides what the worker does next. The store decides about claims and jobs.
 */

import type { Claim } from '../model/claim.js';
import type { EntityRef } from '../model/entity.js';
import type { FetchedJob, NewJob } from '../model/job.js';
import type { EntityTypeConfig } from '../options/config.js';
import type { Renewal } from '../ports/claims.js';
import type { IntakeHint, IntakeResult } from '../ports/intake.js';
import type { Moment } from '../run/lease.js';
import { NextStep } from './next-step.js';
import { Release } from './release.js';
import type { Run } from './runs.js';
import { StoreCalls } from './store-calls.js';
import type { WorkerPhase } from './transitions.js';
import type { WorkerEnvironment } from './worker-environment.js';
import { WorkerState } from './worker-state.js';

export interface WorkerContext extends WorkerEnvironment {
  /** The worker has ended, and this pod no longer works the entity. */
  ended(worker: EntityWorker): void;
}

export class EntityWorker {
  private readonly state: WorkerState;
  private readonly calls: StoreCalls;
  private readonly release: Release;
  private readonly steps: NextStep;
  private readonly createdAtMs: number;
  private onEnd: (() => void)[] = [];

  constructor(
    readonly entity: EntityRef,
    readonly type: EntityTypeConfig,
    private readonly context: WorkerContext,
  ) {
    this.createdAtMs = context.clock.monotonicMs();
    this.state = new WorkerState(entity, type, context, () => this.steps.advance());
    this.calls = new StoreCalls(this.state);
    this.release = new Release(this.state, this.calls);
    const { state, calls, release } = this;
    this.steps = new NextStep({ state, calls, release, ended: () => this.onEnded() });
  }

  get phase(): WorkerPhase {
    return this.state.phase;
  }

  get handlers(): number {
    return this.state.jobs.plan.handlers;
  }

  get claim(): Claim | undefined {
    return this.state.claim;
  }

  // ── its queue ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** Adds a job of this pod. The same call may grant the claim and fetch the job. */
  add(job: NewJob): Promise<IntakeResult> {
    return this.calls.add(job);
  }

  /** The request that an enqueue of this pod sends along with its job. It is a hint: the store decides. */
  intakeHint(): IntakeHint {
    return this.calls.intakeHint();
  }

  /** Tracks the response to an add of this pod that was sent at `sentAt` with a hint of this worker. */
  trackIntake(response: Promise<IntakeResult>, sentAt: Moment): Promise<IntakeResult> {
    return this.calls.trackIntake(response, sentAt);
  }

  /** Claims the entity if it has work and no owner. */
  tryClaim(): void {
    this.calls.tryClaim();
  }

  /** A wake-up or a sweep says that jobs may be waiting. */
  wake(): void {
    this.state.noteWork();
    this.steps.advance();
  }

  /** A renewal found jobs in the queue of this idle worker, so the worker missed them. It resyncs (race 37). */
  kick(): void {
    const { state, calls } = this;
    // guards: entity-worker.kick
    if (state.phase !== 'idle' || state.responses.count > 0 || calls.isLimited) return;
    state.fail(new Error('the queue has jobs, and this pod received no wake-up for them'));
    this.steps.advance();
  }

  /** The operator has paused or emptied the queue. The worker gives back the fetched jobs that have not started. */
  recall(): void {
    this.state.recall();
    this.wake();
  }

  // ── its claim ───────────────────────────────────────────────────────────────────────────────────────────────────

  renewal(): Renewal | undefined {
    const { lease, phase, responses, jobs } = this.state;
    if (!lease || phase === 'lost' || phase === 'ended') return undefined;
    // A pending response may reactivate the claim at any moment, so this renewal must not make it dormant.
    // guards: entity-worker.renewal
    const idle = phase === 'idle' && responses.count === 0;
    if (!lease.isToRenew(idle)) return undefined;
    return { claim: lease.claim, idle, runningJobIds: jobs.runs.ids, longRuns: jobs.runs.long };
  }

  /** Whether its claim is dormant: the heartbeat does not renew it at present. */
  get isDormant(): boolean {
    return this.state.lease?.isDormant ?? false;
  }

  /** Renews its claim with the next heartbeat, even if it is dormant. */
  reactivate(): void {
    this.state.lease?.reactivate();
  }

  /**
   * The store has renewed `claim`.
   * @param sentAt when this pod sent the renewal.
   * @param isDormant whether the store has made the claim dormant.
   */
  renewed(claim: Claim, sentAt: Moment, isDormant: boolean): void {
    const { state } = this;
    if (claim !== state.claim) return;
    state.lease?.renew(sentAt);
    if (isDormant) state.lease?.becomeDormant();
    // A wake-up for the free handler may have been lost. For an idle worker, the renewal itself reports jobs (`kick`).
    // guards: entity-worker.renewed
    if (this.isRunning && state.jobs.plan.hasFreeHandler) state.noteWork();
    this.steps.advance();
  }

  /** The store says that `claim` is not the current one. */
  lose(claim: Claim): void {
    this.state.lose(claim);
  }

  // ── its handlers ────────────────────────────────────────────────────────────────────────────────────────────────

  get isRunning(): boolean {
    return this.state.jobs.isRunning;
  }

  /** The jobs that are running, the longest-running first. */
  get runningJobs(): readonly FetchedJob[] {
    return this.state.jobs.runs.jobs;
  }

  /** Whether a handler has run for a second or longer. Such a worker can't give way soon. */
  get runsForLong(): boolean {
    return this.state.jobs.runs.hasLong;
  }

  /** The slow runs to report now. There are none under a lost claim: the entity does not wait for those runs. */
  slowRuns(): readonly Run[] {
    return this.phase === 'lost' ? [] : this.state.jobs.runs.takeSlow();
  }

  /** Whether shared reads are running. Until the last one has ended, further reads may start alongside them. */
  get isReading(): boolean {
    return this.state.jobs.plan.areReading;
  }

  /** Tells the running handlers to stop. The worker keeps its claim, so no other pod runs their jobs meanwhile (race 12). */
  stopHandlers(reason: Error): void {
    if (this.isRunning) this.state.lease?.stop(reason);
  }

  /** Sets how many handlers may run at once from now on. */
  scale(handlers: number): void {
    this.state.jobs.plan.handlers = handlers;
    this.wake();
  }

  // ── its end ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** How long the worker has been idle, in ms. */
  get idleForMs(): number {
    return this.state.idleForMs;
  }

  /** How long this worker has existed, in ms. */
  get heldForMs(): number {
    return this.context.clock.monotonicMs() - this.createdAtMs;
  }

  /**
   * Releases the claim if the worker has been idle for `ms`. A worker with a fetched job that waits for a valid lease is not idle.
   * @returns whether the worker has asked the store to release the claim.
   */
  releaseIfIdleFor(ms: number): boolean {
    const { phase, responses, jobs } = this.state;
    // guards: entity-worker.releaseIfIdleFor
    const isIdle = phase === 'idle' && responses.count === 0 && !jobs.next;
    if (!isIdle || this.idleForMs < ms) return false;
    this.release.release('idle');
    return true;
  }

  /** Ends the worker without a call to the store, once the running handlers have ended: the pod has disconnected. */
  abandon(): void {
    const { state } = this;
    if (state.phase === 'ended') return;
    state.abandon();
    this.steps.advance();
  }

  /** Starts no further job. Resolves when the running jobs have ended and the worker has handed the entity over. */
  drain(): Promise<void> {
    this.state.askToRelease('shutdown');
    this.steps.advance();
    return new Promise(resolve => {
      if (this.state.phase === 'ended') resolve();
      else this.onEnd.push(resolve);
    });
  }

  /** Hands the entity over as soon as no handler runs, since other entities wait for its place on this pod. */
  giveWay(): void {
    this.state.askToRelease('give way');
    this.steps.advance();
  }

  /** Withdraws the request to give way: a handler of this worker runs for too long. */
  stay(): void {
    this.state.stay();
    this.steps.advance();
  }

  /** Whether the worker is giving its entity up. The next owner runs the jobs that are enqueued from now on. */
  get isToRelease(): boolean {
    return this.state.isToRelease;
  }

  private onEnded(): void {
    this.context.ended(this);
    for (const callback of this.onEnd) callback();
  }
}
