/**
 * What a memory "cluster" keeps: its data, and how an entity's record is found, made and removed.
 * Neighbour: `server.ts` has the rules. `queue.ts` orders the jobs of one entity.
 */
import { type EntityRef, entityKey } from '../../core/model/entity.js';
import type { Envelope } from '../../core/model/envelope.js';
import type { ChildResult, JobOptions, NewJob } from '../../core/model/job.js';
import type { Thrown } from '../../core/model/reply.js';
import type { Schedule } from '../../core/model/schedule.js';
import type { LongRun } from '../../core/ports/claims.js';
import type { Clock } from '../../core/ports/clock.js';
import type { DeadLetter } from '../../core/ports/operator.js';
import type { Received } from '../../core/ports/replies.js';
import type { Outcome } from './retention.js';

export interface StoredJob {
  readonly id: string;
  readonly name: string;
  readonly data: string;
  readonly options: JobOptions;
  readonly envelope: Envelope;
  readonly enqueuedAtMs: number;
  /** Stacks of its failed attempts, the latest last. */
  stacks: readonly string[];
  attempt: number;
  attemptsMade: number;
  stalled: number;
  mustFail: string | undefined;
  /** The schedule that made it. */
  readonly scheduleId?: string;
  fetchedAtMs?: number;
  /** Since when it is left for pods that know its name. */
  deferredAtMs?: number | undefined;
  /** What it failed with when it blocked its entity, or was postponed. */
  thrown?: Thrown | undefined;
  /** The operator has given it up. */
  isSkipped?: boolean;
  /** It must fail because one of its children has failed. */
  hasFailedChild?: boolean;
  readonly parent?: ParentOf;
  /** For a parent, by the ids of its children: how each has ended; undefined for those that have not. */
  children?: Map<string, ChildResult['outcome'] | undefined>;
  outcome?: Outcome;
}

/** The parent of a job in a flow. */
export interface ParentOf {
  readonly ref: EntityRef;
  readonly job: StoredJob;
}

/** Why an owner must give back what it has fetched. */
export type Recall = 'pause' | 'drop';

export interface StoredSchedule extends Schedule {
  readonly template: NewJob;
  /** In ms since 1970. */
  nextAtMs: number;
  readonly runs: number;
}

export interface Owner {
  readonly podId: string;
  epoch: number;
  untilMs: number;
  isDormant?: boolean;
  recall?: Recall | undefined;
  /** A batch waits for more jobs than are fetched, or shared reads may have more alongside them. */
  gathering?: { readonly upTo: number; readonly untilMs: number };
  longRuns?: readonly LongRun[] | undefined;
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
  /** How many jobs have been fetched in the span of its rate limit, and when the span ends. */
  spent?: { readonly sinceMs: number; readonly untilMs: number; count: number } | undefined;
  /** The head of the queue waits for its next attempt. */
  hold?: Hold | undefined;
  owner?: Owner;
  /** The fencing token of the present owner, or the last one. */
  token: number;
  /** The job that was fetched alone when its pods fell silent, and the pods that it may have killed. */
  suspect?: { readonly jobId: string; readonly pods: readonly string[] } | undefined;
}

/** Why the head of the queue waits: it belongs to one attempt of one job. */
export interface Hold {
  readonly jobId: string;
  readonly attemptsMade: number;
  readonly untilMs: number;
  readonly reason: string;
}

/** Replies that a pod has been sent and has not read. */
export interface Mailbox {
  readonly entries: Received[];
  notify: (() => void) | undefined;
}

/** Wake-ups that a pod has been sent and has not read. */
export interface WakeUpBox {
  readonly words: Set<string>;
  notify: (() => void) | undefined;
}

export class MemoryState {
  /** By their keys. */
  readonly entities = new Map<string, StoredEntity>();
  /** The inspection schedule: when to inspect an entity, in ms, by its key. */
  readonly due = new Map<string, number>();
  readonly wakeUps = new Map<string, WakeUpBox>();
  readonly mailboxes = new Map<string, Mailbox>();
  /** Entities for which a worker was requested, by their keys. */
  readonly requests = new Set<string>();
  /** By type: when each pod last announced capacity for it, and how many entities the pod works. */
  readonly pods = new Map<string, Map<string, { readonly seenAtMs: number; readonly workers: number }>>();
  /** By type: what pods announce of it, and until when that holds. */
  readonly hosts = new Map<string, Map<string, number>>();
  /** Until when each pod counts as heard: its dormant claims last as long. */
  readonly alive = new Map<string, number>();
  /** When the last silence of all pods ended, and when the next one begins. */
  heard: { readonly sinceMs: number; readonly untilMs: number } | undefined;
  readonly pausedTypes = new Set<string>();
  /** By type, the oldest first. */
  readonly letters = new Map<string, DeadLetter[]>();
  discoveredAtMs = Number.NEGATIVE_INFINITY;
  private ids = 0;

  constructor(
    readonly clock: Clock,
    readonly leaseMs: number,
  ) {}

  now(): number {
    return this.clock.monotonicMs();
  }

  nextId(): string {
    return String(++this.ids);
  }

  mailbox(podId: string): Mailbox {
    const mailbox = this.mailboxes.get(podId) ?? { entries: [], notify: undefined };
    this.mailboxes.set(podId, mailbox);
    return mailbox;
  }

  wakeUpBox(podId: string): WakeUpBox {
    const box = this.wakeUps.get(podId) ?? { words: new Set(), notify: undefined };
    this.wakeUps.set(podId, box);
    return box;
  }

  find(ref: EntityRef): StoredEntity | undefined {
    return this.entities.get(entityKey(ref));
  }

  /** The entity; a new one if there is none. */
  entity(ref: EntityRef): StoredEntity {
    const key = entityKey(ref);
    let entity = this.entities.get(key);
    if (!entity) {
      const schedules = new Map<string, StoredSchedule>();
      const jobs = { wait: [], active: [], delayed: [], failed: [], completed: [], parents: [] };
      entity = { ref, schedules, ...jobs, paused: false, token: 0 };
      this.entities.set(key, entity);
    }
    return entity;
  }

  /** Removes the record of a drained entity (I8), unless it has an owner, a pause or kept jobs. */
  forget(entity: StoredEntity): void {
    const jobs = [entity.wait, entity.active, entity.delayed, entity.failed, entity.completed, entity.parents];
    if (jobs.some(({ length }) => length > 0) || entity.paused || entity.owner) return;
    this.entities.delete(entityKey(entity.ref));
  }

  isPaused({ paused, ref }: StoredEntity): boolean {
    return paused || this.pausedTypes.has(ref.type);
  }
}
