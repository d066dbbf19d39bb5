/**
 * What the core needs of the outside, and nothing else: a store of jobs and claims (one port, since the two share
 * atomic steps), handlers, a clock, a log. `store/redis` and `store/memory` implement the first, `nest` wires the rest.
 */

import type { EntityRef } from '../model/entity.js';
import type { FetchedJob, NewJob, Settlement } from '../model/job.js';
import type { Hosts } from './hosts.js';
import type { DeadLetters, EntityControl, Schedules } from './operator.js';
import type { Replies } from './replies.js';

/** A pod's right to work an entity. Every step that touches the entity's jobs carries it and is refused when it is stale (I3). */
export interface Claim {
  readonly entity: EntityRef;
  /** The fencing token: grows with each new owner (I4). A decimal number of microseconds, as text. */
  readonly token: string;
  /** Chosen by the owner, and grows with each new start of it: makes its own late calls stale. */
  readonly epoch: number;
}

/** A job of a flow on its way in. */
export interface FlowJob {
  readonly job: NewJob;
  readonly hint: IntakeHint;
  /** What comes after the id of the flow in the job's id; '' for the root. */
  readonly path: string;
  /** The position of its parent in the flow; none for the root, which is the first. */
  readonly parent: number | undefined;
  /** It has children, and waits until all of them have ended. */
  readonly isParent: boolean;
}

/** Jobs of which some run after others: parents come before their children, and children of one entity in their order. */
export interface NewFlow {
  /** The id of its root. */
  readonly id: string;
  readonly jobs: readonly FlowJob[];
}

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

/** The answer to a claim that was granted. */
export interface Claimed extends Fetched {
  readonly claim: Claim;
  /** How many jobs a dead owner had fetched; until they are through, one is fetched at a time and its end awaited. */
  readonly recovered: number;
}

/** A batch that waits for more jobs than are fetched, or shared reads that may have more beside them. */
export interface Gathering {
  /** So many jobs of the entity may be fetched. */
  readonly upTo: number;
  /** {@link WHILE_CLAIMED_MS} for as long as the claim. */
  readonly forMs: number;
}

/** Longer than any claim, and still a number of microseconds that a store can write. */
export const WHILE_CLAIMED_MS = 1e12;

/** Why a look did not end in a claim. */
export type Passed =
  /** another pod works it */
  | 'owned'
  /** nothing to do, or nothing yet: the store remembers when to look again */
  | 'later'
  /** paused by a person */
  | 'paused';

/** Where an enqueued job went. */
export type IntakeResult = { readonly jobId: string } & (
  | { readonly route: 'local'; readonly fetched: Fetched }
  | { readonly route: 'claimed'; readonly claimed: Claimed }
  /** Redis says that this pod owns the entity, under a claim that it does not know: an answer was lost (race 26). */
  | { readonly route: 'unknown-claim' /** What was fetched with it is not known here. */; readonly why?: string }
  /** `parent`: it waits for its children. */
  | { readonly route: 'remote' | 'unowned' | 'delayed' | 'parent' }
);

/** What a pod knows of an entity when it enqueues. A hint: the store decides (I1). */
export type IntakeHint =
  /** Fetch if this epoch is the current claim's; claim under it if nobody owns the entity and `mayClaim` says so. */
  | {
      readonly epoch: number;
      readonly mayClaim: boolean;
      /** How many jobs this pod runs of the entity at once: it fetches while fewer are active. */
      readonly atOnce: number;
    }
  /** This pod does not work the entity. */
  | 'route-only';

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
  /** Whether it has room for more of them; otherwise nobody calls it. */
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

/** One step of a search through all queues. */
export interface Discovered {
  /** Where the search goes on; nothing when it is over, or another pod has searched within the interval. */
  readonly next?: string;
  /** How many entities were found that have work and were in no books. */
  readonly found: number;
}

export type ReleaseMode = 'idle' | 'hand-over' | 'give-way';

/**
 * Jobs and claims of entities. Every method is one atomic step of the store.
 * Calls take effect in the order they are made, and the promises they return settle in that order.
 * A guarded call (one that takes a {@link Claim}) rejects with `StaleClaimError` and changes nothing when the claim is
 * no longer the current one, whatever its lease says.
 */
export interface EntityStore {
  /** Resolves once the store is connected (calls made before wait for that, with a deadline). Rejects on wrong credentials. `onUnreachable` is told of each attempt that failed and is repeated. */
  start(onUnreachable?: (reason: string) => void): Promise<void>;
  /** Name of the entity's BullMQ queue. */
  queueName(entity: EntityRef): string;
  /**
   * Adds a job and routes it, in one step on every path. Rejects with `BacklogFullError` where the entity has as many as its
   * type allows.
   */
  add(job: NewJob, hint: IntakeHint): Promise<IntakeResult>;
  /**
   * As many enters, in one step: where one entity has no room for its jobs, none is added, and all reject with
   * `BacklogFullError`. What is wrong with one job otherwise is its own matter. Never throws.
   */
  addAll(jobs: readonly (readonly [NewJob, IntakeHint])[]): readonly Promise<IntakeResult>[];
  /**
   * Adds all jobs of a flow and routes those that wait for nobody, in one step; or none, and all reject with the same error:
   * `BacklogFullError`, `InvalidOptionError` where an id is taken. Where the root is known already, by its id or its idempotency
   * key, nothing is added, and the ids are those of the first time. Never throws.
   *
   * When a job ends for good, or is removed, its parent is told in the same step. One whose last child has ended joins the end
   * of its entity's queue, and whoever works that is called (I7). An end that comes twice counts once.
   */
  addFlow(flow: NewFlow): readonly Promise<IntakeResult>[];
  /** Claims the entity if it has work and nobody owns it, or sees to it that it is looked at when there is a reason. */
  tryClaim(entity: EntityRef, claimWith: number): Promise<Claimed | Passed>;
  /** As a look of a pod that has no room: whether there is something to claim. */
  peek(entity: EntityRef): Promise<Passed | 'waiting'>;
  /**
   * The holder begins anew under a new epoch: finishes what is settled, gives back the rest, fetches one job, and makes
   * all its earlier calls stale. Refused when the entity has had another owner since.
   */
  resync(claim: Claim, epoch: number, settled: readonly Settlement[]): Promise<Claimed>;
  /**
   * Fetches up to `count` jobs, 1 by default, for a worker that is idle, gathers a batch, or runs shared reads.
   * @param gathering whoever adds a job meanwhile calls this pod while fewer jobs than that are fetched.
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
   * Where a person has emptied the queue meanwhile, it is removed. Before that a recalled owner is given nothing new.
   */
  giveBack(claim: Claim, kept: readonly string[]): Promise<void>;
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
  /** Entities of a type whose time to be looked at has come, the longest overdue first, from a position on. */
  due(type: string, from: number, limit: number): Promise<EntityRef[]>;
  /** What a person does to one entity. */
  readonly control: EntityControl;
  readonly deadLetters: DeadLetters;
  readonly schedules: Schedules;
  readonly replies: Replies;
  /** Which types live pods work. */
  readonly hosts: Hosts;
  /**
   * Waits for wake-ups of this pod, and for requests for a worker of `types`; empty when none came within the store's own
   * bound.
   */
  wakeUps(types: readonly string[]): Promise<WakeUp[]>;
  /** Asks any pod that has room to look at the entity: one that waits gets the request, or the first that has room again. */
  requestWorker(entity: EntityRef): Promise<void>;
  /** How many jobs of each entity wait or run. */
  backlogs(entities: readonly EntityRef[]): Promise<number[]>;
  /**
   * Searches a part of all queues for work that came past this library (race 10), and enters what it finds into the books.
   * @param from where the last step ended; without it a search begins, unless a pod has begun one within `intervalMs`.
   */
  /**
   * Goes on with what a pod that is gone had begun: a page of the jobs that were dropped, and of the entities of types that were
   * resumed. @returns whether there is more.
   */
  leftovers(types: readonly string[]): Promise<boolean>;
  discover(types: readonly string[], intervalMs: number, from?: string): Promise<Discovered>;
  /** True when answers are owed on the command connection and none at all has come for `ms`. */
  isSilentFor(ms: number): boolean;
  /**
   * Handlers have not ended in time: what they still ask for is answered, and their claims are renewed, but from now on the store
   * keeps the process alive only while an answer is owed. Neither wake-ups nor answers come any more.
   */
  linger(): void;
  close(): Promise<void>;
}

/** An entity that this pod should look at. */
export interface WakeUp extends EntityRef {
  /** Its queue was paused, or emptied: what its owner has fetched and not started is to be given back. */
  readonly isRecall?: true;
}

/** Above it, a timer of Node fires at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/** A cancellable timer. */
export interface Timer {
  cancel(): void;
}

/** Time. Two clocks, since a suspended machine stops one and a person sets the other. */
export interface Clock {
  /** Milliseconds since some fixed moment; never goes back. */
  monotonicMs(): number;
  /** Milliseconds since 1970, as the machine believes. */
  wallMs(): number;
  /** Runs `callback` once after `ms`; does not keep the process alive. */
  after(ms: number, callback: () => void): Timer;
}

/** A log. Never given a payload or a secret. */
export interface Log {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}
