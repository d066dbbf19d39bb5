/** The options as the core reads them, complete and checked. Types only. Neighbour: `resolve.ts` makes them of the given options. */
import type { JobOptions } from '../model/job.js';
import type { ContextOptions } from '../payload/caller-context.js';
import { Codecs, type PayloadCodec } from '../payload/codec.js';
import type { OnExhausted, Ordering, RateLimit } from './options.js';

/** The options of one entity type, resolved. */
export interface EntityTypeConfig {
  readonly type: string;
  readonly queueName: ((encodedId: string) => string) | undefined;
  readonly workerName: ((entityId: string) => string) | undefined;
  readonly idleTimeoutMs: number;
  readonly defaultEntityId: string | undefined;
  readonly lockDurationMs: number;
  readonly prefetch: number;
  /** Maximum number of jobs in one batch: all fetched and running jobs must fit into one call. */
  readonly mostPerBatch: number;
  readonly maxStalledCount: number;
  readonly unknownJobGraceMs: number;
  /** 0 for never. */
  readonly slowHandlerWarnMs: number;
  /** 0 for no limit. */
  readonly handlerTimeoutMs: number;
  readonly concurrency: number;
  readonly maxWorkers: number;
  /** Maximum number of handlers of an entity at once, over all its workers. */
  readonly maxHandlers: number;
  /** Number of handlers that a new worker runs at once. */
  readonly handlersAtStart: number;
  /** Whether jobs run one after another, in order, apart from shared reads. */
  readonly isOrdered: boolean;
  /** Maximum number of shared reads at once; 1 if no handler of this pod is a shared read. */
  readonly maxReads: number;
  readonly ordering: Ordering;
  readonly onExhausted: OnExhausted;
  readonly maxPending: number | undefined;
  readonly rateLimit: RateLimit | undefined;
  readonly jobOptions: JobOptions;
  readonly codec: PayloadCodec;
  /** Whether payloads of other codecs are refused, unless those are secret. */
  readonly requireCodec: boolean;
  readonly maxPayloadBytes: number;
  readonly maxResultBytes: number;
}

/** All options, resolved. */
export interface EngineConfig {
  readonly leaseMs: number;
  readonly eventLoopBlockLimitMs: number;
  readonly sweepMs: number;
  readonly shutdownTimeoutMs: number;
  readonly currentJob: boolean;
  readonly failureStackFrames: number;
  readonly replyTimeoutMs: number | undefined;
  readonly context: ContextOptions | undefined;
  readonly producerOnly: boolean;
  readonly maxWorkersPerPod: number;
  /** 0 for never. */
  readonly discoveryMs: number;
  /** Interval of the scaler, in ms; undefined without a scaler. */
  readonly scaleEveryMs: number | undefined;
  /** All codecs that this pod can read. */
  readonly codecs: Codecs;
  entityType(type: string): EntityTypeConfig;
}
