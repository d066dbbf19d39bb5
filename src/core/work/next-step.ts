/**
 * What a worker does next. Each change of its tenure leads to `advance()`, which does what can be done now.
 *
 * Owns: the order in which things are looked at, and that nothing is done while the worker begins anew.
 * Neighbours: `store-calls.ts`, `resync.ts` and `release.ts` do what is decided here; `local-queue.ts` runs the jobs.
 *
 * A failure is looked at only when no handler runs, so a resync never finds one.
 */
import type { BatchHandling } from '../handlers/batch-options.js';
import { entityWord } from '../model/entity.js';
import { isInstance } from '../model/error-text.js';
import { messageOf, stackOf } from '../model/errors.js';
import type { FetchedJob, Settlement } from '../model/job.js';
import type { Claim } from '../ports/store.js';
import { type Lease, NotStarted } from '../run/lease.js';
import { lackFor } from '../run/run-job.js';
import { tellOfEnd, tellOfWorker } from './lifecycle-events.js';
import type { Leaving } from './release.js';
import { beginAnew } from './resync.js';
import type { WorkerRequests } from './store-calls.js';
import type { Tenure } from './worker-state.js';

/** The pause after what should not happen. */
const CRASH_PAUSE_MS = 1000;

export interface WorkerParts {
  readonly tenure: Tenure;
  readonly requests: WorkerRequests;
  readonly leaving: Leaving;
  /** The worker has ended; the entity is no longer worked here. */
  ended(): void;
}

export class WorkerSteps {
  private beginningAnew = false;
  private advancing = false;
  idleSinceMs = 0;

  constructor(private readonly parts: WorkerParts) {}

  /** Does what can be done now; called after whatever has changed. No promise of its own: a job costs few of them. */
  advance(): void {
    if (this.advancing) return;
    this.advancing = true;
    this.guarded(() => {
      while (!this.beginningAnew && this.step());
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
    const { tenure, requests, leaving } = this.parts;
    const { jobs, state } = tenure;
    if (state === 'ended') return false;
    if (state === 'lost' || tenure.failure || leaving.isToHandOver) return !jobs.isRunning && this.stop();
    if (tenure.recalled && tenure.claim && state !== 'releasing') requests.giveBack(tenure.claim);
    if (jobs.next && jobs.mayStart(jobs.next)) return this.startNext(jobs.next);
    if ((tenure.woken || jobs.seeksReads) && this.canFetch) requests.take(...jobs.toTake(tenure.answers.fetches));
    else if (tenure.answers.count > 0 || jobs.isRunning) return false;
    else if (tenure.claim) this.rest();
    // A wake-up while the look was under way may be of a job that it did not see.
    else if (tenure.woken && !tenure.leaving) requests.look();
    else this.end();
    return false;
  }

  /** What waits until no handler runs. */
  private stop(): boolean {
    const { tenure, leaving } = this.parts;
    if (tenure.state === 'lost') this.end();
    else if (tenure.failure) void this.beginAnew();
    else return leaving.handOver();
    return false;
  }

  /**
   * One after the other: only when nothing is owed that may bring a job. Several at once, as shared reads are: while there are
   * free handlers.
   */
  private get canFetch(): boolean {
    const { claim, state, answers, type, jobs } = this.parts.tenure;
    if (!claim || state === 'releasing') return false;
    return (answers.count === 0 || !type.isOrdered || jobs.areReading) && jobs.lacks(answers.fetches);
  }

  private startNext(job: FetchedJob): boolean {
    const { tenure, leaving } = this.parts;
    const { lease, context, entity } = tenure;
    if (!lease?.isValid()) {
      context.requestRenewal();
      return false;
    }
    const isLacking = lackFor(context.execution, entity, job) !== undefined;
    if (isLacking && !leaving.isOverdue(job)) return leaving.leave(lease.claim, job);
    tenure.enterState('working');
    const handling = job.mustFail === undefined ? context.execution.handlers.batchOf(entity, job.name) : undefined;
    if (handling) return this.nextOfBatch(lease, handling);
    tenure.jobs.start(job, lease, {
      ended: (settlement, durationMs, mayStillRun) =>
        this.guarded(() => {
          if (mayStillRun) tenure.spend(lease.claim);
          this.onJobEnd(lease.claim, settlement, durationMs);
        }),
      crashed: error => this.onCrash(error),
    });
    return true;
  }

  private onJobEnd(claim: Claim, settlement: Settlement, durationMs: number): void {
    const { tenure, requests } = this.parts;
    // Where the entity is lost, this end does not count.
    if (tenure.state !== 'lost') {
      tellOfEnd(tenure.context.events, claim, settlement, durationMs);
      requests.finish(claim, settlement);
    }
    this.advance();
  }

  /** The next job is of a batch, which starts, or waits for more. */
  private nextOfBatch(lease: Lease, handling: BatchHandling): boolean {
    const { tenure, requests } = this.parts;
    const { jobs, answers } = tenure;
    // The fetch that is under way may have come before what the wake-up tells of.
    if (tenure.woken && answers.fetches === 0) {
      tenure.woken = false;
      jobs.moreMayWait();
    }
    const step = jobs.batchStep(handling, () => this.advance());
    if (step === 'wait') return false;
    if ('fetch' in step) {
      // What is asked for already may be what the batch needs.
      if (answers.fetches > 0) return false;
      const { forMs } = step;
      requests.take(step.fetch, forMs > 0 ? { upTo: jobs.room, forMs } : undefined);
      return false;
    }
    jobs.startBatch({ size: step.start, handling }, lease, {
      ended: (settlements, durationMs, mayStillRun) =>
        this.guarded(() => {
          if (mayStillRun) tenure.spend(lease.claim);
          this.onBatchEnd(lease.claim, settlements, { durationMs, max: handling.max });
        }),
      crashed: error => this.onCrash(error),
    });
    return true;
  }

  private onBatchEnd(
    claim: Claim,
    settlements: readonly Settlement[],
    { durationMs, max }: { durationMs: number; max: number },
  ): void {
    const { tenure, requests } = this.parts;
    if (tenure.state !== 'lost') {
      for (const settlement of settlements) tellOfEnd(tenure.context.events, claim, settlement, durationMs);
      requests.finishAll(claim, settlements, max);
    }
    this.advance();
  }

  private rest(): void {
    const { tenure } = this.parts;
    if (tenure.state === 'idle') return;
    tenure.jobs.rest();
    this.idleSinceMs = tenure.context.clock.monotonicMs();
    tenure.enterState('idle');
    tellOfWorker(tenure.context.events, 'worker.idle', tenure.claim);
  }

  private async beginAnew(): Promise<void> {
    const { tenure, requests } = this.parts;
    this.beginningAnew = true;
    await beginAnew(tenure, requests);
    this.beginningAnew = false;
    this.advance();
  }

  /**
   * Nothing here throws, but for a job that was told not to start: beginning anew gives it back, and no try of it is counted. If
   * something else does after all, the entity must not stand still under a claim of ours.
   */
  private onCrash(error: unknown): void {
    const { tenure } = this.parts;
    const { log, clock } = tenure.context;
    if (isInstance(error, NotStarted)) {
      tenure.failure ??= error;
      this.advance();
      return;
    }
    log.error(`The worker of ${entityWord(tenure.entity)} failed, and begins anew: ${stackOf(error)}`);
    tenure.failure ??= new Error(messageOf(error));
    this.beginningAnew = true;
    clock.after(CRASH_PAUSE_MS, () => {
      this.beginningAnew = false;
      this.advance();
    });
  }

  private end(): void {
    const { tenure, requests, ended } = this.parts;
    tenure.enterState('ended');
    tenure.jobs.clear();
    requests.stop();
    ended();
  }
}
