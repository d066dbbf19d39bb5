/**
 * The worker of one entity on this pod: runs its jobs strictly one after the other, in order; or, where a type gives up
 * order, several at once under the one claim.
 *
 * Owns: what others may ask of a worker.
 * Neighbours: `worker-manager.ts` decides that it exists, `heartbeat.ts` renews its claim; `worker-state.ts` is what its parts share,
 * `next-step.ts` decides what comes next; the store decides everything else.
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
  /** The worker has ended; the entity is no longer worked here. */
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

  /** Adds a job of this pod, in the one call that may also bring the claim, or the job itself. */
  add(job: NewJob): Promise<IntakeResult> {
    return this.calls.add(job);
  }

  /** What an enqueue of this pod asks for; never believed for safety: the store decides. */
  intakeHint(): IntakeHint {
    return this.calls.intakeHint();
  }

  /** The answer to an add of this pod that was sent at that moment, with a hint of this worker. */
  trackIntake(entered: Promise<IntakeResult>, sentAt: Moment): Promise<IntakeResult> {
    return this.calls.trackIntake(entered, sentAt);
  }

  /** Claims the entity if it has work and no owner. */
  tryClaim(): void {
    this.calls.tryClaim();
  }

  /** Something may be waiting: a wake-up, or a sweep. */
  wake(): void {
    this.state.noteWork();
    this.steps.advance();
  }

  /** The store says that the queue of this idle worker has something to do, so something was missed: resync (race 37). */
  kick(): void {
    const { state, calls } = this;
    // guards: entity-worker.kick
    if (state.phase !== 'idle' || state.responses.count > 0 || calls.isLimited) return;
    state.fail(new Error('its queue has jobs that no wake-up told of'));
    this.steps.advance();
  }

  /** The operator has paused the queue: what is fetched and has not started goes back. */
  recall(): void {
    this.state.recall();
    this.wake();
  }

  // ── its claim ───────────────────────────────────────────────────────────────────────────────────────────────────

  renewal(): Renewal | undefined {
    const { lease, phase, responses, jobs } = this.state;
    if (!lease || phase === 'lost' || phase === 'ended') return undefined;
    // While an answer is owed it may be reactivated at any moment: that renewal must not let it rest.
    // guards: entity-worker.renewal
    const idle = phase === 'idle' && responses.count === 0;
    if (!lease.isToRenew(idle)) return undefined;
    return { claim: lease.claim, idle, runningJobIds: jobs.runs.ids, longRuns: jobs.runs.long };
  }

  /** Its claim rests: it has no renewal of its own at the moment. */
  get isDormant(): boolean {
    return this.state.lease?.isDormant ?? false;
  }

  /** Its claim is renewed with the next beat, also if it rests. */
  reactivate(): void {
    this.state.lease?.reactivate();
  }

  /** The renewal of `claim`, sent at `sentAt`, was granted, perhaps as one that rests. */
  renewed(claim: Claim, sentAt: Moment, isToRest: boolean): void {
    const { state } = this;
    if (claim !== state.claim) return;
    state.lease?.renew(sentAt);
    if (isToRest) state.lease?.becomeDormant();
    // A handler is free, and a wake-up may have been lost; an idle worker is told by the renewal itself.
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

  /** The jobs that run here, the longest running first. */
  get runningJobs(): readonly FetchedJob[] {
    return this.state.jobs.runs.jobs;
  }

  /** A handler has run for a second or more, so the worker can't give way soon. */
  get runsForLong(): boolean {
    return this.state.jobs.runs.hasLong;
  }

  /** Slow runs to report now. None under a lost claim: the entity does not wait for them. */
  slowRuns(): readonly Run[] {
    return this.phase === 'lost' ? [] : this.state.jobs.runs.takeSlow();
  }

  /** Shared reads run: until the last of them has ended, others may start alongside them. */
  get isReading(): boolean {
    return this.state.jobs.plan.areReading;
  }

  /** Tells the running handlers to stop. The claim stays: no other pod may run their jobs at the same time (race 12). */
  stopHandlers(reason: Error): void {
    if (this.isRunning) this.state.lease?.stop(reason);
  }

  /** From now on that many handlers may run at once. */
  scale(handlers: number): void {
    this.state.jobs.plan.handlers = handlers;
    this.wake();
  }

  // ── its end ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** For how long it has been idle. */
  get idleForMs(): number {
    return this.state.idleForMs;
  }

  /** For how long the entity has been worked here. */
  get heldForMs(): number {
    return this.context.clock.monotonicMs() - this.createdAtMs;
  }

  /**
   * Gives the claim up if the worker has been idle for that long. A job at hand that waits for a valid lease is no idleness.
   * @returns whether the store was asked to.
   */
  releaseIfIdleFor(ms: number): boolean {
    const { phase, responses, jobs } = this.state;
    // guards: entity-worker.releaseIfIdleFor
    const isIdle = phase === 'idle' && responses.count === 0 && !jobs.next;
    if (!isIdle || this.idleForMs < ms) return false;
    this.release.release('idle');
    return true;
  }

  /** Leaves the entity as it is, once the running handler has ended: the store is gone. */
  abandon(): void {
    const { state } = this;
    if (state.phase === 'ended') return;
    state.abandon();
    this.steps.advance();
  }

  /** Starts no further job; resolves when the running ones have ended and the entity is handed over. */
  drain(): Promise<void> {
    this.state.askToRelease('shutdown');
    this.steps.advance();
    return new Promise(resolve => {
      if (this.state.phase === 'ended') resolve();
      else this.onEnd.push(resolve);
    });
  }

  /** Hands the entity over as soon as no handler runs, since others wait for its room. */
  giveWay(): void {
    this.state.askToRelease('room');
    this.steps.advance();
  }

  /** It was asked to give way and could not, as a handler runs for long: it goes on. */
  stay(): void {
    this.state.stay();
    this.steps.advance();
  }

  /** What is enqueued for it now is for the next owner. */
  get isToRelease(): boolean {
    return this.state.isToRelease;
  }

  private onEnded(): void {
    this.context.ended(this);
    for (const callback of this.onEnd) callback();
  }
}
