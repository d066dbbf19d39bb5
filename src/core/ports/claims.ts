/** Which pod works an entity: how it becomes the owner, stays it, and ceases to be it. Neighbour: `work.ts` is what an owner does. */
import type { Claim } from '../model/claim.js';
import type { EntityRef } from '../model/entity.js';
import type { FetchedJob, Settlement } from '../model/job.js';
import type { Fetched } from './work.js';

/** The answer to a claim that was granted. */
export interface Claimed extends Fetched {
  readonly claim: Claim;
  /** How many jobs a dead owner had fetched; until they are through, one is fetched at a time and its end awaited. */
  readonly recovered: number;
}

/** Why a look did not end in a claim. */
export type Passed =
  /** another pod works it */
  | 'owned'
  /** nothing to do, or nothing yet: the store remembers when to look again */
  | 'later'
  /** paused by the operator */
  | 'paused';

/** One claim in a renewal. */
export interface Renewal {
  readonly claim: Claim;
  readonly idle: boolean;
  /** The jobs that are running, whose locks in the store are kept alive. */
  readonly runningJobIds?: readonly string[];
  /** Those that have run for a second or longer, the first 16; the status of the entity shows them. */
  readonly longRuns?: readonly LongRun[];
}

/** A job that runs for long. */
export interface LongRun {
  readonly jobId: string;
  /** In ms since 1970, by the clock of its pod. */
  readonly startedAtMs: number;
}

/** What a pod says of itself with each renewal. */
export interface PodState {
  /** Entity types that it works. */
  readonly types: readonly string[];
  /** Whether it has room for more of them; otherwise no pod calls it. */
  readonly takesMore: boolean;
  /** How many entities it works. */
  readonly workers: number;
}

/** The answer to a renewal; positions are those of the request. */
export interface Renewed {
  readonly lost: readonly number[];
  /** Idle ones whose queue has something to do. */
  readonly kicked: readonly number[];
  /**
   * Idle ones whose queue is empty: while this pod is heard they last `REST_LEASES`, without a renewal of their own, or until
   * an `enter` or a `take` of theirs reactivates them.
   */
  readonly dormant: readonly number[];
  /** Whether another renewal of this pod was made within a lease before; else others may have taken what rested. */
  readonly wasHeard: boolean;
  /** For each type in the request: the pods that take more of it, this one among them if it does. */
  readonly loads: readonly TypeLoad[];
}

/** How much the pods that take more entities of a type have to do. */
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
  /** As a look of a pod that has no room: whether there is something to claim. */
  peek(entity: EntityRef): Promise<Passed | 'waiting'>;
  /**
   * The owner resyncs under a new epoch: finishes what is settled, gives back the rest, fetches one job, and makes
   * all its earlier calls stale. Refused when the entity has had another owner since.
   */
  resync(claim: Claim, epoch: number, settled: readonly Settlement[]): Promise<Claimed>;
  /**
   * `'idle'`: gives the claim up if there is nothing to do; answers whether it did.
   * `'hand-over'`: gives back what was fetched, gives up the claim and calls another pod, or asks for one.
   * `'give-way'`: as a hand-over; but where no other pod has room, what waits longer comes first.
   */
  release(claim: Claim, mode: ReleaseMode): Promise<boolean>;
  /**
   * Leaves the entity to pods that know the name of `job`, which is the next: gives everything back and gives up the
   * claim. Refused, without an error, once the job has been left for longer than `graceMs`: answers whether it was left.
   */
  defer(claim: Claim, job: FetchedJob, graceMs: number): Promise<boolean>;
  /**
   * Renews claims, on a connection that no other traffic delays, and tells others of this pod. A claim that was lost belongs
   * into one more renewal: that the pod is heard shows that the job it ran has not killed it, so the job has not stalled.
   */
  renew(renewals: readonly Renewal[], pod: PodState): Promise<Renewed>;
}
