/** Types of the engine's requests and of its results. Neighbour: `enqueuer.ts` checks, encodes and sends requests. */
import type { EntityId } from '../model/entity.js';
import type { JobOptions } from '../model/job.js';

/** A job as the user requests it. */
export interface JobRequest {
  readonly entityType: string;
  readonly entityId: EntityId;
  readonly name: string;
  /** Any value that the codec of its entity type can carry; by default, JSON. */
  readonly data: unknown;
  /** BullMQ's options of a job. */
  readonly options?: JobOptions;
}

/** A job that was added. It stays in the queue even if this process ends. */
export interface EnqueuedJob {
  /** BullMQ's id of the job: the id that the request gave, or a new one. */
  readonly jobId: string;
  readonly entityType: string;
  readonly entityId: string;
  /** Name of the entity's BullMQ queue. */
  readonly queueName: string;
}

/** A flow that was added: its root, and below each job its children in the given order. */
export interface EnqueuedFlow extends EnqueuedJob {
  readonly children: readonly EnqueuedFlow[];
}

/** A schedule that was started. It continues until it is removed, even if this process ends. */
export interface ScheduledJob {
  readonly scheduleId: string;
  readonly entityType: string;
  readonly entityId: string;
  /** Name of the entity's BullMQ queue. */
  readonly queueName: string;
  /** Time of its next run, in ms since 1970. */
  readonly nextAtMs: number;
}
