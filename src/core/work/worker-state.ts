/**
 * A worker's hold on its entity, which the parts of the worker share: its phase, the claim and its lease, the jobs at hand,
 * the answers that are owed, and what was noted for the next step.
 *
 * Owns: the one setter of the state, and the loss of the claim.
 * Neighbours: `next-step.ts` decides what comes next, and each of `store-calls.ts`, `resync.ts` and `release.ts`
 * does one thing of it; `local-queue.ts` keeps and runs the jobs, `pending-responses.ts` keeps the answers in order.
 *
 * States: `claiming` (an answer that may bring the claim is owed) → `working` ⇄ `idle` → `releasing` → `ended`;
 * from each of them `lost` → `ended`. `lost` waits for the handlers that are running; while it does, no job of the entity
 * may start on this pod (I1).
 */
import { type EntityRef, entityKey } from '../model/entity.js';
import { StaleClaimError } from '../model/errors.js';
import type { EventSink } from '../model/events.js';
import type { FetchedJob } from '../model/job.js';
import type { EntityTypeConfig } from '../options/resolve.js';
import type { Claim, Clock, EntityStore, Log } from '../ports/store.js';
import { Lease, type Moment } from '../run/lease.js';
import type { JobExecution } from '../run/run-job.js';
import { emitWorkerEvent } from './lifecycle-events.js';
import { LocalQueue } from './local-queue.js';
import { PendingResponses } from './pending-responses.js';

export type WorkerPhase = 'claiming' | 'working' | 'idle' | 'releasing' | 'lost' | 'ended';

/** What a worker needs of its surroundings. */
export interface WorkerEnvironment {
  readonly store: EntityStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly leaseMs: number;
  readonly execution: JobExecution;
  readonly events: EventSink;
  /** A number that this pod has not used before. */
  nextEpoch(): number;
  /** Asks for a renewal now: the lease of a worker with work has run out. */
  requestRenewal(): void;
  /** The claim was lost, and the pod lives: the next renewal says so. */
  lost(claim: Claim): void;
  /** The next job has a name, or a codec, that this pod does not know; it was left for one that does. */
  deferred(worker: { readonly entity: EntityRef; readonly type: EntityTypeConfig }, job: FetchedJob): void;
}

export class WorkerState {
  private currentPhase: WorkerPhase = 'claiming';
  epoch: number;
  lease: Lease | undefined;
  readonly jobs: LocalQueue;
  readonly responses = new PendingResponses(failure => {
    this.failure ??= failure;
    this.advance();
  });
  /** An answer did not come, or can't be: the worker begins anew. */
  failure: Error | undefined;
  /** A person has paused the queue: what is fetched goes back. */
  recalled = false;
  /** Something may be waiting that no owed answer will bring. */
  woken = false;
  /** Why it gives the entity up: the pod shuts down, others wait for its room, or the next job is for other pods. */
  releaseReason: 'shutdown' | 'room' | 'unknown job' | undefined;
  /** The time of a run was over under this token, and what it has begun may still write under it. */
  private spentToken: string | undefined;

  /** @param advance does what can be done now; called after whatever has changed. */
  constructor(
    readonly entity: EntityRef,
    readonly type: EntityTypeConfig,
    readonly context: WorkerEnvironment,
    readonly advance: () => void,
  ) {
    this.epoch = context.nextEpoch();
    this.jobs = new LocalQueue(type, context);
  }

  get phase(): WorkerPhase {
    return this.currentPhase;
  }

  enterPhase(phase: WorkerPhase): void {
    this.currentPhase = phase;
  }

  get claim(): Claim | undefined {
    return this.lease?.claim;
  }

  /** The time of a run was over: nothing more starts under the token of its claim, also after a resync, which keeps it (race 39). */
  spend(claim: Claim): void {
    this.spentToken = claim.token;
  }

  /** The entity is to be given up, so that the next job runs under a newer token. */
  get isSpent(): boolean {
    return this.claim !== undefined && this.claim.token === this.spentToken;
  }

  get isToRelease(): boolean {
    return this.releaseReason !== undefined || this.isSpent;
  }

  beginLease(claim: Claim, sentAt: Moment): void {
    this.lease = new Lease(claim, this.context.clock, this.context.leaseMs, sentAt);
  }

  /** What is under way, and what is fetched, is nobody's from now on. */
  forgetResponses(): void {
    this.responses.forget();
    this.jobs.clear();
    this.woken = false;
  }

  /** The store says that `claim` is not the current one. An answer about an earlier claim of ours says nothing. */
  lose(claim: Claim): void {
    if (claim !== this.claim || this.currentPhase === 'releasing' || this.currentPhase === 'ended') return;
    this.enterPhase('lost');
    emitWorkerEvent(this.context.events, 'worker.lost', this.claim);
    this.context.lost(claim);
    this.jobs.clear();
    this.lease?.stop(new StaleClaimError(`This pod has lost ${entityKey(this.entity)}: stop, and write nothing more.`));
    for (const id of this.jobs.runningIds) {
      this.context.log.warn(
        `Lost ${entityKey(this.entity)} while job ${id} runs; its end will not count, and the new owner runs it again.`,
      );
    }
    this.advance();
  }
}
