/**
 * What the operator does to entities and their jobs, and sees of them. Each begins with one atomic step of the store.
 * Neighbour: `store.ts` is what pods do.
 */
import type { EntityRef } from '../model/entity.js';
import type { NewJob } from '../model/job.js';
import type { Schedule } from '../model/schedule.js';

/** What becomes of a job that blocks its entity: it gets all its attempts again, joins the failed jobs, or is removed. */
export type Unblocking = 'retry' | 'skip' | 'drop';

/** The state of one entity. */
export interface EntityStatus {
  /** Number of jobs that wait for their turn. */
  readonly waiting: number;
  /** Number of jobs that run, or are prefetched by the owner. */
  readonly active: number;
  /** Number of delayed jobs. */
  readonly delayed: number;
  /** Number of failed jobs that are kept. */
  readonly failed: number;
  /** Number of parents in flows whose children have not all ended. */
  readonly waitingForChildren: number;
  /** Whether the entity or its type is paused. */
  readonly isPaused: boolean;
  /** The job that has used up its attempts, and for which all others wait (`onExhausted: 'block'`). */
  readonly blockedBy?: { readonly jobId: string; readonly reason: string };
  /** Jobs that have run for a second or longer: at most 16, those that started first, as of a second ago. Absent if there are none. */
  readonly running?: readonly RunningJob[];
}

/** A job whose handler runs. */
export interface RunningJob {
  readonly jobId: string;
  readonly name: string;
  /** In ms since 1970, by the clock of the pod that runs it. */
  readonly startedAtMs: number;
}

/**
 * A state of jobs. `waiting`: all that wait for their turn, the next one first. `waiting-children`: parents in flows, the oldest
 * first.
 */
export type JobState = 'waiting' | 'active' | 'delayed' | 'failed' | 'completed' | 'waiting-children';

/** A job as the operator sees it. */
export interface JobView {
  readonly jobId: string;
  readonly name: string;
  /** As it was enqueued; as it is stored if this pod does not have its codec. */
  readonly data: unknown;
  /** When it was enqueued, in ms since 1970. */
  readonly enqueuedAtMs: number;
  /** How many attempts have failed. */
  readonly attemptsMade: number;
  /** Why the last attempt failed. */
  readonly failedReason?: string;
}

/** The names by which BullMQ finds a queue. */
export interface QueueLocation {
  readonly name: string;
  readonly prefix: string;
}

/** What the operator does to one entity, on whichever pod it is worked. Each call begins with one atomic step of the store. */
export interface EntityControl {
  /** Pauses or resumes. A pause recalls the owner: it gives back the jobs that it has fetched and not started. */
  pause(entity: EntityRef, isPaused: boolean): Promise<void>;
  /** As {@link pause}, for all entities of a type, later ones included. Each entity may also be paused on its own. */
  pauseType(type: string, isPaused: boolean): Promise<void>;
  /**
   * Decides about the job that blocks the entity.
   * @param jobId decides only about this job; without it, about the one that blocks.
   * @returns whether such a job blocked.
   */
  unblock(entity: EntityRef, how: Unblocking, jobId?: string): Promise<boolean>;
  status(entity: EntityRef): Promise<EntityStatus>;
  /**
   * Removes all waiting, delayed and parent jobs; the parent of a removed job sees it as failed. All of them leave the queue in one
   * step, which also recalls the owner. They are then removed in pages, by any other pod if this one dies. Resolves when all are removed.
   */
  drop(entity: EntityRef): Promise<void>;
  /**
   * Whether the owner has not told yet which jobs it had started at the drop. The owner is recalled again. If its lease has passed, this
   * drops all that it had fetched.
   */
  isDropping(entity: EntityRef): Promise<boolean>;
  /** Jobs in one state, from a position on: the next ones first, of ended jobs the latest first. */
  list(entity: EntityRef, state: JobState, from: number, limit: number): Promise<JobView[]>;
  locate(entity: EntityRef): QueueLocation;
}

/** A schedule of an entity as the operator sees it. */
export interface ScheduleView extends Schedule {
  /** The name of its jobs. */
  readonly jobName: string;
  /** The payload of its jobs. */
  readonly data: unknown;
  /** When it runs next, or should have: the present run has not ended. In ms since 1970. */
  readonly nextAtMs: number;
  /** How many of its jobs have ended, except those during which it was put again. */
  readonly runs: number;
}

/** Recurring jobs of an entity. Each schedule has one job at a time; when it ends, the next one is added. */
export interface Schedules {
  /**
   * Starts a schedule, or replaces the one with its id.
   * @returns when it runs next, in ms since 1970.
   */
  put(job: NewJob, schedule: Schedule): Promise<number>;
  /** Schedules from a position on, the next to run first. */
  list(entity: EntityRef, from: number, limit: number): Promise<ScheduleView[]>;
  /** Removes a schedule. A job that is due already still runs. @returns whether there was one. */
  remove(entity: EntityRef, id: string): Promise<boolean>;
}

/** A job that has used up its attempts (`onExhausted: 'deadLetter'`). */
export interface DeadLetter extends Omit<JobView, 'jobId'> {
  readonly letterId: string;
  readonly entityId: string;
  /** The id that it had in the queue of its entity. */
  readonly jobId: string;
  /** When its last attempt failed, in ms since 1970. */
  readonly diedAtMs: number;
  readonly failedReason: string;
  /** Stacks of its attempts, the latest last; at most `stackTraceLimit`. */
  readonly stacks: readonly string[];
}

/** The dead letters of entity types. They stay until the operator decides. */
export interface DeadLetters {
  /** Dead letters from a position on, the oldest first. */
  list(type: string, from: number, limit: number): Promise<DeadLetter[]>;
  /** Ids of the dead letters after a given one ('': of all), the oldest first. */
  ids(type: string, after: string, limit: number): Promise<readonly string[]>;
  /**
   * Its job joins the queue of its entity, with all its attempts, in the step that removes the letter.
   * @returns the job's new id; undefined if there is no such letter.
   */
  replay(type: string, letterId: string): Promise<string | undefined>;
  /** @returns whether there was such a letter. */
  remove(type: string, letterId: string): Promise<boolean>;
  /** The queue in which BullMQ finds the letters of a type, as failed jobs. */
  locate(type: string): QueueLocation;
}
