/**
 * The options of the engine as a user writes them. Types only.
 * Neighbours: `checks.ts` refuses what can't be, `resolve.ts` makes of them what the core reads; `nest/options/module-options.ts` has the rest.
 */

import type { JobOptions } from '../model/job.js';
import type { ContextOptions } from '../payload/caller-context.js';
import type { PayloadCodec } from '../payload/codec.js';

/** Options of how an entity type is worked. All are optional. */
export interface WorkerOptions {
  /** Jobs of one entity at once in one of its workers. Default 1; more gives up the order of its jobs. */
  concurrency?: number;
  /** As `stalledIntervalMs`; a value below 100 is refused, as it was meant in seconds. */
  stalledInterval?: number;
  /** How often ownerless entities are looked for, in ms. Default 1000. */
  stalledIntervalMs?: number;
  /** As `lockDurationMs`; a value below 1000 is refused, as it was meant in seconds. */
  lockDuration?: number;
  /** How long BullMQ's own lock of a running job lasts, in ms; kept alive while the job runs. Default 30000. */
  lockDurationMs?: number;
  /** As `heartbeatTtlMs`, but in **seconds**; a value above 600 is refused, as it was meant in milliseconds. */
  heartbeatTTL?: number;
  /** How long a claim lives without renewal, in ms; renewed every third of it. Default 3000. */
  heartbeatTtlMs?: number;
  /**
   * How long a handler may block the event loop, by computing say, in ms; after that its process counts as hung and loses
   * its entities. Meanwhile all of them wait. Default 30000. A thread sees to it: some 23 MB of memory, and 0.3 s of CPU when
   * the pod starts; throughput is the same within the spread of runs. 0: no thread; a block of two thirds of `heartbeatTTL`
   * may then be too long.
   */
  eventLoopBlockLimitMs?: number;
  /** How often a job may lose its pod while it runs alone before it is failed. Default 1. */
  maxStalledCount?: number;
  /** Most jobs of one entity that are fetched ahead while it is busy. Default 128, at most 256. */
  prefetch?: number;
  /**
   * How long a job of a name that no handler here knows is left for pods that do, in ms, while its entity waits; after
   * that it fails. Default 600000 (10 minutes, a rolling deploy); 0 fails it at once.
   */
  unknownJobGraceMs?: number;
  /**
   * How long a handler, or what comes before it, such as a validator, may take before a line of the log and the event `job.slow` tell
   * of it, in ms. They tell again each time that it has taken twice as long. Looked at every second. Default 30000; 0: never.
   */
  slowHandlerWarnMs?: number;
  /**
   * How long a handler may run, in ms. Then its signal aborts with a `HandlerTimeoutError`. If the handler has not settled a second
   * later, its try fails with that error and its entity goes on, under a newer fencing token. **Its code may still run during the next
   * job**: only the fencing token protects what it writes. A validator has the same time. Default 0: no limit.
   */
  handlerTimeoutMs?: number;
}

/** Whether a job that fails keeps its place until it is through. */
export type Ordering = 'strict' | 'relaxed';

/** What becomes of a job that has used up its tries. */
export type OnExhausted = 'skip' | 'block' | 'deadLetter';

/** At most `max` starts in each span of `durationMs`, in ms, which begins with the first of them. */
export interface RateLimit {
  readonly max: number;
  readonly durationMs: number;
}

/** Options of one entity type. All are optional. */
export interface EntityOptions {
  /** The name of the entity's BullMQ queue. Default `{keyPrefix}:{type}:{id}:queue`. Gets the id as it stands in keys. */
  queueName?: (entityId: string) => string;
  /** The name recorded as `processedBy` on the jobs. Default: the pod's. */
  workerName?: (entityId: string) => string;
  /**
   * How many jobs an entity may have that have not ended, those for later among them; an enqueue beyond that rejects with
   * `BacklogFullError`. Default: as many as Redis can hold.
   */
  maxPending?: number;
  /** How many jobs of one entity start within a time; the others wait for the next. Default: as many as there are. */
  rateLimit?: RateLimit;
  /**
   * Workers of one entity at once, each of them with `concurrency` handlers, all on the pod that owns the entity, under
   * its one claim and fencing token. Default 1; more gives up the order of its jobs. Times `concurrency` at most 256.
   */
  maxWorkersPerEntity?: number;
  /**
   * How many shared reads of one entity (`shared: true` of `@QueueEntity` or `@JobHandler`) run beside each other at most. Default
   * 16, at most 256.
   */
  maxSharedReads?: number;
  /**
   * What becomes of the jobs behind one that has failed and has tries left (`attempts`). `'strict'`: they wait, through its
   * backoff too, and the job keeps its place. `'relaxed'`: they go on, as with BullMQ; then `priority` and `lifo` may be
   * used. Default `'strict'`; `'relaxed'` where several handlers run at once, which can't keep an order.
   */
  ordering?: Ordering;
  /**
   * What becomes of a job that has used up its tries. `'skip'`: it goes to the failed ones, and the next runs. `'block'`: the
   * entity waits until a person decides, see `EntityQueues.of`. `'deadLetter'`: it goes, with its history, to the dead letters of
   * the type, and the next runs; see `EntityQueues.deadLetters`. Default `'skip'`.
   */
  onExhausted?: OnExhausted;
  /** As `idleTimeoutMs`, but in **seconds**; a value above 3600 is refused, as it was meant in milliseconds. */
  idleTimeoutSeconds?: number;
  /** How long a worker outlives its last job, in ms; Infinity if it stays. Default 15000. */
  idleTimeoutMs?: number;
  /** The property of a command that holds the entity id when no `@QueueEntityId` says so. */
  defaultEntityId?: string;
  /** Overrides of `workerDefaults` for this type. */
  workerConfig?: Pick<
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
  /** BullMQ options of every job of this type; options given to `enqueue` win. */
  defaultJobOptions?: JobOptions;
  /** How payloads and results of this type are stored. Default: the codec of the module. */
  codec?: PayloadCodec;
  /** Overrides the module's `requireCodec` for this type. */
  requireCodec?: boolean;
  /** As that of the module, for this type. */
  maxPayloadBytes?: number;
  /** As that of the module, for this type. */
  maxResultBytes?: number;
}

/** What the engine is given. */
export interface EngineOptions {
  workerDefaults?: WorkerOptions;
  entities?: Readonly<Record<string, EntityOptions>>;
  defaultJobOptions?: JobOptions;
  /** How long shutdown waits for running jobs, in ms. Default 10000. */
  shutdownTimeoutMs?: number;
  /**
   * Whether `currentJob()` and `currentEntity()` work below handlers. Default true. Up to Node 22 it costs about a tenth of the throughput of
   * handlers that do nothing, and from Node 24 on next to nothing.
   */
  currentJob?: boolean;
  /**
   * Number of frames of a failed try's stack that are added to its line in the log, 0 to 50. Frames of Node and of installed packages
   * are left out. 0 logs the message only. The whole stack is kept with the failed job. @default 3
   */
  failureStackFrames?: number;
  /** How long `enqueueAndWait` waits where its call does not say, in ms. Default: each call must say. */
  replyTimeoutMs?: number;
  /** Values of the code that enqueues, a tenant's id say, which its handler finds again. Default: none. */
  context?: ContextOptions;
  /** This pod only enqueues: it works no entity, whatever handlers it has. Default false. */
  producerOnly?: boolean;
  /**
   * Most entities that this pod works at once, idle ones included: the one that has been idle longest gives way, and a busy
   * one after a while. Default: no limit (an idle worker costs memory only).
   */
  maxWorkersPerPod?: number;
  /**
   * How often all queues are searched for work that came past this library (Bull Board's retry, a plain `Queue.add`), in
   * ms. One pod of all searches, in small steps. Default 60000; 0 never.
   */
  discoveryIntervalMs?: number;
  /** Scales the workers of an entity with its backlog, from 1 to `maxWorkersPerEntity`. Without it they are as many at once. Default false. */
  enableCronManager?: boolean;
  /** As `cronIntervalMs`; a value below 100 is refused, as it was meant in seconds. */
  cronInterval?: number;
  /** How often `enableCronManager` looks, in ms. Default 5000. */
  cronIntervalMs?: number;
  /**
   * How payloads and results are stored. Default: as plain JSON (`jsonCodec`), which refuses what it can't carry. Each job
   * carries the name of its codec, and is read by that one, whatever codec its type has by then.
   */
  codec?: PayloadCodec;
  /**
   * Codecs that are read beside those that are written here: the former ones, or those of other services. In a rolling change,
   * first let all pods read the new codec, then write it. A job whose codec a pod does not know is left for those that do, as one
   * of an unknown name: see `unknownJobGraceMs`.
   */
  readCodecs?: readonly PayloadCodec[];
  /**
   * Whether a job fails, without running, unless its payload was written by the codec of its entity type or by another one that is
   * secret (`isSecret`). It fails with a `PayloadUnreadableError`. A result is not read under the same condition. Set it to false
   * while a codec is introduced and jobs of the former one wait. Default: true for a codec that is secret, as `encryptedCodec` is.
   */
  requireCodec?: boolean;
  /** The most bytes that a payload may have as it is stored; above it an enqueue rejects with `PayloadTooLargeError`. Default 262144, at most 8388608. */
  maxPayloadBytes?: number;
  /**
   * The most bytes that the result of a job may have as it is stored. One that has more completes all the same, since its work is
   * done; null is stored, a warning logged, and whoever waits for it gets a `ResultUnavailableError`. The results
   * of a batch have 4194304 together. Default 262144, at most 8388608.
   */
  maxResultBytes?: number;
}
