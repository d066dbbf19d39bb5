/** The options as the core reads them: complete and checked. Types only. Neighbour: `resolve.ts` makes them of what a user wrote. */
import type { JobOptions } from '../model/job.js';
import type { ContextOptions } from '../payload/caller-context.js';
import { Codecs, type PayloadCodec } from '../payload/codec.js';
import type { OnExhausted, Ordering, RateLimit } from './options.js';

/** An entity type as the core reads it. */
export interface EntityTypeConfig {
  readonly type: string;
  readonly queueName: ((encodedId: string) => string) | undefined;
  readonly workerName: ((entityId: string) => string) | undefined;
  readonly idleTimeoutMs: number;
  readonly defaultEntityId: string | undefined;
  readonly lockDurationMs: number;
  readonly prefetch: number;
  /** Most jobs of one batch: what is fetched, or runs, must fit into one call. */
  readonly mostPerBatch: number;
  readonly maxStalledCount: number;
  readonly unknownJobGraceMs: number;
  /** 0 for never. */
  readonly slowHandlerWarnMs: number;
  /** 0 for no limit. */
  readonly handlerTimeoutMs: number;
  readonly concurrency: number;
  readonly maxWorkers: number;
  /** How many handlers of an entity run at once at most: those of all its workers. */
  readonly maxHandlers: number;
  /** How many handlers a new worker runs at once. */
  readonly handlersAtStart: number;
  /** One job after the other, in order; shared reads alongside each other. */
  readonly isOrdered: boolean;
  /** How many shared reads run at once at most; 1 where no handler of this pod is one of them. */
  readonly maxReads: number;
  readonly ordering: Ordering;
  readonly onExhausted: OnExhausted;
  readonly maxPending: number | undefined;
  readonly rateLimit: RateLimit | undefined;
  readonly jobOptions: JobOptions;
  readonly codec: PayloadCodec;
  /** Only what this codec has written is read, or another one that is secret. */
  readonly requireCodec: boolean;
  readonly maxPayloadBytes: number;
  readonly maxResultBytes: number;
}

/** All options as the core reads them. */
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
  /** How often the workers of entities are scaled; not at all without. */
  readonly scaleEveryMs: number | undefined;
  /** All that this pod can read. */
  readonly codecs: Codecs;
  entityType(type: string): EntityTypeConfig;
}
