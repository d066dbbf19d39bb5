/**
 * What an application may give to a queue bus, and a bus for one entity type. Types only. Neighbour: `queue-bus.ts` takes it.
 */
import type { JobsOptions } from 'bullmq';
import type { OnChildFailure } from '../../core/enqueue/flow.js';
import type { EnqueuedJob, ScheduledJob } from '../../core/enqueue/requests.js';
import type { Schedule } from '../../core/model/schedule.js';
import type { EntityTypeName, JobResult, NamedJob, ResultOf, ScopedJob } from '../entity-types.js';

/** Options of one job: those of BullMQ, and what makes an enqueue safe to repeat. */
export interface EnqueueOptions extends JobsOptions {
  /**
   * An enqueue with the key of an earlier one of its entity adds nothing, and resolves with the id of that job, also when it
   * has completed or failed by then, but not if a person has removed it. So what was rejected as "outcome unknown" can be tried again.
   */
  idempotencyKey?: string;
  /** For how long the key is known, in ms, from the first enqueue on. Default 86400000, a day. */
  idempotencyTtlMs?: number;
}

/**
 * Options of a bulk: those of all its commands, or a function that returns those of each. A `jobId`, an `idempotencyKey` or a
 * `deduplication` must differ between commands of one entity; otherwise `InvalidOptionError`, and nothing is added.
 */
export type BulkOptions<C extends object = object> =
  | EnqueueOptions
  | ((command: C, index: number) => EnqueueOptions | undefined);

/** Options of an enqueue that waits for the result. */
export interface WaitOptions extends EnqueueOptions {
  /** How long to wait, in ms. Default: the module's `replyTimeoutMs`; one of the two is needed. */
  timeoutMs?: number;
  /** Gives up the wait, with a `WaitAbortedError`, and leaves the job. */
  signal?: AbortSignal;
  /**
   * With the `signal` the job is removed, if it has not started, nor been fetched by the pod that works its entity. Default
   * false. A timeout leaves the job; for one that does not, give `AbortSignal.timeout(ms)`.
   */
  cancelJob?: boolean;
}

/** A job of a flow, and those that must have ended before it: {@link QueueBus.enqueueFlow}. */
export type FlowNode = FlowNodeOptions & ({ command: object; job?: never } | { job: NamedJob; command?: never });

/** What a job of a flow may have beside its command. */
export interface FlowNodeOptions {
  /** BullMQ's job options. `jobId` and `idempotencyKey` only of the first job of the flow, and never `deduplication`. */
  options?: EnqueueOptions;
  /**
   * What becomes of the parent when this job fails for good, or is removed. `'failParent'`: once all its children have ended
   * it fails too, without running, with a `ChildFailedError` that names this job; `onExhausted` of its type says what then.
   * `'tellParent'`: it runs, and `children()` says which have failed. Default `'failParent'`.
   */
  onFailure?: OnChildFailure;
  /** What must have ended before this job joins its queue. Those of one entity run in this order. */
  children?: readonly FlowNode[];
}

/** A queue bus for one entity type: {@link QueueBus.forEntity}, {@link QueueBus.forProcessor}. */
export interface ScopedQueueBus<T extends string = EntityTypeName> {
  /** As {@link QueueBus.enqueue}; the class needs no `@QueueEntity`. */
  enqueue(command: object, options?: EnqueueOptions): Promise<EnqueuedJob>;
  /** As {@link QueueBus.enqueueBulk}. */
  enqueueBulk<C extends object>(commands: readonly C[], options?: BulkOptions<C>): Promise<EnqueuedJob[]>;
  /** As {@link QueueBus.enqueueJob}. */
  enqueueJob(job: ScopedJob<T>, options?: EnqueueOptions): Promise<EnqueuedJob>;
  /** As {@link QueueBus.enqueueAndWait}; the class needs no `@QueueEntity`. */
  enqueueAndWait<C extends object>(command: C, options?: WaitOptions): Promise<ResultOf<C>>;
  enqueueAndWait<R>(command: object, options?: WaitOptions): Promise<R>;
  /** As {@link QueueBus.enqueueJobAndWait}. */
  enqueueJobAndWait<J extends ScopedJob<T>>(job: J, options?: WaitOptions): Promise<JobResult<T, J['name']>>;
  enqueueJobAndWait<R>(job: ScopedJob<T>, options?: WaitOptions): Promise<R>;
  /** As {@link QueueBus.schedule}. */
  schedule(command: object, schedule: Schedule, options?: EnqueueOptions): Promise<ScheduledJob>;
  /** As {@link QueueBus.scheduleJob}. */
  scheduleJob(job: ScopedJob<T>, schedule: Schedule, options?: EnqueueOptions): Promise<ScheduledJob>;
}
