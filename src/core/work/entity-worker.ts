/**
 * The worker of one entity on this pod: runs its jobs strictly one after the other, in order; or, where a type gives up
 * order, several at once under the one claim.
 *
 * Owns: what others may ask of a worker.
 * Neighbours: `worker-manager.ts` decides that it exists, `heartbeat.ts` renews its claim; `worker-state.ts` is what its parts share,
 * `next-step.ts` decides what comes next; the store decides everything else.
 */
import type { EntityRef } from '../model/entity.js';
import type { FetchedJob, NewJob } from '../model/job.js';
import type { EntityTypeConfig } from '../options/resolve.js';
import type { Claim, Entered, EnterHint, Renewal } from '../ports/store.js';
import type { Moment } from '../run/lease.js';
import { WorkerSteps } from './next-step.js';
import { Leaving } from './release.js';
import type { Run } from './runs.js';
import { WorkerRequests } from './store-calls.js';
import { Tenure, type WorkerState, type WorkerSurroundings } from './worker-state.js';

export type { WorkerState } from './worker-state.js';

export interface WorkerContext extends WorkerSurroundings {
  /** The worker has ended; the entity is no longer worked here. */
  ended(worker: EntityWorker): void;
}

const LONG_RUN_MS = 1000;

export class EntityWorker {
  private readonly tenure: Tenure;
  private readonly requests: WorkerRequests;
  private readonly leaving: Leaving;
  private readonly steps: WorkerSteps;
  private readonly createdAtMs: number;
  private onEnd: (() => void)[] = [];

  constructor(
    readonly entity: EntityRef,
    readonly type: EntityTypeConfig,
    private readonly context: WorkerContext,
  ) {
    this.createdAtMs = context.clock.monotonicMs();
    this.tenure = new Tenure(entity, type, context, () => this.steps.advance());
    this.requests = new WorkerRequests(this.tenure);
    this.leaving = new Leaving(this.tenure, this.requests);
    const { tenure, requests, leaving } = this;
    this.steps = new WorkerSteps({ tenure, requests, leaving, ended: () => this.onEnded() });
  }

  get state(): WorkerState {
    return this.tenure.state;
  }

  get handlers(): number {
    return this.tenure.jobs.handlers;
  }

  get claim(): Claim | undefined {
    return this.tenure.claim;
  }

  // ── its queue ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** Adds a job of this pod, in the one call that may also bring the claim, or the job itself. */
  enter(job: NewJob): Promise<Entered> {
    return this.requests.enter(job);
  }

  /** What an enqueue of this pod asks for; never believed for safety: the store decides. */
  enterHint(): EnterHint {
    return this.requests.enterHint();
  }

  /** The answer to an add of this pod that was sent at that moment, with a hint of this worker. */
  expectEntered(entered: Promise<Entered>, sentAt: Moment): Promise<Entered> {
    return this.requests.expectEntered(entered, sentAt);
  }

  /** Looks at the entity: claims it if it has work and nobody owns it. */
  look(): void {
    this.requests.look();
  }

  /** Something may be waiting: a wake-up, or a sweep. */
  wake(): void {
    this.tenure.woken = true;
    this.steps.advance();
  }

  /** The store says that the queue of this idle worker has something to do, so something was missed: begin anew (race 37). */
  kick(): void {
    const { tenure, requests } = this;
    if (tenure.state !== 'idle' || tenure.answers.count > 0 || requests.isLimited) return;
    tenure.failure = new Error('its queue has jobs that no wake-up told of');
    this.steps.advance();
  }

  /** A person has paused the queue: what is fetched and has not started goes back. */
  recall(): void {
    this.tenure.recalled = true;
    this.wake();
  }

  // ── its claim ───────────────────────────────────────────────────────────────────────────────────────────────────

  renewal(): Renewal | undefined {
    const { lease, state, answers, jobs } = this.tenure;
    if (!lease || state === 'lost' || state === 'ended') return undefined;
    // While an answer is owed it may be roused at any moment: that renewal must not let it rest.
    const idle = state === 'idle' && answers.count === 0;
    if (!lease.isToRenew(idle)) return undefined;
    return { claim: lease.claim, idle, runningJobIds: jobs.runningIds, longRuns: jobs.longRuns };
  }

  /** Its claim rests: it has no renewal of its own at the moment. */
  get isResting(): boolean {
    return this.tenure.lease?.isResting ?? false;
  }

  /** Its claim is renewed with the next beat, also if it rests. */
  rouse(): void {
    this.tenure.lease?.rouse();
  }

  /** The renewal of `claim`, sent at `sentAt`, was granted, perhaps as one that rests. */
  renewed(claim: Claim, sentAt: Moment, isToRest: boolean): void {
    const { tenure } = this;
    if (claim !== tenure.claim) return;
    tenure.lease?.renew(sentAt);
    if (isToRest) tenure.lease?.rests();
    // A handler is free, and a wake-up may have been lost; an idle worker is told by the renewal itself.
    if (this.isRunning && tenure.jobs.hasFreeHandler) tenure.woken = true;
    this.steps.advance();
  }

  /** The store says that `claim` is not the current one. */
  lose(claim: Claim): void {
    this.tenure.lose(claim);
  }

  // ── its handlers ────────────────────────────────────────────────────────────────────────────────────────────────

  get isRunning(): boolean {
    return this.tenure.jobs.isRunning;
  }

  /** Those that run here, those first that began first. */
  get runningJobs(): readonly FetchedJob[] {
    return this.tenure.jobs.runningJobs;
  }

  /** A handler runs for long: it can't give way soon. */
  get runsForLong(): boolean {
    return this.tenure.jobs.longestRunMs >= LONG_RUN_MS;
  }

  /** Runs that are to be told of now, since they take long; under a claim that is lost, none: their entity does not wait for them. */
  slowRuns(): readonly Run[] {
    return this.state === 'lost' ? [] : this.tenure.jobs.slowRuns();
  }

  /** Shared reads run: until the last of them has ended, others may start beside them. */
  get isReading(): boolean {
    return this.tenure.jobs.areReading;
  }

  /** Tells the running handlers to stop. The claim stays: nobody may run their jobs beside them (race 12). */
  stopHandlers(reason: Error): void {
    if (this.isRunning) this.tenure.lease?.stop(reason);
  }

  /** From now on that many handlers may run at once. */
  scale(handlers: number): void {
    this.tenure.jobs.handlers = handlers;
    this.wake();
  }

  // ── its end ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** For how long it has been idle. */
  get idleForMs(): number {
    return this.context.clock.monotonicMs() - this.steps.idleSinceMs;
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
    const { state, answers, jobs } = this.tenure;
    const isIdle = state === 'idle' && answers.count === 0 && !jobs.next;
    if (!isIdle || this.idleForMs < ms) return false;
    this.leaving.release('idle');
    return true;
  }

  /** Leaves the entity as it is, once the running handler has ended: the store is gone. */
  abandon(): void {
    const { tenure } = this;
    if (tenure.state === 'ended') return;
    tenure.enterState('lost');
    tenure.failure = undefined;
    this.steps.advance();
  }

  /** Starts no further job; resolves when the running ones have ended and the entity is handed over. */
  drain(): Promise<void> {
    this.tenure.leaving = 'shutdown';
    this.steps.advance();
    return new Promise(resolve => {
      if (this.tenure.state === 'ended') resolve();
      else this.onEnd.push(resolve);
    });
  }

  /** Hands the entity over as soon as no handler runs, since others wait for its room. */
  giveWay(): void {
    this.tenure.leaving ??= 'room';
    this.steps.advance();
  }

  /** It was asked to give way and could not, as a handler runs for long: it goes on. */
  stay(): void {
    if (this.tenure.leaving === 'room') this.tenure.leaving = undefined;
    this.steps.advance();
  }

  /** What is enqueued for it now is for the next owner. */
  get isLeaving(): boolean {
    return this.tenure.isLeaving;
  }

  private onEnded(): void {
    this.context.ended(this);
    for (const callback of this.onEnd) callback();
  }
}
