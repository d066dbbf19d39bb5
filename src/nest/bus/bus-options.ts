/** The options of a queue bus, and the bus of one entity type. Types only. Neighbour: `queue-bus.ts` takes them. */
import type { JobsOptions } from 'bullmq';
import type { OnChildFailure } from '../../core/enqueue/flow.js';
import type { EnqueuedJob, ScheduledJob } from '../../core/enqueue/requests.js';
import type { Schedule } from '../../core/model/schedule.js';
import type { EntityTypeName, JobResult, NamedJob, ResultOf, ScopedJob } from '../entity-types.js';

/** Options of one job: BullMQ's, and a key that makes an enqueue safe to repeat. */
export interface EnqueueOptions extends JobsOptions {
  /**
   * Key that makes the enqueue safe to repeat, up to 1,024 characters. A second enqueue with the key of the same entity adds nothing
   * and resolves with the id of the first job, even if that has ended. Removing that job also removes its key.
   * @default none
   */
  idempotencyKey?: string;
  /** Lifetime of the key from the first enqueue on, in ms. @default 86400000 */
  idempotencyTtlMs?: number;
}

/**
 * Options of a bulk: one object for all its commands, or a function that returns the options of each. A `jobId`, an
 * `idempotencyKey` or a `deduplication` must differ between commands of one entity. Otherwise the bulk rejects with
 * `InvalidOptionError`, and nothing is added.
 */
export type BulkOptions<C extends object = object> =
  | EnqueueOptions
  | ((command: C, index: number) => EnqueueOptions | undefined);

/** Options of an enqueue that waits for the result. */
export interface WaitOptions extends EnqueueOptions {
  /** Time to wait for the result, in ms. Required if the module has no `replyTimeoutMs`. @default the module's replyTimeoutMs */
  timeoutMs?: number;
  /** Signal that ends the wait with a `WaitAbortedError`. The job stays. @default none */
  signal?: AbortSignal;
  /**
   * Whether `signal` also removes the job, if no pod has fetched or started it. A timeout leaves the job: for one that removes it, pass
   * `AbortSignal.timeout(ms)` as the `signal`.
   * @default false
   */
  cancelJob?: boolean;
}

/** A job of a flow and its children: {@link QueueBus.enqueueFlow}. */
export type FlowNode = FlowNodeOptions & ({ command: object; job?: never } | { job: NamedJob; command?: never });

/** Options of one job of a flow. */
export interface FlowNodeOptions {
  /** Job options. Only the first job of a flow may have a `jobId` or an `idempotencyKey`; none may have a `deduplication`. @default {} */
  options?: EnqueueOptions;
  /**
   * What happens to the parent if this job uses up its attempts or is removed. `'failParent'`: the parent fails without running, with a
   * `ChildFailedError` that names this job, when all its children have ended. `onExhausted` of its type then applies. `'tellParent'`: it
   * runs, and `children()` tells which have failed.
   * @default 'failParent'
   */
  onFailure?: OnChildFailure;
  /** Jobs that must end before this job joins its queue. Children of one entity run in this order. @default [] */
  children?: readonly FlowNode[];
}

/** A queue bus for one entity type: {@link QueueBus.forEntity}, {@link QueueBus.forProcessor}. */
export interface ScopedQueueBus<T extends string = EntityTypeName> {
  /** Like {@link QueueBus.enqueue}. The class needs no `@QueueEntity`. */
  enqueue(command: object, options?: EnqueueOptions): Promise<EnqueuedJob>;
  /** Like {@link QueueBus.enqueueBulk}. */
  enqueueBulk<C extends object>(commands: readonly C[], options?: BulkOptions<C>): Promise<EnqueuedJob[]>;
  /** Like {@link QueueBus.enqueueJob}. */
  enqueueJob(job: ScopedJob<T>, options?: EnqueueOptions): Promise<EnqueuedJob>;
  /** Like {@link QueueBus.enqueueAndWait}. The class needs no `@QueueEntity`. */
  enqueueAndWait<C extends object>(command: C, options?: WaitOptions): Promise<ResultOf<C>>;
  enqueueAndWait<R>(command: object, options?: WaitOptions): Promise<R>;
  /** Like {@link QueueBus.enqueueJobAndWait}. */
  enqueueJobAndWait<J extends ScopedJob<T>>(job: J, options?: WaitOptions): Promise<JobResult<T, J['name']>>;
  enqueueJobAndWait<R>(job: ScopedJob<T>, options?: WaitOptions): Promise<R>;
  /** Like {@link QueueBus.schedule}. */
  schedule(command: object, schedule: Schedule, options?: EnqueueOptions): Promise<ScheduledJob>;
  /** Like {@link QueueBus.scheduleJob}. */
  scheduleJob(job: ScopedJob<T>, schedule: Schedule, options?: EnqueueOptions): Promise<ScheduledJob>;
}
