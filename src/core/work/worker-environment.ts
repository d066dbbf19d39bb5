/**
 * The environment of a worker: the parts of the pod that it uses.
 *
 * Owns: the interface of a pod towards its workers.
 * Neighbours: `worker-manager.ts` provides it. The parts of a worker reach it through `worker-state.ts`.
 */
import type { Claim } from '../model/claim.js';
import type { EntityRef } from '../model/entity.js';
import type { EventSink } from '../model/events.js';
import type { FetchedJob } from '../model/job.js';
import type { EntityTypeConfig } from '../options/config.js';
import type { Claims } from '../ports/claims.js';
import type { Clock } from '../ports/clock.js';
import type { Intake } from '../ports/intake.js';
import type { Log } from '../ports/log.js';
import type { Work } from '../ports/work.js';
import type { JobExecution } from '../run/run-job.js';

export interface WorkerEnvironment {
  readonly store: Intake & Claims & Work;
  readonly clock: Clock;
  readonly log: Log;
  readonly leaseMs: number;
  readonly execution: JobExecution;
  readonly events: EventSink;
  /** Returns a number that this pod has not used before, so that a late call of an earlier claim is recognized (I3). */
  nextEpoch(): number;
  /** Asks for a renewal now: the lease has expired while the worker has work. */
  requestRenewal(): void;
  /** Reports a lost claim. The next renewal tells Redis that this pod lives, so the job that it ran has not killed it. */
  lost(claim: Claim): void;
  /** Reports that the worker has deferred its entity: this pod lacks the handler or the codec of the next job. */
  deferred(worker: { readonly entity: EntityRef; readonly type: EntityTypeConfig }, job: FetchedJob): void;
}
