/**
 * How many jobs of one entity this pod asks the store for, and when more may wait there.
 *
 * Owns: how many handlers may run at once, the prefetch window, the batch that collects its jobs, and what is fetched alongside
 * shared reads.
 * Neighbours: `local-queue.ts` holds the jobs and runs them; `next-step.ts` and `store-calls.ts` send what is planned here.
 */
import type { BatchHandling } from '../handlers/batch-options.js';
import type { FetchedJob } from '../model/job.js';
import type { EntityTypeConfig } from '../options/config.js';
import type { Clock } from '../ports/clock.js';
import type { Fetched, Gathering } from '../ports/work.js';
import { BatchCollector, type BatchStep } from './batch-collector.js';
import { PrefetchWindow } from './prefetch-window.js';
import type { Runs } from './runs.js';
import { SharedReads } from './shared-reads.js';

/** What the plan reads of the local queue. */
export interface PlannedQueue {
  /** Fetched and not started. */
  readonly ready: readonly FetchedJob[];
  readonly isBarred: boolean;
  readonly runs: Runs;
}

export class FetchPlan {
  readonly window: PrefetchWindow;
  /** Only of a type that allows several reads at once. */
  readonly reads: SharedReads | undefined;
  /** Created with the first batch. */
  private collector: BatchCollector | undefined;
  /** How many handlers may run at once, unless jobs are recovered or reads run. */
  handlers: number;

  constructor(
    private readonly type: EntityTypeConfig,
    private readonly queue: PlannedQueue,
  ) {
    this.window = new PrefetchWindow(type.prefetch);
    this.handlers = type.handlersAtStart;
    if (type.maxReads > 1) this.reads = new SharedReads(type.maxReads);
  }

  /** How many handlers may run at once now. */
  get limit(): number {
    // guards: fetch-plan.limit
    if (this.window.isRecovering) return 1;
    return this.areReading ? this.type.maxReads : this.handlers;
  }

  get hasFreeHandler(): boolean {
    return this.queue.runs.count < this.limit;
  }

  get areReading(): boolean {
    return this.reads?.areRunning ?? false;
  }

  // ── what the store has ──────────────────────────────────────────────────────────────────────────────────────────

  /** A fetch asked for `askedFor` jobs and brought `brought`: fewer are all there were. */
  onFetched(askedFor: number, brought: number): void {
    this.collector?.onFetched(askedFor, brought);
    this.reads?.onFetched(askedFor, brought);
  }

  /** Jobs may wait in the store that the last fetch did not bring. */
  moreMayWait(): void {
    this.collector?.moreMayWait();
    this.reads?.moreMayWait();
  }

  /** This pod added a job. The add brings one job at most, so a batch that has stopped waiting may find more behind it. */
  onAdded({ jobs: { length: brought }, againInMs }: Fetched): void {
    if (brought === 0 || this.collector?.waitsFor === 0) this.collector?.moreMayWait();
    // guards: fetch-plan.onAdded
    if (brought === 0 && againInMs === undefined) this.reads?.moreMayWait();
  }

  /** The claim is a new one, or the responses under way are ignored. */
  reset(): void {
    this.collector?.close();
    this.reads?.forget();
  }

  // ── what is asked for ───────────────────────────────────────────────────────────────────────────────────────────

  /**
   * How many to fetch with the end of a run; one at most before it is known what is fetched. After a batch: the next one, which is
   * likely to be as large.
   */
  wanted(askedFor: number, batchMax?: number): number {
    const { ready, isBarred } = this.queue;
    if (isBarred) return 1;
    const wanted = this.window.wanted(ready.length, askedFor);
    if (batchMax === undefined || this.window.isRecovering) return wanted;
    return Math.max(wanted, this.window.ahead(batchMax) - ready.length - askedFor);
  }

  /** Whether a handler would stay free after all that is fetched and asked for has started. */
  lacks(askedFor: number): boolean {
    const { ready, runs } = this.queue;
    return !this.isReadBlocked && runs.count + ready.length + askedFor < this.limit;
  }

  /** An add brings a job while fewer are fetched: those that run, plus one for each free handler, or as many as a batch waits for. */
  get room(): number {
    const { runs } = this.queue;
    if (this.isReadBlocked) return runs.jobCount;
    return runs.jobCount + (this.collector?.waitsFor || this.limit - runs.count);
  }

  /** Reads run, and the next job must wait for their end: it is no read, or is being given back. */
  private get isReadBlocked(): boolean {
    // guards: fetch-plan.isReadBlocked
    return this.areReading && (this.queue.isBarred || this.queue.ready.length > 0);
  }

  /** Whether the store may have more reads for free handlers while reads run. */
  get seeksReads(): boolean {
    return this.reads?.areSought ?? false;
  }

  /** What a fetch asks for: by an idle worker, or for free handlers while reads run, with what other pods are told then. */
  toTake(askedFor: number): [count?: number, gathering?: Gathering] {
    if (!this.areReading) return [];
    return [Math.min(this.type.prefetch, this.limit - this.queue.runs.count - askedFor), this.reads?.onTake()];
  }

  // ── batches ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** No batch may start from what is fetched. */
  closeBatch(): void {
    this.collector?.close();
  }

  /** The next step of the batch that begins with the next job. Jobs of a dead owner run one at a time. */
  batchStep(handling: BatchHandling, clock: Clock, { isReadable, wake }: BatchCallbacks): BatchStep {
    const { ready } = this.queue;
    this.collector ??= new BatchCollector(clock, isReadable);
    // The grace of a job that this pod can't read is over: it fails on its own, and holds up no others.
    const [first] = ready;
    // guards: fetch-plan.batchStep
    const isAlone = this.window.isRecovering || (first !== undefined && !isReadable(first));
    const max = isAlone ? 1 : handling.max;
    const step = this.collector.step(ready, { max, maxWaitMs: handling.maxWaitMs }, wake);
    if (typeof step === 'object' && 'fetch' in step && step.forMs > 0) this.reads?.onGathering();
    return step;
  }
}

export interface BatchCallbacks {
  /** Whether this pod can read the payload of a job. */
  isReadable(job: FetchedJob): boolean;
  /** Called when the batch has waited for long enough. */
  wake(): void;
}
