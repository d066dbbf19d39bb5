/**
 * The plan of fetches: how many jobs of one entity this pod asks the store for, and whether more may wait there.
 *
 * Owns: the number of handlers that may run at once, the prefetch window, the batch that collects jobs, and the fetches for shared
 * reads.
 * Neighbours: `local-queue.ts` holds the jobs and runs them. `next-step.ts` and `store-calls.ts` send the fetches that this file plans.
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

/** The part of the local queue that the plan reads. */
export interface PlannedQueue {
  /** Jobs that are fetched and have not started. */
  readonly ready: readonly FetchedJob[];
  readonly isBarred: boolean;
  readonly runs: Runs;
}

export class FetchPlan {
  readonly window: PrefetchWindow;
  /** Undefined unless the type allows several reads at once. */
  readonly reads: SharedReads | undefined;
  /** Created with the first batch. */
  private collector: BatchCollector | undefined;
  /** Maximum number of handlers that run at once, except in recovery mode and while shared reads run. */
  handlers: number;

  constructor(
    private readonly type: EntityTypeConfig,
    private readonly queue: PlannedQueue,
  ) {
    this.window = new PrefetchWindow(type.prefetch);
    this.handlers = type.handlersAtStart;
    if (type.maxReads > 1) this.reads = new SharedReads(type.maxReads);
  }

  /** Maximum number of handlers that run at once now. */
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

  /** A fetch asked for `askedFor` jobs and brought `brought`. If it brought fewer, the store had no more. */
  onFetched(askedFor: number, brought: number): void {
    this.collector?.onFetched(askedFor, brought);
    this.reads?.onFetched(askedFor, brought);
  }

  /** The store may have jobs that the last fetch did not bring. */
  moreMayWait(): void {
    this.collector?.moreMayWait();
    this.reads?.moreMayWait();
  }

  /** This pod added a job. An add brings one job at most, so a batch that has stopped waiting may find more jobs in the store. */
  onAdded({ jobs: { length: brought }, againInMs }: Fetched): void {
    if (brought === 0 || this.collector?.waitsFor === 0) this.collector?.moreMayWait();
    // guards: fetch-plan.onAdded
    if (brought === 0 && againInMs === undefined) this.reads?.moreMayWait();
  }

  /** Forgets what is known of the store: the claim is a new one, or pending responses are ignored. */
  reset(): void {
    this.collector?.close();
    this.reads?.forget();
  }

  // ── what to fetch ───────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Number of jobs to fetch with the end of a run. Behind a start barrier it is one: the worker does not know yet which jobs it
   * keeps. After a batch it is the size of another batch, since the next one is probably as large.
   */
  wanted(askedFor: number, batchMax?: number): number {
    const { ready, isBarred } = this.queue;
    if (isBarred) return 1;
    const wanted = this.window.wanted(ready.length, askedFor);
    if (batchMax === undefined || this.window.isRecovering) return wanted;
    return Math.max(wanted, this.window.ahead(batchMax) - ready.length - askedFor);
  }

  /** Whether a handler would stay free after all fetched and requested jobs have started. */
  lacks(askedFor: number): boolean {
    const { ready, runs } = this.queue;
    return !this.isReadBlocked && runs.count + ready.length + askedFor < this.limit;
  }

  /**
   * Number of fetched jobs below which an add of this pod also fetches a job. It counts the running jobs, plus one for each free handler,
   * or plus the jobs that a batch waits for.
   */
  get fetchBelow(): number {
    const { runs } = this.queue;
    if (this.isReadBlocked) return runs.jobCount;
    return runs.jobCount + (this.collector?.waitsFor || this.limit - runs.count);
  }

  /** Whether shared reads run and the next job must wait for their end, since it is no read or is being given back. */
  private get isReadBlocked(): boolean {
    // guards: fetch-plan.isReadBlocked
    return this.areReading && (this.queue.isBarred || this.queue.ready.length > 0);
  }

  /** Whether shared reads run and the store may have more of them for the free handlers. */
  get seeksReads(): boolean {
    return this.reads?.areSought ?? false;
  }

  /** The arguments of a fetch: one job for an idle worker; while reads run, a job for each free handler and a note for other pods. */
  toTake(askedFor: number): [count?: number, gathering?: Gathering] {
    if (!this.areReading) return [];
    return [Math.min(this.type.prefetch, this.limit - this.queue.runs.count - askedFor), this.reads?.onTake()];
  }

  // ── batches ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Stops collecting: the store gives back the fetched jobs, so no batch may start from them. */
  closeBatch(): void {
    this.collector?.close();
  }

  /** Decides about the batch that begins with the next job. In recovery mode each batch has one job (race 7). */
  batchStep(handling: BatchHandling, clock: Clock, { isReadable, wake }: BatchCallbacks): BatchStep {
    const { ready } = this.queue;
    this.collector ??= new BatchCollector(clock, isReadable);
    // This pod can't read the job, and its `unknownJobGraceMs` has passed. It fails by itself, without the jobs behind it.
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
  /** Called when the batch has waited long enough. */
  wake(): void;
}
