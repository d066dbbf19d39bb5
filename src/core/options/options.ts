/**
 * The options of the engine, as an application writes them. Types only.
 * Neighbours: `checks.ts` refuses invalid values, `resolve.ts` fills in the defaults, `nest/options/module-options.ts` has the
 * other options of the module. `docs/configuration.md` lists all of them; a test compares it with these types.
 */

import type { JobOptions } from '../model/job.js';
import type { ContextOptions } from '../payload/caller-context.js';
import type { PayloadCodec } from '../payload/codec.js';

/** How the workers of entities run. All options are optional. */
export interface WorkerOptions {
  /** Handlers at once in one worker. More than 1 gives up the order of the entity's jobs. @default 1 */
  concurrency?: number;
  /** Like `stalledIntervalMs`. Values below 100 are refused: they were probably meant in seconds. @default 1000 */
  stalledInterval?: number;
  /** Interval between checks for entities without an owner, in ms. @default 1000 */
  stalledIntervalMs?: number;
  /** Like `lockDurationMs`. Values below 1000 are refused: they were probably meant in seconds. @default 30000 */
  lockDuration?: number;
  /** Duration of BullMQ's own lock of a running job, in ms. The lock is renewed while the job runs. @default 30000 */
  lockDurationMs?: number;
  /**
   * Like `heartbeatTtlMs`, but in **seconds**. Values above 600 are refused: they were probably meant in milliseconds.
   * @default 3
   */
  heartbeatTTL?: number;
  /**
   * Lease of a claim without renewal, in ms. A claim is renewed every third of it. After a crash another pod takes over within
   * this time plus `stalledIntervalMs`.
   * @default 3000
   */
  heartbeatTtlMs?: number;
  /**
   * Maximum time for which a handler may block the event loop, in ms. All entities of the pod wait in the meantime. After it the
   * process counts as hung and loses its entities. A thread renews the claims: it takes about 23 MB of memory, and 0.3 s of CPU
   * when the pod starts. 0: no thread; a block of two thirds of `heartbeatTtlMs` may then cost the pod its entities.
   * @default 30000
   */
  eventLoopBlockLimitMs?: number;
  /** Number of times that a job may lose its pod while it runs alone. After one more it fails. @default 1 */
  maxStalledCount?: number;
  /** Maximum number of jobs prefetched per entity, at most 256. @default 128 */
  prefetch?: number;
  /**
   * Time for which a pod leaves a job without a handler to pods that have one, in ms. The entity waits in the meantime, and then
   * the job fails. The default covers a rolling deploy. 0: the job fails at once.
   * @default 600000
   */
  unknownJobGraceMs?: number;
  /**
   * Duration of a run after which a log line and the event `job.slow` report it, in ms. They report it again each time that it has
   * taken twice as long. Validators count as a part of the run. Checked every second. 0: never.
   * @default 30000
   */
  slowHandlerWarnMs?: number;
  /**
   * Maximum duration of a run, in ms. After it the handler's signal aborts with a `HandlerTimeoutError`. If the handler has not
   * settled a second later, the attempt fails with that error and the entity continues under a newer fencing token. **The handler's
   * code may still run during the next job**: only the fencing token protects what it writes. Validators count. 0: no limit.
   * @default 0
   */
  handlerTimeoutMs?: number;
}

/** Options of {@link WorkerOptions} that one entity type may override. */
export type WorkerConfig = Pick<
  WorkerOptions,
  | 'concurrency'
  | 'lockDuration'
  | 'lockDurationMs'
  | 'prefetch'
  | 'maxStalledCount'
  | 'unknownJobGraceMs'
  | 'slowHandlerWarnMs'
  | 'handlerTimeoutMs'
>;

/** Whether a job that fails and has attempts left keeps its place (`'strict'`), or lets later jobs pass (`'relaxed'`). */
export type Ordering = 'strict' | 'relaxed';

/** What happens to a job that has used up its attempts. */
export type OnExhausted = 'skip' | 'block' | 'deadLetter';

/** A limit on the starts of one entity's jobs. */
export interface RateLimit {
  /** Maximum number of starts in one window. */
  readonly max: number;
  /** Length of the window, in ms. It begins with the first start. */
  readonly durationMs: number;
}

/** Options of one entity type. All are optional. */
export interface EntityOptions {
  /** Name of the entity's BullMQ queue. The argument is the entity id, escaped as in keys. @default `{keyPrefix}:{type}:{id}:queue` */
  queueName?: (entityId: string) => string;
  /** Name that BullMQ records as `processedBy` of a job. @default the pod's id */
  workerName?: (entityId: string) => string;
  /**
   * Maximum number of jobs of one entity that have not ended, delayed ones included. An enqueue above it rejects with
   * `BacklogFullError`.
   * @default no limit
   */
  maxPending?: number;
  /** Maximum number of job starts of one entity in a window of time. Other jobs wait for the next window. @default no limit */
  rateLimit?: RateLimit;
  /**
   * Workers of one entity, each with `concurrency` handlers. All run on the owner, under one claim and one fencing token. More
   * than 1 gives up the order of the entity's jobs. At most 256 when multiplied by `concurrency`.
   * @default 1
   */
  maxWorkersPerEntity?: number;
  /** Maximum number of shared reads of one entity at once, at most 256. @default 16 */
  maxSharedReads?: number;
  /**
   * Whether later jobs wait for one that is retried. `'strict'`: they wait, also through its backoff, and the job keeps its place.
   * `'relaxed'`: they continue, as in BullMQ, and the job options `priority` and `lifo` are allowed. The default is `'relaxed'` if
   * several handlers run at once, which cannot keep an order.
   * @default 'strict'
   */
  ordering?: Ordering;
  /**
   * What happens to a job that has used up its attempts. `'skip'`: it becomes a failed job, and the next one runs. `'block'`: the
   * entity waits until an operator decides ({@link EntityQueues.of}). `'deadLetter'`: it moves to the dead letters of its type with
   * its history ({@link EntityQueues.deadLetters}), and the next one runs.
   * @default 'skip'
   */
  onExhausted?: OnExhausted;
  /**
   * Like `idleTimeoutMs`, but in **seconds**. Values above 3600 are refused: they were probably meant in milliseconds.
   * @default 15
   */
  idleTimeoutSeconds?: number;
  /** Time that a worker stays idle before it releases its entity, in ms. Infinity: it stays. @default 15000 */
  idleTimeoutMs?: number;
  /** Property of a command that holds the entity id, if no `@QueueEntityId` names one. @default none */
  defaultEntityId?: string;
  /** Overrides of `workerDefaults` for this type. @default {} */
  workerConfig?: WorkerConfig;
  /** BullMQ's job options for each job of this type. Options of the enqueue take precedence. @default {} */
  defaultJobOptions?: JobOptions;
  /** Codec of this type's payloads and results. @default the module's */
  codec?: PayloadCodec;
  /** Overrides the module's `requireCodec` for this type. @default the module's */
  requireCodec?: boolean;
  /** Overrides the module's `maxPayloadBytes` for this type. @default the module's */
  maxPayloadBytes?: number;
  /** Overrides the module's `maxResultBytes` for this type. @default the module's */
  maxResultBytes?: number;
}

/** Options of the engine. */
export interface EngineOptions {
  /** How the workers of all entity types run. @default {} */
  workerDefaults?: WorkerOptions;
  /** Options of entity types, by name. @default {} */
  entities?: Readonly<Record<string, EntityOptions>>;
  /** BullMQ's job options for each job. Options of the type and of the enqueue take precedence. @default {} */
  defaultJobOptions?: JobOptions;
  /** Time that a shutdown waits for running jobs, in ms. @default 10000 */
  shutdownTimeoutMs?: number;
  /**
   * Whether `currentJob()` and `currentEntity()` work below handlers. Up to Node 22 this costs about a tenth of the throughput of
   * handlers that do nothing, and from Node 24 on close to nothing. False also disables `DeadlockError`.
   * @default true
   */
  currentJob?: boolean;
  /**
   * Number of stack frames of a failed attempt in its log line, 0 to 50. Frames of Node and of installed packages are left out. 0
   * logs the message only. The whole stack is kept with the failed job.
   * @default 3
   */
  failureStackFrames?: number;
  /** Time that `enqueueAndWait` waits if its call has no `timeoutMs`, in ms. @default none: each call needs one */
  replyTimeoutMs?: number;
  /** Values of the code that enqueues, such as a tenant's id, which travel to the handler. @default none */
  context?: ContextOptions;
  /** Whether this pod only enqueues and works no entity, even if it has handlers. @default false */
  producerOnly?: boolean;
  /**
   * Maximum number of entities that this pod works at once, idle ones included. When it is full, the entity that has been idle
   * longest gives way, and a busy one after a second of work. An idle worker costs memory only.
   * @default no limit
   */
  maxWorkersPerPod?: number;
  /**
   * Interval between searches of all queues for jobs added outside this library (a retry in a dashboard, a plain `Queue.add`), in
   * ms. One pod of all does it, in small steps. 0: never.
   * @default 60000
   */
  discoveryIntervalMs?: number;
  /**
   * Whether the number of an entity's workers follows its backlog, from 1 to `maxWorkersPerEntity`. Without it an entity always has
   * the maximum.
   * @default false
   */
  enableCronManager?: boolean;
  /** Like `cronIntervalMs`. Values below 100 are refused: they were probably meant in seconds. @default 5000 */
  cronInterval?: number;
  /** Interval between decisions of `enableCronManager`, in ms. @default 5000 */
  cronIntervalMs?: number;
  /**
   * Codec of payloads and results. Each job carries the name of its codec and is read with that one, even if its type has another
   * codec by then.
   * @default jsonCodec
   */
  codec?: PayloadCodec;
  /**
   * Codecs that this pod can read in addition to those it writes: former ones, or those of other services. In a rolling change, first
   * let all pods read the new codec, then write it. A pod leaves a job with an unknown codec to other pods, for `unknownJobGraceMs`.
   * @default []
   */
  readCodecs?: readonly PayloadCodec[];
  /**
   * Whether a job fails, without running, unless its payload was written by its type's codec or by another secret codec. It fails with
   * a `PayloadUnreadableError`. Results are read under the same condition. Set it to false while you introduce a codec and jobs of the
   * former one wait.
   * @default the codec's isSecret
   */
  requireCodec?: boolean;
  /**
   * Maximum size of a payload as it is stored, in bytes, at most 8388608. An enqueue above it rejects with `PayloadTooLargeError`.
   * @default 262144
   */
  maxPayloadBytes?: number;
  /**
   * Maximum size of a job's result as it is stored, in bytes, at most 8388608. A job with a larger result still completes: null is
   * stored, a warning is logged, and a waiting caller gets a `ResultUnavailableError`. The results of a batch have 4194304 together.
   * @default 262144
   */
  maxResultBytes?: number;
}
