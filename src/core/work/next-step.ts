/**
 * What a worker does next. Each change of its phase leads to `advance()`, which does what can be done now.
 *
 * Owns: the order in which things are looked at, and that nothing is done during a resync.
 * Neighbours: `store-calls.ts`, `resync.ts` and `release.ts` do what is decided here; `local-queue.ts` runs the jobs.
 *
 * A failure is looked at only when no handler runs, so a resync never finds one.
 */
import type { BatchHandling } from '../handlers/batch-options.js';
import type { Claim } from '../model/claim.js';
import { entityKey } from '../model/entity.js';
import { isInstance } from '../model/error-text.js';
import { messageOf, stackOf } from '../model/errors.js';
import type { FetchedJob, Settlement } from '../model/job.js';
import { NotStarted } from '../run/lease.js';
import { missingCapability } from '../run/run-job.js';
import { emitJobEnd, emitWorkerEvent } from './lifecycle-events.js';
import type { Release } from './release.js';
import { resync } from './resync.js';
import type { StoreCalls } from './store-calls.js';
import type { WorkerState } from './worker-state.js';

/** The pause after what should not happen. */
const CRASH_PAUSE_MS = 1000;

export interface WorkerParts {
  readonly state: WorkerState;
  readonly calls: StoreCalls;
  readonly release: Release;
  /** The worker has ended; the entity is no longer worked here. */
  ended(): void;
}

export class NextStep {
  private isResyncing = false;
  private advancing = false;

  constructor(private readonly parts: WorkerParts) {}

  /** Does what can be done now; called after every change. No promise of its own: a job costs few of them. */
  advance(): void {
    if (this.advancing) return;
    this.advancing = true;
    this.guarded(() => {
      while (!this.isResyncing && this.step());
    });
    this.advancing = false;
  }

  private guarded(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.onCrash(error);
    }
  }

  /** @returns whether there may be more to do at once. */
  private step(): boolean {
    const { state, calls, release } = this.parts;
    const { jobs, phase } = state;
    if (phase === 'ended') return false;
    // guards: next-step.step
    if (phase === 'lost' || state.failure || release.isToHandOver) return !jobs.isRunning && this.stop();
    if (state.isRecalled && state.claim && phase !== 'releasing') calls.giveBack(state.claim);
    if (jobs.next && jobs.mayStart(jobs.next)) return this.startNext(jobs.next);
    if ((state.mayHaveWork || jobs.plan.seeksReads) && this.canFetch)
      calls.take(...jobs.plan.toTake(state.responses.fetches));
    else if (state.responses.count > 0 || jobs.isRunning) return false;
    else if (state.claim) this.becomeIdle();
    // A wake-up while the look was under way may be of a job that it did not see.
    else if (state.mayHaveWork && !state.releaseReason) calls.tryClaim();
    else this.end();
    return false;
  }

  /** What waits until no handler runs. */
  private stop(): boolean {
    const { state, release } = this.parts;
    if (state.phase === 'lost') this.end();
    else if (state.failure) void this.resync();
    else return release.handOver();
    return false;
  }

  /**
   * One after the other: only when nothing is owed that may bring a job. Several at once, as shared reads are: while there are
   * free handlers.
   */
  private get canFetch(): boolean {
    const { claim, phase, responses, type, jobs } = this.parts.state;
    if (!claim || phase === 'releasing') return false;
    // guards: next-step.canFetch
    return (responses.count === 0 || !type.isOrdered || jobs.plan.areReading) && jobs.plan.lacks(responses.fetches);
  }

  private startNext(job: FetchedJob): boolean {
    const { state, release } = this.parts;
    const { lease, context, entity } = state;
    // guards: next-step.startNext
    if (!lease?.isValid()) {
      context.requestRenewal();
      return false;
    }
    const isLacking = missingCapability(context.execution, entity, job) !== undefined;
    if (isLacking && !release.isOverdue(job)) return release.defer(lease.claim, job);
    state.startJob();
    const handling = job.mustFail === undefined ? context.execution.handlers.batchOf(entity, job.name) : undefined;
    const size = handling ? this.sizeOfBatch(handling) : 1;
    if (size === 0) return false;
    state.jobs.start({ size, handling }, lease, {
      ended: (settlements, durationMs, mayStillRun) =>
        this.guarded(() => {
          if (mayStillRun) state.spend(lease.claim);
          this.onRunEnd(lease.claim, settlements, { durationMs, batchMax: handling?.max });
        }),
      crashed: error => this.onCrash(error),
    });
    return true;
  }

  private onRunEnd(
    claim: Claim,
    settlements: readonly Settlement[],
    { durationMs, batchMax }: { durationMs: number; batchMax: number | undefined },
  ): void {
    const { state, calls } = this.parts;
    // If the entity is lost, this end does not count.
    if (state.phase !== 'lost') {
      for (const settlement of settlements) emitJobEnd(state.context.events, claim, settlement, durationMs);
      calls.finish(claim, settlements, batchMax);
    }
    this.advance();
  }

  /** The next job is of a batch. @returns how many jobs start with it; 0 while it waits for more, which are fetched if need be. */
  private sizeOfBatch(handling: BatchHandling): number {
    const { state, calls } = this.parts;
    const { jobs, responses } = state;
    // The fetch that is under way may have come before what the wake-up tells of.
    // guards: next-step.sizeOfBatch
    if (state.mayHaveWork && responses.fetches === 0) {
      state.clearWork();
      jobs.plan.moreMayWait();
    }
    const step = jobs.batchStep(handling, () => this.advance());
    if (step === 'wait') return 0;
    if ('start' in step) return step.start;
    // What is asked for already may be what the batch needs.
    if (responses.fetches > 0) return 0;
    const { forMs } = step;
    calls.take(step.fetch, forMs > 0 ? { upTo: jobs.plan.room, forMs } : undefined);
    return 0;
  }

  private becomeIdle(): void {
    const { state } = this.parts;
    if (state.phase === 'idle') return;
    state.becomeIdle();
    emitWorkerEvent(state.context.events, 'worker.idle', state.claim);
  }

  private async resync(): Promise<void> {
    const { state, calls } = this.parts;
    this.isResyncing = true;
    try {
      await resync(state, calls);
    } catch (error) {
      return this.onCrash(error);
    }
    this.isResyncing = false;
    this.advance();
  }

  /**
   * Nothing here throws, but for a job that was told not to start: a resync gives it back, and no try of it is counted. If
   * something else does after all, the entity must not stand still under a claim of ours.
   */
  private onCrash(error: unknown): void {
    const { state } = this.parts;
    const { log, clock } = state.context;
    if (isInstance(error, NotStarted)) {
      state.fail(error);
      this.advance();
      return;
    }
    log.error(`The worker of ${entityKey(state.entity)} failed, and resyncs: ${stackOf(error)}`);
    state.fail(new Error(messageOf(error)));
    this.isResyncing = true;
    clock.after(CRASH_PAUSE_MS, () => {
      this.isResyncing = false;
      this.advance();
    });
  }

  private end(): void {
    const { state, calls, ended } = this.parts;
    state.end();
    calls.stop();
    ended();
  }
}
