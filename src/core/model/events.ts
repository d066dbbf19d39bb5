/**
 * What happens to workers, jobs and connections of this pod, told to whoever listens; nothing is made where nobody does.
 * Neighbour: `nest/events.ts` is the stream that an application subscribes to.
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

/** Something that happened on this pod; tell them apart by `type`. */
export type LifecycleEvent =
  /** This pod works the entity from now on. */
  | (OfEntity & { readonly type: 'worker.claimed' })
  /** … and took it over from a pod that had fetched `recovered` jobs and was heard of no more. */
  | (OfEntity & { readonly type: 'worker.takeover'; readonly recovered: number })
  /** Another pod has it, or its claim was deleted: the running handler is told to stop. */
  | (OfEntity & { readonly type: 'worker.lost' })
  /** Nothing to do at the moment. */
  | (OfEntity & { readonly type: 'worker.idle' })
  /** This pod has given it up. */
  | (OfEntity & { readonly type: 'worker.released' })
  /** The cron manager has given the entity more workers, for that many jobs that wait or run … */
  | (OfEntity & { readonly type: 'scaler.spawned'; readonly workers: number; readonly backlog: number })
  /** … or fewer. */
  | (OfEntity & { readonly type: 'scaler.terminated'; readonly workers: number; readonly backlog: number })
  | (OfJob & { readonly type: 'job.started' })
  /** It runs for `slowHandlerWarnMs` or longer; told again each time that it has run twice as long, and once an hour. */
  | (OfJob & { readonly type: 'job.slow'; readonly durationMs: number })
  | (OfJob & { readonly type: 'job.completed'; readonly durationMs: number })
  /** It has failed for good: no try is left. */
  | (OfJob & { readonly type: 'job.failed'; readonly durationMs: number; readonly reason: string })
  /** … and its entity waits until a person decides (`onExhausted: 'block'`). */
  | (OfJob & { readonly type: 'job.blocked'; readonly durationMs: number; readonly reason: string })
  /** … and has become a dead letter (`onExhausted: 'deadLetter'`). */
  | (OfJob & { readonly type: 'job.dead'; readonly durationMs: number; readonly reason: string })
  /** It has failed, and is tried again in `delayMs`. */
  | (OfJob & {
      readonly type: 'job.retried';
      readonly durationMs: number;
      readonly reason: string;
      readonly delayMs: number;
    })
  /** Its pod died while it ran alone; it runs again, or fails if that was once too often. */
  | (OfJob & { readonly type: 'job.stalled' })
  /** The connection that commands travel on. */
  | { readonly type: 'connection.lost'; readonly reason: string }
  | { readonly type: 'connection.restored' };

/** Where events go. */
export interface EventSink {
  /** False while nobody listens. */
  readonly observed: boolean;
  emit(event: LifecycleEvent): void;
}

/** For an engine that nobody watches. */
export const NO_EVENTS: EventSink = { observed: false, emit() {} };

export function ofEntity({ type, id }: EntityRef, fencingToken: string): OfEntity {
  return { entityType: type, entityId: id, fencingToken };
}
