/** Which pod works an entity: how a pod becomes its owner, stays it, and gives it up. Neighbour: `work.ts` is what an owner does. */
import type { Claim } from '../model/claim.js';
import type { EntityRef } from '../model/entity.js';
import type { FetchedJob, Settlement } from '../model/job.js';
import type { Fetched } from './work.js';

/** The response to a claim that was granted. */
export interface Claimed extends Fetched {
  readonly claim: Claim;
  /** How many jobs a dead owner had fetched. Until they have ended, the new owner fetches one at a time and waits for its end. */
  readonly recovered: number;
}

/** Why an entity was not claimed. */
export type Passed =
  /** another pod works it */
  | 'owned'
  /** nothing to do, or nothing yet: the store schedules the next inspection */
  | 'later'
  /** paused by the operator */
  | 'paused';

/** One claim in a renewal. */
export interface Renewal {
  readonly claim: Claim;
  readonly idle: boolean;
  /** The jobs that are running. Their locks in the store are renewed. */
  readonly runningJobIds?: readonly string[];
  /** Jobs that have run for a second or longer, the first 16. The status of the entity shows them. */
  readonly longRuns?: readonly LongRun[];
}

/** A job that runs for long. */
export interface LongRun {
  readonly jobId: string;
  /** In ms since 1970, by the clock of its pod. */
  readonly startedAtMs: number;
}

/** What a pod announces of itself with each renewal. */
export interface PodState {
  /** Entity types that it works. */
  readonly types: readonly string[];
  /** Whether it has capacity for more of them. Other pods call it only then. */
  readonly takesMore: boolean;
  /** How many entities it works. */
  readonly workers: number;
}

/** The response to a renewal. Positions are those of the request. */
export interface Renewed {
  readonly lost: readonly number[];
  /** Idle claims whose queue has work. */
  readonly kicked: readonly number[];
  /**
   * Idle claims whose queue is empty. While this pod is heard, they last `DORMANT_LEASES` leases without a renewal of their own, or
   * until an `add` or a `take` reactivates them.
   */
  readonly dormant: readonly number[];
  /** Whether this pod had renewed within a lease before. If not, other pods may have taken its dormant claims. */
  readonly wasHeard: boolean;
  /** For each type in the request: the load of the pods with capacity for it, this one included if it has capacity. */
  readonly loads: readonly TypeLoad[];
}

/** The load of the pods with capacity for a type. */
export interface TypeLoad {
  readonly pods: number;
  /** How many entities they work, of any type. */
  readonly workers: number;
}

export type ReleaseMode = 'idle' | 'hand-over' | 'give-way';

/** A role of the store: `store.ts` says what holds for every method. */
export interface Claims {
  /** Claims the entity if it has work and no owner, or schedules its inspection if there is a reason. */
  tryClaim(entity: EntityRef, claimWith: number): Promise<Claimed | Passed>;
  /** As {@link tryClaim} by a pod without capacity: whether there is something to claim. */
  peek(entity: EntityRef): Promise<Passed | 'waiting'>;
  /**
   * The owner starts again under a new epoch: finishes what is settled, gives back the rest, fetches one job, and makes all its
   * earlier calls stale. Refused if the entity has had another owner since.
   */
  resync(claim: Claim, epoch: number, settled: readonly Settlement[]): Promise<Claimed>;
  /**
   * `'idle'`: gives the claim up if there is nothing to do.
   * `'hand-over'`: gives back what was fetched, gives up the claim and calls another pod, or requests one.
   * `'give-way'`: as a hand-over, but requests no pod: if none has capacity, entities that wait longer come first.
   * @returns whether the claim was given up.
   */
  release(claim: Claim, mode: ReleaseMode): Promise<boolean>;
  /**
   * Leaves the entity to pods that know the name of `job`, its next one: gives everything back and gives up the claim. Does nothing
   * once the job has been left for longer than `graceMs`.
   * @returns whether the entity was left.
   */
  defer(claim: Claim, job: FetchedJob, graceMs: number): Promise<boolean>;
  /**
   * Renews claims, on a connection that no other traffic delays, and announces this pod to the others. The caller puts a lost claim
   * into one more renewal: since the pod is heard, the job that it ran has not killed it, and has not stalled.
   */
  renew(renewals: readonly Renewal[], pod: PodState): Promise<Renewed>;
}
