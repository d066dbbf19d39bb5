/** What the owner of an entity does with its jobs: fetch, end, give back. Neighbour: `claims.ts` makes a pod the owner. */
import type { Claim } from '../model/claim.js';
import type { FetchedJob, Settlement } from '../model/job.js';

/** The answer to a fetch: jobs in their order, and, when it found too few, when to ask again (ms from now). */
export interface Fetched {
  readonly jobs: readonly FetchedJob[];
  readonly againInMs?: number;
  /** The rate of its type allows no more until then. */
  readonly isLimited?: boolean;
  /** It has ended before what was asked for, since the jobs are large: there may be more. */
  readonly isPartial?: boolean;
  /** The claim has rested; this step has reactivated and renewed it. */
  readonly isReactivated?: boolean;
  /** The queue was paused, or emptied, since the claim began or the last {@link EntityStore.giveBack}: that is to be done now. */
  readonly isRecalled?: boolean;
}

/** A batch that waits for more jobs than are fetched, or shared reads that may have more alongside them. */
export interface Gathering {
  /** So many jobs of the entity may be fetched. */
  readonly upTo: number;
  /** {@link WHILE_CLAIMED_MS} for as long as the claim. */
  readonly forMs: number;
}

/** Longer than any claim, and still a number of microseconds that a store can write. */
export const WHILE_CLAIMED_MS = 1e12;

/** A role of the store: `store.ts` says what holds for every method. */
export interface Work {
  /**
   * Fetches up to `count` jobs, 1 by default, for a worker that is idle, gathers a batch, or runs shared reads.
   * @param gathering a producer that adds a job meanwhile calls this pod while fewer jobs than that are fetched.
   */
  take(claim: Claim, count?: number, gathering?: Gathering): Promise<Fetched>;
  /**
   * Ends jobs that have run as one, in their order, and fetches up to `take` next ones: in one step, so that no crash ends a part of
   * them. Those that end for good do so first. One that is to be tried again goes, if the type keeps its order, back to the head of
   * the queue, before all that was fetched, and nothing is fetched before its time has come: what the response brings is all that is
   * fetched then. Several go back in their order, and the time is that of the first. A job that is gone, or no longer active, is its
   * own matter: no error.
   * Rejects with `StoreRefusedError` when an older job has not ended: its end was refused, and this one would overtake it. Those
   * that a shared read has `beside` it don't count, and are not given back with it. A read that comes back while another one has,
   * and still holds the entity, waits behind that, until both their times have come; having used up its tries, it then fails.
   */
  finish(claim: Claim, settlements: readonly Settlement[], take: number): Promise<Fetched>;
  /**
   * Gives all that is fetched back to the head of the queue, in its order, but `kept`: what has started, or has ended here.
   * If the operator has emptied the queue meanwhile, it is removed. Before that a recalled owner is given nothing new.
   */
  giveBack(claim: Claim, kept: readonly string[]): Promise<void>;
}
