/**
 * The next step of a worker. Each change of the worker's state leads to `advance()`, which takes all steps that are possible now.
 *
 * Owns: the order of the decisions, and the rule that a worker does nothing else during a resync.
 * Neighbours: `store-calls.ts`, `resync.ts` and `release.ts` carry out what this file decides. `local-queue.ts` runs the jobs.
 *
 * A worker resyncs only when none of its handlers runs (race 2).
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

/** Pause before the resync after a fault of this library. */
const CRASH_PAUSE_MS = 1000;

export interface WorkerParts {
  readonly state: WorkerState;
  readonly calls: StoreCalls;
  readonly release: Release;
  /** The worker has ended, and this pod no longer works the entity. */
  ended(): void;
}

export class NextStep {
  private isResyncing = false;
  /** After a crash nothing happens for a while. */
  private isPaused = false;
  private advancing = false;

  constructor(private readonly parts: WorkerParts) {}

  /** Takes all steps that are possible now. Called after every change. It is synchronous, since each promise adds to the cost of a job. */
  advance(): void {
    if (this.advancing) return;
    this.advancing = true;
    this.guarded(() => {
      while (!this.isResyncing && !this.isPaused && this.step());
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

  /** @returns whether another step may be possible at once. */
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
    // A wake-up that came during the last `tryClaim` may be about a job which that call did not see.
    else if (state.mayHaveWork && !state.releaseReason) calls.tryClaim();
    else this.end();
    return false;
  }

  /** Takes a step that must wait until no handler runs: it ends the worker, resyncs, or hands the entity over. */
  private stop(): boolean {
    const { state, release } = this.parts;
    if (state.phase === 'lost') this.end();
    else if (state.failure) void this.resync();
    else return release.handOver();
    return false;
  }

  /**
   * A worker that runs one job at a time fetches only when no response is pending, since that response may bring a job. One that runs
   * several at once, such as shared reads, fetches while handlers are free.
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
    // The end of a run under a lost claim does not count: the new owner runs the job again (I3).
    if (state.phase !== 'lost') {
      // guards: next-step.onRunEnd
      calls.finish(claim, settlements, batchMax);
      // Last: a listener may shut the pod down, which gives back every job whose end is not noted.
      for (const settlement of settlements) emitJobEnd(state.context.events, claim, settlement, durationMs);
    }
    this.advance();
  }

  /**
   * Decides about the batch that begins with the next job, and fetches more jobs for it if necessary.
   * @returns the number of jobs that start together, or 0 while the batch waits.
   */
  private sizeOfBatch(handling: BatchHandling): number {
    const { state, calls } = this.parts;
    const { jobs, responses } = state;
    // A fetch that is under way may have run before the job was added that the wake-up is about. So the wake-up stays noted.
    // guards: next-step.sizeOfBatch
    if (state.mayHaveWork && responses.fetches === 0) {
      state.clearWork();
      jobs.plan.moreMayWait();
    }
    const step = jobs.batchStep(handling, () => this.advance());
    if (step === 'wait') return 0;
    if ('start' in step) return step.start;
    // A pending fetch may bring the jobs that the batch needs.
    if (responses.fetches > 0) return 0;
    const { forMs } = step;
    calls.take(step.fetch, forMs > 0 ? { upTo: jobs.plan.fetchBelow, forMs } : undefined);
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
      this.onCrash(error);
    }
    this.isResyncing = false;
    this.advance();
  }

  /**
   * `NotStarted` is the one expected error: handlers were told to stop before the job had started. The resync gives the job back
   * without counting an attempt. Any other error is a fault of this library. The worker then resyncs, too: it must never leave its
   * entity claimed but idle (I7).
   */
  private onCrash(error: unknown): void {
    const { state } = this.parts;
    const { log } = state.context;
    if (isInstance(error, NotStarted)) {
      state.fail(error);
      this.advance();
      return;
    }
    // First, since a log may throw.
    state.fail(new Error(messageOf(error)));
    this.pause();
    log.error(
      `The worker of ${entityKey(state.entity)} failed unexpectedly. It resyncs in ${CRASH_PAUSE_MS} ms and then continues; no job is lost. Please report this error: ${stackOf(error)}`,
    );
  }

  private pause(): void {
    if (this.isPaused) return;
    this.isPaused = true;
    this.parts.state.context.clock.after(CRASH_PAUSE_MS, () => {
      this.isPaused = false;
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
