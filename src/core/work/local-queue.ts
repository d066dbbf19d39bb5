/**
 * The jobs of one entity on this pod, in their order: fetched and not started, running, ended and not confirmed.
 *
 * Owns: how many run at once (one, unless the type gives up order, or shared reads do), through `prefetch-window.ts` how many are fetched
 * ahead, through `batch-collector.ts` when a batch starts, and through `shared-reads.ts` what is fetched alongside reads.
 * Neighbours: `worker-state.ts` has the claim, and `next-step.ts` says what may be done now; `run-job.ts` runs a
 * job, `run-batch.ts` a batch, and `on-exhausted.ts` knows what becomes of those that have used up their tries.
 */
import type { BatchHandling } from '../handlers/batch-options.js';
import { detached } from '../model/detached.js';
import type { EventSink } from '../model/events.js';
import type { FetchedJob, Settlement } from '../model/job.js';
import type { EntityTypeConfig } from '../options/config.js';
import type { LongRun } from '../ports/claims.js';
import type { Clock } from '../ports/clock.js';
import type { Fetched, Gathering } from '../ports/work.js';
import type { Lease } from '../run/lease.js';
import { runBatch } from '../run/run-batch.js';
import { type JobExecution, runJob, type TypedExecution } from '../run/run-job.js';
import { NO_LIMIT, type RunLimit, TimeLimit } from '../run/run-limit.js';
import { BatchCollector, type BatchStep } from './batch-collector.js';
import { emitJobEvent } from './lifecycle-events.js';
import { keepsPlace, settleExhausted } from './on-exhausted.js';
import { PrefetchWindow } from './prefetch-window.js';
import { type Run, Runs } from './runs.js';
import { SharedReads } from './shared-reads.js';
import { InvariantError } from './transitions.js';

/** A run that takes longer shows in the status of its entity; so many of one entity do. */
const LONG_RUN_MS = 1000;
const MAX_LONG_RUNS = 16;

export interface QueueEnvironment {
  readonly clock: Clock;
  readonly execution: JobExecution;
  readonly events: EventSink;
}

/** What runs as one: the next job, or so many of the next ones as a batch. */
export interface NextRun {
  readonly size: number;
  readonly handling?: BatchHandling | undefined;
}

export interface RunEnd {
  /** @param mayStillRun its time was over, and something that its handler has begun may still run. */
  ended(settlements: readonly Settlement[], durationMs: number, mayStillRun: boolean): void;
  /** NotStarted; no other, if all is well: a handler that throws has ended. */
  crashed(error: unknown): void;
}

export class LocalQueue {
  private ready: FetchedJob[] = [];
  /** How many answers are owed before which nothing starts: the store gives back what is fetched until then. */
  private barriers = 0;
  private readonly running: Runs;
  /** How many handlers run: one of a batch runs several jobs. */
  private busy = 0;
  /** Made with the first batch. */
  private collector: BatchCollector | undefined;
  /** Of a type that has any. */
  private readonly reads: SharedReads | undefined;
  private readonly unconfirmed = new Map<string, Settlement>();
  /** How many batches have ended here. */
  private batches = 0;
  private readonly window: PrefetchWindow;
  private readonly execution: TypedExecution;
  /** How many handlers may run at once. */
  handlers: number;

  constructor(
    private readonly type: EntityTypeConfig,
    private readonly context: QueueEnvironment,
  ) {
    this.window = new PrefetchWindow(type.prefetch);
    this.execution = { ...context.execution, type };
    this.handlers = type.handlersAtStart;
    this.running = new Runs(type.slowHandlerWarnMs);
    if (type.maxReads > 1) this.reads = new SharedReads(type.maxReads);
  }

  // ── fetched ─────────────────────────────────────────────────────────────────────────────────────────────────────

  get next(): FetchedJob | undefined {
    return this.isBarred ? undefined : this.ready[0];
  }

  add(jobs: readonly FetchedJob[]): void {
    this.ready.push(...jobs);
  }

  /** So many were asked for, and so many have come: fewer are all there were. */
  onFetched(askedFor: number, brought: number): void {
    this.collector?.onFetched(askedFor, brought);
    this.reads?.onFetched(askedFor, brought);
  }

  /** Something waits that was not brought. */
  moreMayWait(): void {
    this.collector?.moreMayWait();
    this.reads?.moreMayWait();
  }

  /** A job of this pod was added, and so many were brought: one alone where a batch waits for it. Others may have come behind it. */
  onAdded({ jobs: { length: brought }, againInMs }: Fetched): void {
    if (brought === 0 || this.collector?.waitsFor === 0) this.collector?.moreMayWait();
    if (brought === 0 && againInMs === undefined) this.reads?.moreMayWait();
  }

  /** What is fetched is given back by the store, and pending responses are ignored. */
  clear(): void {
    this.ready = [];
    this.barriers = 0;
    this.collector?.close();
    this.reads?.forget();
  }

  get isBarred(): boolean {
    return this.barriers > 0;
  }

  /** The store is asked to give back what is fetched: nothing of it starts any more. */
  raiseBarrier(): void {
    this.barriers++;
    this.collector?.close();
  }

  /** It has answered: what came before is given back, but `kept`, which may have been fetched again. */
  lowerBarrier(kept: readonly string[] = []): void {
    this.barriers--;
    this.ready = this.ready.filter(({ id }) => kept.includes(id));
    this.reads?.moreMayWait();
    this.window.reset();
  }

  /** Jobs that the store must not give back: those that run here, or have ended and are not confirmed. */
  get keptIds(): readonly string[] {
    return [...this.unconfirmed.keys(), ...this.running.ids];
  }

  /** Jobs of a dead owner: they run one at a time until they are through, so that one that kills its pod is alone next time. */
  enterRecoveryMode(jobs: number): void {
    this.window.enterRecoveryMode(jobs);
  }

  /**
   * How many to fetch with the end of a run; no more than one before it is known what is fetched. After a batch: the next one, which
   * is likely to be as large.
   */
  wanted(askedFor: number, batchMax?: number): number {
    if (this.isBarred) return 1;
    const wanted = this.window.wanted(this.ready.length, askedFor);
    if (batchMax === undefined || this.window.isRecovering) return wanted;
    return Math.max(wanted, this.window.ahead(batchMax) - this.ready.length - askedFor);
  }

  /** Whether a handler would be free for one more than what is at hand and asked for. */
  lacks(askedFor: number): boolean {
    return !this.isReadBlocked && this.busy + this.ready.length + askedFor < this.limit;
  }

  /** While fewer are fetched, an add brings one: those that run, and as many as handlers are free, or a batch waits for. */
  get room(): number {
    if (this.isReadBlocked) return this.running.size;
    return this.running.size + (this.collector?.waitsFor || this.limit - this.busy);
  }

  /** Reads run, and nothing may start alongside them: the next job is none, or what is fetched is given back. */
  private get isReadBlocked(): boolean {
    return this.areReading && (this.isBarred || this.ready.length > 0);
  }

  get areReading(): boolean {
    return this.reads?.areRunning ?? false;
  }

  /** Whether the store may have more for handlers that are free while reads run. */
  get seeksReads(): boolean {
    return this.reads?.areSought ?? false;
  }

  /** What an idle worker asks for, or one for handlers that are free: how many, and what others are told. */
  toTake(askedFor: number): [count?: number, gathering?: Gathering] {
    if (!this.areReading) return [];
    return [Math.min(this.type.prefetch, this.limit - this.busy - askedFor), this.reads?.onTake()];
  }

  onIdle(): void {
    this.window.reset();
  }

  // ── running ─────────────────────────────────────────────────────────────────────────────────────────────────────

  get isRunning(): boolean {
    return this.running.size > 0;
  }

  get runningJobs(): readonly FetchedJob[] {
    return this.running.jobs;
  }

  get runningIds(): readonly string[] {
    return this.running.ids;
  }

  /** For how long the handler has run that began first. */
  get longestRunMs(): number {
    return this.running.longestMs(this.context.clock.monotonicMs());
  }

  /** Runs that are to be told of now, since they take long. */
  slowRuns(): readonly Run[] {
    return this.running.slow(this.context.clock.monotonicMs());
  }

  /** Those that have run for a second, since when by the wall clock. */
  get longRuns(): readonly LongRun[] {
    const { clock } = this.context;
    const wallMs = clock.wallMs();
    return this.running
      .longerThan(LONG_RUN_MS, clock.monotonicMs(), MAX_LONG_RUNS)
      .map(({ jobId, forMs }) => ({ jobId, startedAtMs: Math.round(wallMs - forMs) }));
  }

  get hasFreeHandler(): boolean {
    return this.busy < this.limit;
  }

  /** Whether a handler is free for this one: alongside reads, if it is a read. */
  mayStart(job: FetchedJob): boolean {
    return this.hasFreeHandler && (!this.areReading || this.isRead(job));
  }

  private isRead({ name }: FetchedJob): boolean {
    return this.reads !== undefined && this.context.execution.handlers.isShared(this.type.type, name);
  }

  /** How many jobs may run at once now. */
  get limit(): number {
    if (this.window.isRecovering) return 1;
    return this.areReading ? this.type.maxReads : this.handlers;
  }

  /** Starts what is next, under a lease that is valid. */
  start({ size, handling }: NextRun, lease: Lease, { ended, crashed }: RunEnd): void {
    const { execution, type } = this;
    const { clock, events } = this.context;
    const jobs = this.ready.splice(0, size);
    const [first] = jobs;
    if (!first) throw new InvariantError(`A run of ${size} jobs was started, and none is fetched`);
    const startedAtMs = clock.monotonicMs();
    const reads = !handling && this.isRead(first) ? this.reads : undefined;
    this.busy++;
    reads?.onStart();
    this.running.begin(jobs, startedAtMs);
    for (const job of jobs) emitJobEvent(events, 'job.started', lease.claim, job);
    const limit = this.limitOfRun();
    const onOver = () => {
      this.busy--;
      reads?.onEnd();
      this.running.end(jobs);
    };
    const onEnds = (ends: readonly Settlement[]) => {
      const settlements = settleExhausted(ends, { type, claim: lease.claim, log: execution.log });
      onOver();
      const durationMs = clock.monotonicMs() - startedAtMs;
      this.window.onJobEnd(durationMs);
      const settled = reads ? settlements.map(settlement => this.besideOthers(settlement)) : settlements;
      ended(settled, durationMs, limit.isOver);
    };
    const onCrash = (error: unknown) => {
      onOver();
      crashed(error);
    };
    if (handling) detached(() => runBatch(execution, { jobs, handling }, lease, limit)).then(onEnds, onCrash);
    else detached(() => runJob(execution, first, lease, limit)).then(end => onEnds([end]), onCrash);
  }

  /** How long one run may take. */
  private limitOfRun(): RunLimit {
    const { handlerTimeoutMs } = this.type;
    return handlerTimeoutMs > 0 ? new TimeLimit(this.context.clock, handlerTimeoutMs) : NO_LIMIT;
  }

  /** The end of a read: what runs alongside it ends later, and is not given back with it. */
  private besideOthers(settlement: Settlement): Settlement {
    return { ...settlement, beside: keepsPlace(settlement, this.type) ? this.keptIds : this.runningIds };
  }

  /** What is to be done about the batch that the next job begins. Jobs of a dead owner run one at a time. */
  batchStep(handling: BatchHandling, wake: () => void): BatchStep {
    const { ready } = this;
    const isReadable = ({ envelope }: FetchedJob) => this.execution.codecs.knows(envelope);
    this.collector ??= new BatchCollector(this.context.clock, isReadable);
    // One that this pod can't read has been left for long enough: it fails, and holds up no others.
    const [first] = ready;
    const isAlone = this.window.isRecovering || (first !== undefined && !isReadable(first));
    const max = isAlone ? 1 : handling.max;
    const step = this.collector.step(ready, { max, maxWaitMs: handling.maxWaitMs }, wake);
    if (typeof step === 'object' && 'fetch' in step && step.forMs > 0) this.reads?.onGathering();
    return step;
  }

  // ── ended ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Ends that the store has not confirmed, in their order. */
  get settled(): readonly Settlement[] {
    return [...this.unconfirmed.values()];
  }

  get isAllConfirmed(): boolean {
    return this.unconfirmed.size === 0;
  }

  /** Ends of one job, or of a batch. */
  trackEnds(settlements: readonly Settlement[]): void {
    const isBatch = settlements.length > 1;
    if (isBatch) this.batches++;
    for (const settlement of settlements) {
      this.unconfirmed.set(settlement.job.id, isBatch ? { ...settlement, batch: this.batches } : settlement);
    }
    if (settlements.some(settlement => keepsPlace(settlement, this.type))) this.raiseBarrier();
  }

  /** @param successors how many jobs came with the answer. */
  confirmed(settlements: readonly Settlement[], successors: number): void {
    for (const { job } of settlements) this.unconfirmed.delete(job.id);
    if (settlements.some(settlement => keepsPlace(settlement, this.type))) this.lowerBarrier();
    else if (successors > 0) this.window.onSuccessor();
  }

  confirmedAll(): void {
    this.unconfirmed.clear();
  }
}
