/**
 * What the worker of one entity gets from its pod.
 * Neighbours: `worker-manager.ts` provides it; the parts of the worker reach it through `worker-state.ts`.
 */
import type { Claim } from '../model/claim.js';
import type { EntityRef } from '../model/entity.js';
import type { EventSink } from '../model/events.js';
import type { FetchedJob } from '../model/job.js';
import type { EntityTypeConfig } from '../options/config.js';
import type { Clock } from '../ports/clock.js';
import type { Log } from '../ports/log.js';
import type { EntityStore } from '../ports/store.js';
import type { JobExecution } from '../run/run-job.js';

export interface WorkerEnvironment {
  readonly store: EntityStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly leaseMs: number;
  readonly execution: JobExecution;
  readonly events: EventSink;
  /** A number that this pod has not used before (I4). */
  nextEpoch(): number;
  /** Asks for a renewal now: the lease ran out while the worker has work. */
  requestRenewal(): void;
  /** Reports that the claim is lost while this pod lives: the next renewal says so. */
  lost(claim: Claim): void;
  /** Reports that the next job needs a handler or a codec that this pod lacks, and was left to other pods. */
  deferred(worker: { readonly entity: EntityRef; readonly type: EntityTypeConfig }, job: FetchedJob): void;
}
