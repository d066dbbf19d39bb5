/**
 * What a person does to entities and their jobs, and what he sees of them. Each is one atomic step of the store.
 * Neighbour: `store.ts`, what pods do.
 */
import type { EntityRef } from '../model/entity.js';
import type { NewJob } from '../model/job.js';
import type { Schedule } from '../model/schedule.js';

/** What becomes of a job that blocks its entity: all its tries anew, to the failed ones, or removed. */
export type Unblocking = 'retry' | 'skip' | 'drop';

/** What there is of one entity. */
export interface EntityStatus {
  /** Jobs that wait for their turn. */
  readonly waiting: number;
  /** Jobs that run, or are fetched ahead by the pod that works the entity. */
  readonly active: number;
  /** Jobs for later. */
  readonly delayed: number;
  /** Failed jobs that are kept. */
  readonly failed: number;
  /** Parents in flows whose children have not all ended. */
  readonly waitingForChildren: number;
  /** By itself, or with its type. */
  readonly isPaused: boolean;
  /** The job that has used up its tries, and for which all others wait (`onExhausted: 'block'`). */
  readonly blockedBy?: { readonly jobId: string; readonly reason: string };
  /** Jobs that have run for a second or longer, the first that began and 16 at most; a second old. Absent when there are none. */
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
 * Where jobs of an entity may be; `waiting` has all that wait for their turn, the next one first, `waiting-children` parents in
 * flows, the oldest first.
 */
export type JobState = 'waiting' | 'active' | 'delayed' | 'failed' | 'completed' | 'waiting-children';

/** A job as a person sees it. */
export interface JobView {
  readonly jobId: string;
  readonly name: string;
  /** As it was given; what this pod has no codec for, as it is stored. */
  readonly data: unknown;
  /** When it was enqueued, in ms since 1970. */
  readonly enqueuedAtMs: number;
  /** How many tries have failed. */
  readonly attemptsMade: number;
  /** Why the last one failed. */
  readonly failedReason?: string;
}

/** Where BullMQ finds a queue. */
export interface QueueLocation {
  readonly name: string;
  readonly prefix: string;
}

/** What a person does to one entity, wherever it is worked. Each begins with one atomic step of the store. */
export interface EntityControl {
  /** Pauses or resumes. With a pause the owner is recalled: it gives back what it has fetched and not started. */
  pause(entity: EntityRef, isPaused: boolean): Promise<void>;
  /** As {@link pause}, all entities of a type, also those that come later; beside it each may be paused by itself. */
  pauseType(type: string, isPaused: boolean): Promise<void>;
  /**
   * Decides about the job that blocks the entity.
   * @param jobId only about this one; without it, about whichever it is.
   * @returns whether it was one.
   */
  unblock(entity: EntityRef, how: Unblocking, jobId?: string): Promise<boolean>;
  status(entity: EntityRef): Promise<EntityStatus>;
  /**
   * Removes all that waits, also for later or for children; to the parent of what it removes that has failed. All leaves the queue in
   * one step, which recalls the owner, too; it is removed in pages, by any pod where this one dies. Resolves when it is.
   */
  drop(entity: EntityRef): Promise<void>;
  /**
   * Whether the owner has to tell yet what it had started when all was dropped. It is told again. Where its lease has passed, all that
   * it had fetched is dropped by this.
   */
  isDropping(entity: EntityRef): Promise<boolean>;
  /** Jobs in one state, from a position on: those that are next first, and of those that have ended the latest. */
  list(entity: EntityRef, state: JobState, from: number, limit: number): Promise<JobView[]>;
  locate(entity: EntityRef): QueueLocation;
}

/** A schedule of an entity as a person sees it. */
export interface ScheduleView extends Schedule {
  /** The name of its jobs, and what they get. */
  readonly jobName: string;
  readonly data: unknown;
  /** When it runs next, or was to: the present run has not ended. In ms since 1970. */
  readonly nextAtMs: number;
  /** How many of its jobs have ended, but those during which it was put anew. */
  readonly runs: number;
}

/** Jobs of an entity that come again and again. Each schedule has one job at a time; when it ends, the next one is made. */
export interface Schedules {
  /**
   * A schedule begins, or takes the place of one with its id.
   * @returns when it runs next, in ms since 1970.
   */
  put(job: NewJob, schedule: Schedule): Promise<number>;
  /** From a position on, the next to run first. */
  list(entity: EntityRef, from: number, limit: number): Promise<ScheduleView[]>;
  /** What is due already still runs. @returns whether there was one. */
  remove(entity: EntityRef, id: string): Promise<boolean>;
}

/** A job that had used up its tries (`onExhausted: 'deadLetter'`). */
export interface DeadLetter extends Omit<JobView, 'jobId'> {
  readonly letterId: string;
  readonly entityId: string;
  /** The id that it had in the queue of its entity. */
  readonly jobId: string;
  /** When its last try failed, in ms since 1970. */
  readonly diedAtMs: number;
  readonly failedReason: string;
  /** Of its tries, the latest last; as many as `stackTraceLimit`. */
  readonly stacks: readonly string[];
}

/** The dead letters of entity types. They stay until a person decides. */
export interface DeadLetters {
  /** From a position on, the oldest first. */
  list(type: string, from: number, limit: number): Promise<DeadLetter[]>;
  /** Only their ids, the oldest first, of those that came after one ('': all). */
  ids(type: string, after: string, limit: number): Promise<readonly string[]>;
  /**
   * Its job joins the queue of its entity, with all its tries, in the step that removes the letter.
   * @returns the job's new id; nothing when there is no such letter.
   */
  replay(type: string, letterId: string): Promise<string | undefined>;
  /** @returns whether there was one. */
  remove(type: string, letterId: string): Promise<boolean>;
  /** Where BullMQ finds the letters of a type, as failed jobs. */
  locate(type: string): QueueLocation;
}
