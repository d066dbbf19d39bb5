/**
 * The jobs of one entity that this pod has fetched and whose ends are not confirmed, in their order.
 *
 * Owns: the fetched jobs, the start barrier before them, and the start of a run.
 * Neighbours: `worker-state.ts` has the claim, and `next-step.ts` decides which job may start. `fetch-plan.ts` says how many jobs to
 * fetch. `runs.ts` keeps the running jobs, and `unconfirmed-ends.ts` the ended ones. `run-job.ts` runs a job, `run-batch.ts` a batch.
 * `on-exhausted.ts` decides about jobs without attempts left.
 */
import type { BatchHandling } from '../handlers/batch-options.js';
import { detached } from '../model/detached.js';
import type { EventSink } from '../model/events.js';
import type { FetchedJob, Settlement } from '../model/job.js';
import type { EntityTypeConfig } from '../options/config.js';
import type { Clock } from '../ports/clock.js';
import type { Lease } from '../run/lease.js';
import { runBatch } from '../run/run-batch.js';
import { type JobExecution, runJob, type TypedExecution } from '../run/run-job.js';
import { NO_LIMIT, type RunLimit, TimeLimit } from '../run/run-limit.js';
import type { BatchStep } from './batch-collector.js';
import { FetchPlan, type PlannedQueue } from './fetch-plan.js';
import { emitJobEvent } from './lifecycle-events.js';
import { keepsPlace, settleExhausted } from './on-exhausted.js';
import { Runs } from './runs.js';
import { InvariantError } from './transitions.js';
import { UnconfirmedEnds } from './unconfirmed-ends.js';

export interface QueueEnvironment {
  readonly clock: Clock;
  readonly execution: JobExecution;
  readonly events: EventSink;
}

/** The jobs that run in one call of a handler: the next job, or the next `size` jobs as a batch. */
export interface NextRun {
  readonly size: number;
  readonly handling?: BatchHandling | undefined;
}

export interface RunEnd {
  /** @param mayStillRun whether the run exceeded its time limit, so that code of its handler may still run. */
  ended(settlements: readonly Settlement[], durationMs: number, mayStillRun: boolean): void;
  /** Called with `NotStarted`, or with a fault of this library. An error that a handler throws is an end, not a crash. */
  crashed(error: unknown): void;
}

export class LocalQueue implements PlannedQueue {
  private fetched: FetchedJob[] = [];
  /** Number of pending responses before which no job may start: their calls make the store give back all fetched jobs. */
  private barriers = 0;
  private readonly execution: TypedExecution;
  readonly runs: Runs;
  readonly ends = new UnconfirmedEnds();
  readonly plan: FetchPlan;

  constructor(
    private readonly type: EntityTypeConfig,
    private readonly context: QueueEnvironment,
  ) {
    this.execution = { ...context.execution, type };
    this.runs = new Runs(context.clock, type.slowHandlerWarnMs);
    this.plan = new FetchPlan(type, this);
  }

  // ── fetched ─────────────────────────────────────────────────────────────────────────────────────────────────────

  get ready(): readonly FetchedJob[] {
    return this.fetched;
  }

  get next(): FetchedJob | undefined {
    // guards: local-queue.next
    return this.isBarred ? undefined : this.fetched[0];
  }

  add(jobs: readonly FetchedJob[]): void {
    this.fetched.push(...jobs);
  }

  /** Forgets the fetched jobs and the barriers: the store gives the jobs back, and pending responses are ignored. */
  clear(): void {
    this.fetched = [];
    this.barriers = 0;
    this.plan.reset();
  }

  get isBarred(): boolean {
    return this.barriers > 0;
  }

  /** The worker asks the store to give back the fetched jobs. None of them may start any more. */
  raiseBarrier(): void {
    // guards: local-queue.raiseBarrier
    this.barriers++;
    this.plan.closeBatch();
  }

  /** The store has given back all jobs that arrived before this response, except `kept`, which may have been fetched again. */
  lowerBarrier(kept: readonly string[] = []): void {
    // guards: local-queue.lowerBarrier
    this.barriers--;
    this.fetched = this.fetched.filter(({ id }) => kept.includes(id));
    this.plan.reads?.moreMayWait();
    this.plan.window.reset();
  }

  /** Ids of the jobs that the store must not give back: they are running, or their ends are not confirmed. */
  get keptIds(): readonly string[] {
    return [...this.ends.ids, ...this.runs.ids];
  }

  // ── running ─────────────────────────────────────────────────────────────────────────────────────────────────────

  get isRunning(): boolean {
    // guards: local-queue.isRunning
    return this.runs.count > 0;
  }

  /** Whether a handler is free for this job. While shared reads run, it is free only for another read. */
  mayStart(job: FetchedJob): boolean {
    // guards: local-queue.mayStart
    return this.plan.hasFreeHandler && (!this.plan.areReading || this.isRead(job));
  }

  private isRead({ name }: FetchedJob): boolean {
    return this.plan.reads !== undefined && this.context.execution.handlers.isShared(this.type.type, name);
  }

  /**
   * Decides about the batch that begins with the next job.
   * @param wake called when the batch has waited long enough.
   */
  batchStep(handling: BatchHandling, wake: () => void): BatchStep {
    const isReadable = ({ envelope }: FetchedJob) => this.execution.codecs.knows(envelope);
    return this.plan.batchStep(handling, this.context.clock, { isReadable, wake });
  }

  /** Starts the next run. The caller has checked that the lease is valid (I2). */
  start({ size, handling }: NextRun, lease: Lease, { ended, crashed }: RunEnd): void {
    const { execution } = this;
    const jobs = this.fetched.splice(0, size);
    const [first] = jobs;
    if (!first) throw new InvariantError(`A worker started a run of ${size} jobs without a fetched job`);
    const reads = !handling && this.isRead(first) ? this.plan.reads : undefined;
    const limit = this.limitOfRun();
    const run = this.runs.begin(jobs);
    reads?.onStart();
    for (const job of jobs) emitJobEvent(this.context.events, 'job.started', lease.claim, job);
    const onOver = () => {
      reads?.onEnd();
      this.runs.end(run);
    };
    const onEnds = (ends: readonly Settlement[]) => {
      onOver();
      let settlements: readonly Settlement[];
      try {
        settlements = settleExhausted(ends, { type: this.type, claim: lease.claim, log: execution.log });
      } catch (error) {
        // guards: local-queue.start.settled
        return crashed(error);
      }
      const durationMs = this.context.clock.monotonicMs() - run.startedAtMs;
      this.plan.window.onJobEnd(durationMs);
      ended(reads ? this.withReadsAlongside(settlements) : settlements, durationMs, limit.isOver);
    };
    const onCrash = (error: unknown) => {
      onOver();
      crashed(error);
    };
    if (handling) detached(() => runBatch(execution, { jobs, handling }, lease, limit)).then(onEnds, onCrash);
    // guards: local-queue.start
    else detached(() => runJob(execution, first, lease, limit)).then(end => onEnds([end]), onCrash);
  }

  private limitOfRun(): RunLimit {
    const { handlerTimeoutMs } = this.type;
    return handlerTimeoutMs > 0 ? new TimeLimit(this.context.clock, handlerTimeoutMs) : NO_LIMIT;
  }

  /** Names the reads that run alongside the ended one: it may overtake their ends, and the store must not give them back with it. */
  private withReadsAlongside(settlements: readonly Settlement[]): readonly Settlement[] {
    return settlements.map(settlement => ({
      ...settlement,
      // guards: local-queue.withReadsAlongside
      alongside: keepsPlace(settlement, this.type) ? this.keptIds : this.runs.ids,
    }));
  }

  // ── ended ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Notes the ends of a job or a batch, just before the worker sends them. */
  trackEnds(settlements: readonly Settlement[]): void {
    this.ends.add(settlements);
    // guards: local-queue.trackEnds
    if (settlements.some(settlement => keepsPlace(settlement, this.type))) this.raiseBarrier();
  }

  /**
   * The store has confirmed the ends of a job or a batch.
   * @param successors number of jobs that the same response has brought.
   */
  confirmed(settlements: readonly Settlement[], successors: number): void {
    this.ends.confirm(settlements);
    if (settlements.some(settlement => keepsPlace(settlement, this.type))) this.lowerBarrier();
    else if (successors > 0) this.plan.window.onSuccessor();
  }
}
