/** What is asked of the engine, and what comes back. Types only. Neighbour: `enqueuer.ts` checks, encodes and sends. */
import type { EntityId } from '../model/entity.js';
import type { JobOptions } from '../model/job.js';

/** A job as a user asks for it. */
export interface JobRequest {
  readonly entityType: string;
  readonly entityId: EntityId;
  readonly name: string;
  /** Anything that the codec of its type can carry: JSON, where nothing else is said. */
  readonly data: unknown;
  /** BullMQ's options of a job. */
  readonly options?: JobOptions;
}

/** A job that was added: from now on it is in the queue, also if this process ends. */
export interface EnqueuedJob {
  /** BullMQ's id of the job; the one that was given, or a new one. */
  readonly jobId: string;
  readonly entityType: string;
  readonly entityId: string;
  /** Name of the entity's BullMQ queue. */
  readonly queueName: string;
}

/** A flow that was added: its root, and below it the children of each job in the order given. */
export interface EnqueuedFlow extends EnqueuedJob {
  readonly children: readonly EnqueuedFlow[];
}

/** A schedule that has begun: it goes on until it is removed, also if this process ends. */
export interface ScheduledJob {
  readonly scheduleId: string;
  readonly entityType: string;
  readonly entityId: string;
  /** Name of the entity's BullMQ queue. */
  readonly queueName: string;
  /** When it runs next, in ms since 1970. */
  readonly nextAtMs: number;
}
