/**
 * What the core needs of the outside, and nothing else: a store of jobs and claims (one port, since the two share
 * atomic steps), handlers, a clock, a log. `store/redis` and `store/memory` implement the first, `nest` wires the rest.
 */
import type { Answer, Thrown } from './answer.js';
import type { EntityRef } from './entity.js';
import type { ChildRef, ContextValues, Envelope } from './envelope.js';
import type { Schedule } from './schedule.js';

/** A pod's right to work an entity. Every step that touches the entity's jobs carries it and is refused when it is stale (I3). */
export interface Claim {
  readonly entity: EntityRef;
  /** The fencing token: grows with each new owner (I4). A decimal number of microseconds, as text. */
  readonly token: string;
  /** Chosen by the owner, and grows with each new start of it: makes its own late calls stale. */
  readonly epoch: number;
}

/** Options of one job: those of BullMQ. The store knows which it supports. */
export type JobOptions = Readonly<Record<string, unknown>>;

/** A job on its way in. */
export interface NewJob {
  readonly entity: EntityRef;
  readonly name: string;
  /** The payload as JSON text, as the codec that the envelope names has written it. */
  readonly data: string;
  readonly options: JobOptions;
  readonly envelope?: Envelope;
}

/** A job of a flow on its way in. */
export interface FlowJob {
  readonly job: NewJob;
  readonly hint: EnterHint;
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

/** A job that this pod has fetched and may run once its turn has come. */
export interface FetchedJob {
  readonly id: string;
  readonly name: string;
  /** As its codec has written it. */
  readonly data: unknown;
  /** Which start of this job this is, from 1. */
  readonly attempt: number;
  /** How many tries have failed so far; a start whose pod died is none. */
  readonly attemptsMade: number;
  readonly options: JobOptions;
  readonly envelope: Envelope;
  /** A person has given it up: it fails whatever its type does with jobs that have used up their tries. */
  readonly isSkipped?: boolean;
  /** Set when the job must not run but fail with this reason (it stalled too often, its data is gone). */
  readonly mustFail?: string;
  /** That is since a child of it has failed. */
  readonly hasFailedChild?: boolean;
  /** Of a parent: how its children have ended, in the order given; results as they are stored. Guarded by the claim it was fetched under. */
  readonly children?: (() => Promise<readonly ChildResult[]>) | undefined;
  /**
   * The job in the store's own form (a BullMQ `Job`); built when first asked for, guarded by the claim it was fetched under.
   * @param payload as the handler is to see it. Default: as it is stored.
   */
  native(payload?: HandlerPayload): unknown;
}

/** The payload of a job for its handler. */
export interface HandlerPayload {
  readonly data: unknown;
  /** What the handler puts in its place, as JSON text. @throws UnserializableDataError, PayloadTooLargeError */
  encode(data: unknown): string;
}

/** How the child of a job has ended, as its parent sees it. */
export interface ChildResult<Value = unknown> {
  readonly entityType: string;
  readonly entityId: string;
  readonly jobId: string;
  readonly name: string;
  readonly outcome: /** What its handler returned, as its codec carries it. */
    | { readonly kind: 'completed'; readonly value: Value }
    /** With all its tries used up, or removed by a person. */
    | { readonly kind: 'failed'; readonly reason: string };
}

/** @param outcome what the store knows of it; a person may have removed the child, or had it tried again, without a word. */
export function childResult(child: ChildRef, outcome: ChildResult['outcome'] | undefined): ChildResult {
  const { type: entityType, id: entityId, jobId, name } = child;
  return {
    entityType,
    entityId,
    jobId,
    name,
    outcome: outcome ?? { kind: 'failed', reason: 'it was removed, or tried again, by a person' },
  };
}

/** How a job ended here. */
export interface Settlement {
  readonly job: FetchedJob;
  /**
   * Of a shared read: the reads that run beside it here, whose ends may come later, though they are older (I6). Of one that keeps its
   * place: all that has started here and whose end is not confirmed; it stays as it is.
   */
  readonly beside?: readonly string[];
  readonly outcome:
    | {
        readonly kind: 'completed';
        readonly value: string;
        /** Why whoever waits for the result is not told it. */
        readonly withheld?: string;
      }
    /** For good. `blocked`: its entity waits until a person decides what becomes of it; `dead`: it becomes a dead letter. */
    | {
        readonly kind: 'failed' | 'blocked' | 'dead';
        readonly reason: string;
        readonly stack: string;
        /** For whoever waits for it. */
        readonly thrown?: Thrown;
      }
    /** For good, but behind one of its batch that is tried again, or blocks: it blocks, without running, when its turn comes. */
    | { readonly kind: 'postponed'; readonly reason: string; readonly stack: string }
    /** To be tried again after so many ms. */
    | { readonly kind: 'retrying'; readonly reason: string; readonly stack: string; readonly delayMs: number };
}

/** The answer to a fetch: jobs in their order, and, when it found too few, when to ask again (ms from now). */
export interface Fetched {
  readonly jobs: readonly FetchedJob[];
  readonly againInMs?: number;
  /** The rate of its type allows no more until then. */
  readonly isLimited?: boolean;
  /** The claim has rested; this step has roused and renewed it. */
  readonly isRoused?: boolean;
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
export type Entered = { readonly jobId: string } & (
  | { readonly route: 'mine'; readonly fetched: Fetched }
  | { readonly route: 'claimed'; readonly claimed: Claimed }
  /** Redis says that this pod owns the entity, under a claim that it does not know: an answer was lost (race 26). */
  | { readonly route: 'unknown-claim' }
  /** `parent`: it waits for its children. */
  | { readonly route: 'elsewhere' | 'nobody' | 'delayed' | 'parent' }
);

/** What a pod knows of an entity when it enqueues. A hint: the store decides (I1). */
export type EnterHint =
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
   * an `enter` or a `take` of theirs rouses them.
   */
  readonly resting: readonly number[];
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
  /** Resolves once the store is connected (calls made before wait for that, with a deadline). Rejects on wrong credentials. */
  start(): Promise<void>;
  /** Name of the entity's BullMQ queue. */
  queueName(entity: EntityRef): string;
  /**
   * Adds a job and routes it, in one step on every path. Rejects with `BacklogFullError` where the entity has as many as its
   * type allows.
   */
  enter(job: NewJob, hint: EnterHint): Promise<Entered>;
  /**
   * As many enters, in one step: where one entity has no room for its jobs, none is added, and all reject with
   * `BacklogFullError`. What is wrong with one job otherwise is its own matter. Never throws.
   */
  enterAll(jobs: readonly (readonly [NewJob, EnterHint])[]): readonly Promise<Entered>[];
  /**
   * Adds all jobs of a flow and routes those that wait for nobody, in one step; or none, and all reject with the same error:
   * `BacklogFullError`, `InvalidOptionError` where an id is taken. Where the root is known already, by its id or its idempotency
   * key, nothing is added, and the ids are those of the first time. Never throws.
   *
   * When a job ends for good, or is removed, its parent is told in the same step. One whose last child has ended joins the end
   * of its entity's queue, and whoever works that is called (I7). An end that comes twice counts once.
   */
  enterFlow(flow: NewFlow): readonly Promise<Entered>[];
  /** Claims the entity if it has work and nobody owns it, or sees to it that it is looked at when there is a reason. */
  look(entity: EntityRef, claimWith: number): Promise<Claimed | Passed>;
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
   * Ends a job and fetches up to `take` next ones. One that is to be tried again goes, where the type keeps its order, back
   * to the head of the queue, behind it all that was fetched, and nothing is fetched before its time has come: what the
   * answer brings is all that is fetched then. A job that is gone, or no longer active, is its own matter: no error.
   * Rejects with `StoreRefusedError` when an older job has not ended: its end was refused, and this one would overtake it. Those
   * that a shared read has `beside` it don't count, and are not given back with it. A read that comes back while another one has,
   * and still holds the entity, waits behind that, until both their times have come; having used up its tries, it then fails.
   */
  finish(claim: Claim, settlement: Settlement, take: number): Promise<Fetched>;
  /**
   * As {@link finish}, of several jobs that have run as one, in their order: in one step, so that no crash ends a part of them.
   * Those that end for good do so first; those to be tried again, where the type keeps its order, then go back to the head in
   * their order, before all that was fetched. The hold is that of the first of them.
   */
  finishAll(claim: Claim, settlements: readonly Settlement[], take: number): Promise<Fetched>;
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
  leave(claim: Claim, job: FetchedJob, graceMs: number): Promise<boolean>;
  /** Renews claims, on a connection that no other traffic delays, and tells others of this pod. */
  renew(renewals: readonly Renewal[], pod: PodState): Promise<Renewed>;
  /** Entities of a type whose time to be looked at has come, the longest overdue first, from a position on. */
  due(type: string, from: number, limit: number): Promise<EntityRef[]>;
  /** What a person does to one entity. */
  readonly control: EntityControl;
  readonly deadLetters: DeadLetters;
  readonly schedules: Schedules;
  readonly answers: Answers;
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
  discover(types: readonly string[], intervalMs: number, from?: string): Promise<Discovered>;
  /** True when answers are owed on the command connection and none at all has come for `ms`. */
  isSilentFor(ms: number): boolean;
  close(): Promise<void>;
}

/** An entity that this pod should look at. */
export interface WakeUp extends EntityRef {
  /** Its queue was paused, or emptied: what its owner has fetched and not started is to be given back. */
  readonly isRecall?: true;
}

/** What becomes of a job that blocks its entity: all its tries anew, to the failed ones, or removed. */
export type Unblocking = 'retry' | 'skip' | 'drop';

/** What there is of one entity. */
export interface EntityStatus {
  /** Jobs that wait for their turn. */
  readonly waiting: number;
  /** Jobs that run, or are fetched ahead by the pod that works the entity. */
  readonly active: number;
  /** Jobs for later. */
  readonly delayed: number;
  /** Failed jobs that are kept. */
  readonly failed: number;
  /** Parents in flows whose children have not all ended. */
  readonly waitingForChildren: number;
  /** By itself, or with its type. */
  readonly isPaused: boolean;
  /** The job that has used up its tries, and for which all others wait (`onExhausted: 'block'`). */
  readonly blockedBy?: { readonly jobId: string; readonly reason: string };
}

/**
 * Where jobs of an entity may be; `waiting` has all that wait for their turn, the next one first, `waiting-children` parents in
 * flows, the oldest first.
 */
export type JobState = 'waiting' | 'active' | 'delayed' | 'failed' | 'completed' | 'waiting-children';

/** A job as a person sees it. */
export interface JobView {
  readonly jobId: string;
  readonly name: string;
  /** As it was given; what this pod has no codec for, as it is stored. */
  readonly data: unknown;
  /** When it was enqueued, in ms since 1970. */
  readonly enqueuedAtMs: number;
  /** How many tries have failed. */
  readonly attemptsMade: number;
  /** Why the last one failed. */
  readonly failedReason?: string;
}

/** Where BullMQ finds a queue. */
export interface QueueLocation {
  readonly name: string;
  readonly prefix: string;
}

/** What a person does to one entity, wherever it is worked. Each is one atomic step of the store. */
export interface EntityControl {
  /** Pauses or resumes. With a pause the owner is recalled: it gives back what it has fetched and not started. */
  pause(entity: EntityRef, isPaused: boolean): Promise<void>;
  /** As {@link pause}, all entities of a type, also those that come later; beside it each may be paused by itself. */
  pauseType(type: string, isPaused: boolean): Promise<void>;
  /**
   * Decides about the job that blocks the entity.
   * @param jobId only about this one; without it, about whichever it is.
   * @returns whether it was one.
   */
  unblock(entity: EntityRef, how: Unblocking, jobId?: string): Promise<boolean>;
  status(entity: EntityRef): Promise<EntityStatus>;
  /** Removes all that waits, also for later or for children; to the parent of what it removes that has failed. The owner is recalled, and what it has fetched and not started goes, too. */
  drop(entity: EntityRef): Promise<void>;
  /** Jobs in one state, from a position on: those that are next first, and of those that have ended the latest. */
  list(entity: EntityRef, state: JobState, from: number, limit: number): Promise<JobView[]>;
  locate(entity: EntityRef): QueueLocation;
}

/** A schedule of an entity as a person sees it. */
export interface ScheduleView extends Schedule {
  /** The name of its jobs, and what they get. */
  readonly jobName: string;
  readonly data: unknown;
  /** When it runs next, or was to: the present run has not ended. In ms since 1970. */
  readonly nextAtMs: number;
  /** How many of its jobs have ended, but those during which it was put anew. */
  readonly runs: number;
}

/** Jobs of an entity that come again and again. Each schedule has one job at a time; when it ends, the next one is made. */
export interface Schedules {
  /**
   * A schedule begins, or takes the place of one with its id.
   * @returns when it runs next, in ms since 1970.
   */
  put(job: NewJob, schedule: Schedule): Promise<number>;
  /** From a position on, the next to run first. */
  list(entity: EntityRef, from: number, limit: number): Promise<ScheduleView[]>;
  /** What is due already still runs. @returns whether there was one. */
  remove(entity: EntityRef, id: string): Promise<boolean>;
}

/** A job that a call of this pod waits for. */
export interface AskedJob {
  readonly entity: EntityRef;
  readonly jobId: string;
  /** As in the `reply` of its envelope, if it is this call's. */
  readonly call: string;
}

/** Where a job may be that somebody waits for: `'blocked'` is one that has used up its tries and waits for a person. */
export type CallState = 'waiting' | 'active' | 'delayed' | 'blocked' | 'waiting-children';

/** What has become of a job. */
export interface FoundJob {
  /** `'gone'`: it has ended, or was removed. */
  readonly state: CallState | 'gone';
  /** Its answer goes to the call that has asked: its enqueue has added the job. */
  readonly isOwn: boolean;
  /** Of one that has ended, where that was told and not been read yet, or the job is kept. */
  readonly answer?: Answer;
  /** The codec of its result, where the job is there or kept; none for plain JSON. */
  readonly codec?: unknown;
}

/**
 * Answers to jobs with a `reply` in their envelope. Each is written in the step that ends its job for good, and kept until the
 * pod that waits has read it, or for some minutes; whoever waits is told by that step and no other.
 */
export interface Answers {
  /** Of this pod, for envelopes. */
  readonly address: string;
  /**
   * Waits for answers to this pod; empty when none came within the store's own bound. What a call of this has brought counts
   * as read with the next one: where that is lost, it comes again.
   */
  receive(): Promise<readonly { readonly call: string; readonly answer: Answer }[]>;
  /** What has become of jobs: each together with whether its answer has come, in one step, so that none is between the two. */
  find(jobs: readonly AskedJob[]): Promise<readonly FoundJob[]>;
  /** Removes a job that has not started, nor been fetched, if its answer goes to that call. @returns whether it did. */
  cancel(job: AskedJob): Promise<boolean>;
}

/** A job that had used up its tries (`onExhausted: 'deadLetter'`). */
export interface DeadLetter extends Omit<JobView, 'jobId'> {
  readonly letterId: string;
  readonly entityId: string;
  /** The id that it had in the queue of its entity. */
  readonly jobId: string;
  /** When its last try failed, in ms since 1970. */
  readonly diedAtMs: number;
  readonly failedReason: string;
  /** Of its tries, the latest last; as many as `stackTraceLimit`. */
  readonly stacks: readonly string[];
}

/** The dead letters of entity types. They stay until a person decides. */
export interface DeadLetters {
  /** From a position on, the oldest first. */
  list(type: string, from: number, limit: number): Promise<DeadLetter[]>;
  /**
   * Its job joins the queue of its entity, with all its tries, in the step that removes the letter.
   * @returns the job's new id; nothing when there is no such letter.
   */
  replay(type: string, letterId: string): Promise<string | undefined>;
  /** @returns whether there was one. */
  remove(type: string, letterId: string): Promise<boolean>;
  /** Where BullMQ finds the letters of a type, as failed jobs. */
  locate(type: string): QueueLocation;
}

/** Runs one job to its end. What it returns is stored as the job's result. */
export type JobRunner = (job: FetchedJob, context: JobContext) => unknown;

/** What a handler may know of its entity: of a batch as of one job. */
export interface EntityContext {
  readonly entityType: string;
  readonly entityId: string;
  /** Grows with each new owner of the entity (I4): let the database refuse writes with a smaller one. Decimal digits. */
  readonly fencingToken: string;
  /** Aborted when this pod has lost the entity, or shuts down and waits no longer: stop, and write nothing more. */
  readonly signal: AbortSignal;
}

/** What a running job may know of itself and its entity. */
export interface JobContext<Native = unknown> extends EntityContext {
  /** Which start of this job this is, from 1. */
  readonly attempt: number;
  /** What travelled with the job: values of the option `context.keys`, of the code that enqueued it. */
  readonly contextValues: ContextValues;
  /** The job in the store's own form. */
  readonly job: Native;
  /**
   * How the children of this job have ended, in the order in which `enqueueFlow` was given them; of a job without children,
   * none. A child that was removed, by `drop()` say, has failed.
   * @throws StaleClaimError when this pod has lost the entity.
   *
   * @example
   * ```ts
   * const [debit] = await context.children<{ paid: number }>();
   * if (debit?.outcome.kind === 'completed') total += debit.outcome.value.paid;
   * ```
   */
  children<Value = unknown>(): Promise<readonly ChildResult<Value>[]>;
}

/** Above it, a timer of Node fires at once. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

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
