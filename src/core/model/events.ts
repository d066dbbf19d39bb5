/**
 * Lifecycle events of workers, jobs and connections of this pod. No event is made while no listener is there.
 * Neighbour: `nest/events.ts` is the stream to which an application subscribes.
 */
import type { EntityRef } from './entity.js';

interface OfEntity {
  readonly entityType: string;
  readonly entityId: string;
  /** The fencing token of this pod's claim. */
  readonly fencingToken: string;
}

interface OfJob extends OfEntity {
  readonly jobId: string;
  readonly jobName: string;
  readonly attempt: number;
}

/** An event of this pod. `type` tells which. */
export type LifecycleEvent =
  /** This pod has claimed the entity. */
  | (OfEntity & { readonly type: 'worker.claimed' })
  /** This pod has taken the entity over from a silent owner that had fetched `recovered` jobs. */
  | (OfEntity & { readonly type: 'worker.takeover'; readonly recovered: number })
  /** Another pod has the entity, or its claim was deleted. The signal of the running handler aborts. */
  | (OfEntity & { readonly type: 'worker.lost' })
  /** The entity has no job to run. */
  | (OfEntity & { readonly type: 'worker.idle' })
  /** This pod has released the entity. */
  | (OfEntity & { readonly type: 'worker.released' })
  /** The cron manager has given the entity more workers. `backlog` is the number of jobs that wait or run. */
  | (OfEntity & { readonly type: 'scaler.spawned'; readonly workers: number; readonly backlog: number })
  /** The cron manager has given the entity fewer workers. */
  | (OfEntity & { readonly type: 'scaler.terminated'; readonly workers: number; readonly backlog: number })
  | (OfJob & { readonly type: 'job.started' })
  /** The job has run for `slowHandlerWarnMs` or longer. Repeated each time that it has run twice as long, and once an hour. */
  | (OfJob & { readonly type: 'job.slow'; readonly durationMs: number })
  | (OfJob & { readonly type: 'job.completed'; readonly durationMs: number })
  /** The job has failed, and no attempt is left. */
  | (OfJob & { readonly type: 'job.failed'; readonly durationMs: number; readonly reason: string })
  /** The job has failed, and its entity waits until the operator decides (`onExhausted: 'block'`). */
  | (OfJob & { readonly type: 'job.blocked'; readonly durationMs: number; readonly reason: string })
  /** The job has failed and become a dead letter (`onExhausted: 'deadLetter'`). */
  | (OfJob & { readonly type: 'job.dead'; readonly durationMs: number; readonly reason: string })
  /** The job has failed, and is retried in `delayMs`. */
  | (OfJob & {
      readonly type: 'job.retried';
      readonly durationMs: number;
      readonly reason: string;
      readonly delayMs: number;
    })
  /** The job's pod died while the job ran alone. It runs again, or fails after `maxStalledCount`. */
  | (OfJob & { readonly type: 'job.stalled' })
  /** The connection for commands is lost. */
  | { readonly type: 'connection.lost'; readonly reason: string }
  | { readonly type: 'connection.restored' };

/** Receiver of events. */
export interface EventSink {
  /** Whether a listener is there. */
  readonly observed: boolean;
  emit(event: LifecycleEvent): void;
}

/** A receiver without listeners. */
export const NO_EVENTS: EventSink = { observed: false, emit() {} };

export function ofEntity({ type, id }: EntityRef, fencingToken: string): OfEntity {
  return { entityType: type, entityId: id, fencingToken };
}
