/** What the owner of an entity does with its jobs: fetch, end, give back. Neighbour: `claims.ts` makes a pod the owner. */
import type { Claim } from '../model/claim.js';
import type { FetchedJob, Settlement } from '../model/job.js';

/** The response to a fetch: jobs in their order, and, if they are too few, when to ask again (in ms from now). */
export interface Fetched {
  readonly jobs: readonly FetchedJob[];
  readonly againInMs?: number;
  /** The rate limit of its type allows no more until then. */
  readonly isLimited?: boolean;
  /** It brings fewer jobs than asked for, since they are large: there may be more. */
  readonly isPartial?: boolean;
  /** The claim was dormant; this step has reactivated and renewed it. */
  readonly isReactivated?: boolean;
  /**
   * The owner must give back now: the queue was paused, or emptied, since the claim began or the last {@link Work.giveBack}, or the store
   * has fetched jobs that the owner may not know.
   */
  readonly isRecalled?: boolean;
}

/** A batch that waits for more jobs than are fetched, or shared reads that may have more alongside them. */
export interface Gathering {
  /** Maximum number of jobs of the entity that may be fetched. */
  readonly upTo: number;
  /** For how long; {@link WHILE_CLAIMED_MS} for as long as the claim lasts. */
  readonly forMs: number;
}

/** Longer than any claim, and in microseconds still a whole number that a store can write. */
export const WHILE_CLAIMED_MS = 1e12;

/** A role of the store: `store.ts` says what holds for every method. */
export interface Work {
  /**
   * Fetches up to `count` jobs, 1 by default, for a worker that is idle, gathers a batch, or runs shared reads.
   * @param gathering while fewer jobs than this are fetched, a producer that adds one calls this pod.
   */
  take(claim: Claim, count?: number, gathering?: Gathering): Promise<Fetched>;
  /**
   * Ends jobs that have run as one, in their order, and fetches up to `take` next ones: in one step, so that no crash ends a part of
   * them. Jobs that are done end first. A job that is retried goes back to the head of the queue if its type is ordered, before all
   * that was fetched. Then nothing is fetched before it is due: the response has all the jobs that are fetched. Several jobs go back
   * in their order, and are due with the first. A job that is gone, or no longer active, is no error.
   *
   * Rejects with `StoreRefusedError` if an older job has not ended: its end was refused, and this one would overtake it. The jobs that
   * a shared read has `alongside` it do not count, and are not given back with it. If a read comes back while another one that came back
   * holds the entity, it waits behind that one until both are due. If it has used up its attempts, it then fails.
   */
  finish(claim: Claim, settlements: readonly Settlement[], take: number): Promise<Fetched>;
  /**
   * Gives all that is fetched back to the head of the queue, in its order, except `kept`: jobs that have started, or have ended here.
   * If the operator has emptied the queue meanwhile, those jobs are removed instead. A recalled owner gets nothing new before this.
   */
  giveBack(claim: Claim, kept: readonly string[]): Promise<void>;
}
