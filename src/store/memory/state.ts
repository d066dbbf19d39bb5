/** What a memory "cluster" keeps: the data alone. Neighbour: `server.ts` has the rules. */
import type { EntityRef } from '../../core/model/entity.js';
import type { Envelope } from '../../core/model/envelope.js';
import type { ChildResult, JobOptions, NewJob } from '../../core/model/job.js';
import type { Thrown } from '../../core/model/reply.js';
import type { Schedule } from '../../core/model/schedule.js';
import type { LongRun } from '../../core/ports/claims.js';
import type { Received } from '../../core/ports/replies.js';
import type { Outcome } from './retention.js';

export interface StoredJob {
  readonly id: string;
  readonly name: string;
  readonly data: string;
  readonly options: JobOptions;
  readonly envelope: Envelope;
  readonly enqueuedAtMs: number;
  /** Of the tries that have failed, the latest last. */
  stacks: readonly string[];
  attempt: number;
  attemptsMade: number;
  stalled: number;
  mustFail: string | undefined;
  /** The schedule that made it. */
  readonly scheduleId?: string;
  fetchedAtMs?: number;
  /** Since when it is left for pods that know its name. */
  leftAtMs?: number | undefined;
  /** With which it had failed when it blocked, or was postponed. */
  thrown?: Thrown | undefined;
  /** The operator has given it up. */
  isSkipped?: boolean;
  /** What it must fail for is that a child has. */
  hasFailedChild?: boolean;
  readonly parent?: ParentOf;
  /** Of a parent, by the ids of its children: how they have ended; nothing for those that have not. */
  children?: Map<string, ChildResult['outcome'] | undefined>;
  outcome?: Outcome;
}

/** The parent of a job in a flow. */
export interface ParentOf {
  readonly ref: EntityRef;
  readonly job: StoredJob;
}

/** Why an owner is to give back what it has fetched. */
export type Recall = 'pause' | 'drop';

export interface StoredSchedule extends Schedule {
  readonly template: NewJob;
  /** In ms since 1970. */
  nextAtMs: number;
  readonly runs: number;
}

export interface StoredEntity {
  readonly ref: EntityRef;
  readonly schedules: Map<string, StoredSchedule>;
  wait: StoredJob[];
  active: StoredJob[];
  delayed: { readonly job: StoredJob; readonly atMs: number }[];
  /** Failed jobs, kept for the operator. */
  failed: StoredJob[];
  completed: StoredJob[];
  /** Jobs that wait for their children. */
  parents: StoredJob[];
  paused: boolean;
  /** How many have been fetched in the span of its rate limit, which ends then. */
  spent?: { readonly sinceMs: number; readonly untilMs: number; count: number } | undefined;
  /** The head of the queue waits for its next try. */
  hold?: Hold | undefined;
  owner?: {
    readonly podId: string;
    epoch: number;
    untilMs: number;
    rests?: boolean;
    recall?: Recall | undefined;
    /** A batch waits for more jobs than are fetched, or reads may have more alongside them. */
    gathering?: { readonly upTo: number; readonly untilMs: number };
    longRuns?: readonly LongRun[] | undefined;
  };
  /** The fencing token of the present owner, or the last one. */
  token: number;
  /** The job that was alone when its pods fell silent, and the pods that it may have killed. */
  suspect?: { readonly jobId: string; readonly pods: readonly string[] } | undefined;
}

/** Why the head of the queue waits: of one try of one job. */
export interface Hold {
  readonly jobId: string;
  readonly attemptsMade: number;
  readonly untilMs: number;
  readonly reason: string;
}

/** What a pod has been told and has not read. */
export interface Mailbox {
  readonly entries: Received[];
  notify: (() => void) | undefined;
}
