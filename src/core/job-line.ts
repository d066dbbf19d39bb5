/**
 * The jobs of one entity on this pod, in their order: fetched and not started, running, ended and not confirmed.
 *
 * Owns: how many run at once (one, unless the type gives up order), and through `window.ts` how many are fetched ahead.
 * Neighbours: `entity-worker.ts` owns the claim and says what may be done now; `job-execution.ts` runs a job.
 */
import { entityWord } from './entity.js';
import type { EventSink } from './events.js';
import { type JobExecution, runJob, type TypedExecution } from './job-execution.js';
import type { Lease } from './lease.js';
import { tellOfJob } from './news.js';
import type { EntityTypeConfig } from './options.js';
import type { Clock, FetchedJob, Settlement } from './ports.js';
import { PrefetchWindow } from './window.js';

export interface JobSurroundings {
  readonly clock: Clock;
  readonly execution: JobExecution;
  readonly events: EventSink;
}

export interface JobEnd {
  ended(settlement: Settlement, durationMs: number): void;
  /** Never, if all is well: a handler that throws has ended. */
  crashed(error: unknown): void;
}

export class JobLine {
  private ready: FetchedJob[] = [];
  /** How many answers are owed before which nothing starts: the store gives back what is fetched until then. */
  private halts = 0;
  /** By id, since when. */
  private readonly running = new Map<string, number>();
  private readonly unconfirmed = new Map<string, Settlement>();
  private readonly window: PrefetchWindow;
  private readonly execution: TypedExecution;
  /** How many handlers may run at once. */
  handlers: number;

  constructor(
    private readonly type: EntityTypeConfig,
    private readonly context: JobSurroundings,
  ) {
    this.window = new PrefetchWindow(type.prefetch);
    this.execution = { ...context.execution, type };
    this.handlers = type.handlersAtStart;
  }

  // ── fetched ─────────────────────────────────────────────────────────────────────────────────────────────────────

  get next(): FetchedJob | undefined {
    return this.isHalted ? undefined : this.ready[0];
  }

  add(jobs: readonly FetchedJob[]): void {
    this.ready.push(...jobs);
  }

  /** What is fetched is given back by the store, and what is owed is nobody's. */
  clear(): void {
    this.ready = [];
    this.halts = 0;
  }

  get isHalted(): boolean {
    return this.halts > 0;
  }

  /** The store is asked to give back what is fetched: nothing of it starts any more. */
  halt(): void {
    this.halts++;
  }

  /** It has answered: what came before is given back, but `kept`, which may have been fetched again. */
  goOn(kept: readonly string[] = []): void {
    this.halts--;
    this.ready = this.ready.filter(({ id }) => kept.includes(id));
    this.window.reset();
  }

  /** Jobs that the store must not give back: those that run here, or have ended and are not confirmed. */
  get keptIds(): readonly string[] {
    return [...this.unconfirmed.keys(), ...this.running.keys()];
  }

  /** Jobs of a dead owner: they run one at a time until they are through, so that one that kills its pod is alone next time. */
  beCareful(jobs: number): void {
    this.window.beCareful(jobs);
  }

  /** How many to fetch with the end of a job; no more than one before it is known what is fetched. */
  wanted(askedFor: number): number {
    return this.isHalted ? 1 : this.window.wanted(this.ready.length, askedFor);
  }

  /** Whether a handler would be free for one more than what is at hand and asked for. */
  lacks(askedFor: number): boolean {
    return this.running.size + this.ready.length + askedFor < this.limit;
  }

  rest(): void {
    this.window.reset();
  }

  // ── running ─────────────────────────────────────────────────────────────────────────────────────────────────────

  get isRunning(): boolean {
    return this.running.size > 0;
  }

  get runningIds(): readonly string[] {
    return [...this.running.keys()];
  }

  /** For how long the handler has run that began first. */
  get longestRunMs(): number {
    const [first] = this.running.values();
    return first === undefined ? 0 : this.context.clock.monotonicMs() - first;
  }

  get hasFreeHandler(): boolean {
    return this.running.size < this.limit;
  }

  /** How many jobs may run at once now. */
  get limit(): number {
    return this.window.isCareful ? 1 : this.handlers;
  }

  /** Starts the next job, under a lease that is valid. */
  start(job: FetchedJob, lease: Lease, { ended, crashed }: JobEnd): void {
    const { clock, events } = this.context;
    this.ready.shift();
    const startedAtMs = clock.monotonicMs();
    this.running.set(job.id, startedAtMs);
    tellOfJob(events, 'job.started', lease.claim, job);
    runJob(this.execution, job, lease).then(
      end => {
        const settlement = this.settle(end, lease);
        this.running.delete(job.id);
        const durationMs = clock.monotonicMs() - startedAtMs;
        this.window.onJobEnd(durationMs);
        ended(settlement, durationMs);
      },
      error => {
        this.running.delete(job.id);
        crashed(error);
      },
    );
  }

  /** A job that has used up its tries becomes what its type says, unless a person has given it up. */
  private settle({ job, outcome }: Settlement, { claim }: Lease): Settlement {
    const { onExhausted } = this.type;
    if (outcome.kind !== 'failed' || onExhausted === 'skip' || job.isSkipped) return { job, outcome };
    if (onExhausted === 'deadLetter') return { job, outcome: { ...outcome, kind: 'dead' } };
    this.context.execution.log.warn(
      `Job ${job.id} ("${job.name}") has used up its tries, and blocks ${entityWord(claim.entity)} until somebody decides: EntityQueues.of(…), retryBlocked(), skipBlocked() or dropBlocked().`,
    );
    return { job, outcome: { ...outcome, kind: 'blocked' } };
  }

  // ── ended ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Ends that the store has not confirmed, in their order. */
  get settled(): readonly Settlement[] {
    return [...this.unconfirmed.values()];
  }

  get isAllConfirmed(): boolean {
    return this.unconfirmed.size === 0;
  }

  expectConfirmation(settlement: Settlement): void {
    this.unconfirmed.set(settlement.job.id, settlement);
    if (this.keepsPlace(settlement)) this.halt();
  }

  /** @param successors how many jobs came with the answer. */
  confirmed(settlement: Settlement, successors: number): void {
    this.unconfirmed.delete(settlement.job.id);
    if (this.keepsPlace(settlement)) {
      this.goOn();
    } else if (successors > 0) {
      this.window.onSuccessor();
    }
  }

  /** Whether the job is the next one again, and what was fetched after it is given back (I6, race 6). */
  private keepsPlace({ outcome }: Settlement): boolean {
    return outcome.kind === 'blocked' || (outcome.kind === 'retrying' && this.type.ordering === 'strict');
  }

  confirmedAll(): void {
    this.unconfirmed.clear();
  }
}
