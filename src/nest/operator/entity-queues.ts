/** The queues of entities, for whoever operates them. Neighbour: `core/ports/operator.ts` says what each verb does. */
import { Inject, Injectable } from '@nestjs/common';
import type { Queue } from 'bullmq';
import { type EntityId, type EntityRef, entityKey, entityRef } from '../../core/model/entity.js';
import { DrainTimeoutError, InvalidOptionError } from '../../core/model/errors.js';
import { milliseconds } from '../../core/options/durations.js';
import type {
  EntityControl,
  EntityStatus,
  JobState,
  JobView,
  Schedules,
  ScheduleView,
} from '../../core/ports/operator.js';
import { openQueue } from '../../store/redis/operator/open-queue.js';
import type { EntityTypeName } from '../entity-types.js';
import type { AtomicQueuesModuleOptions } from '../options/module-options.js';
import { MODULE_OPTIONS, Runtime } from '../runtime.js';
import { systemClock } from '../system.js';
import { checkPage, type DeadLetterQueue, deadLetterQueue } from './dead-letter-queue.js';

/**
 * The queue of one entity: {@link EntityQueues.of}. What changes it is one step, takes effect wherever the entity is worked,
 * and outlives restarts. All reject with `StoreUnavailableError` (nothing was done) or `OutcomeUnknownError`.
 */
export interface EntityQueue {
  /**
   * Lets nothing more start; what is enqueued waits, and the running job ends. The pod that works the entity hears of it
   * within a round trip; what it has fetched and starts until then still runs.
   */
  pause(): Promise<void>;
  /** Takes a {@link EntityQueue.pause} back. */
  resume(): Promise<void>;
  /**
   * Removes all jobs that wait, however many, also those for later or for their children, but not those of schedules. The parent of a
   * removed job sees it as failed; the children of a removed parent still run. The running job ends, with its retries.
   *
   * Resolves when no job that had not started by then will ever start, on any pod, and all are removed: when the pod that works the
   * entity has told which of its prefetched jobs it had started (a round trip). If that pod is dead or hung, its lease has to run out
   * first; then all that it had prefetched is removed, **also a job that it was running**, which does not run again. What is enqueued
   * after the call began runs, also under the `jobId` or the key of a removed job. If this process dies meanwhile, other pods finish.
   */
  drop(): Promise<void>;
  /**
   * Resolves when the entity has no job left that waits, for its children too, runs or is for later, as far as can be seen from one moment to the next.
   * Of a paused or blocked entity it resolves after somebody has decided, of one with schedules after they have been removed.
   * @param timeoutMs how long to wait at most, in ms. Default: as long as it takes.
   * @throws DrainTimeoutError, and NotStartedError for jobs that run here while the application starts.
   */
  drain(options?: { timeoutMs?: number }): Promise<void>;
  /**
   * Jobs in one state: those that are next first, and of those that have ended the latest.
   * @param from the first one's position, from 0. Default 0.
   * @param limit Default 100.
   */
  list(state: JobState, options?: { from?: number; limit?: number }): Promise<JobView[]>;
  /**
   * BullMQ's own `Queue`, for whatever works on one. Close it when you are done: it has a connection of its own. What it adds,
   * retries or promotes comes past this library, and is found within `discoveryIntervalMs`; a `Worker` must not be attached.
   */
  getQueue(): Promise<Queue>;
  /**
   * Its schedules, the next to run first; see {@link QueueBus.schedule}.
   * @param from the first one's position, from 0. Default 0.
   * @param limit Default 100, at most 1000.
   */
  schedules(options?: { from?: number; limit?: number }): Promise<ScheduleView[]>;
  /** Ends a schedule; a run of it that is due already, or is tried again, still runs. @returns whether there was one. */
  unschedule(scheduleId: string): Promise<boolean>;
  /** How many jobs there are, whether it is paused, and which job blocks it. */
  status(): Promise<EntityStatus>;
  /**
   * The job that blocks the entity (`onExhausted: 'block'`) gets all its tries again, before all that waits.
   * @param jobId only if it is this one, as {@link status} has told; another may block the entity by now.
   * @returns whether it was.
   */
  retryBlocked(jobId?: string): Promise<boolean>;
  /** The job that blocks the entity goes to the failed ones, and the next one runs; otherwise as {@link retryBlocked}. */
  skipBlocked(jobId?: string): Promise<boolean>;
  /** The job that blocks the entity is removed, and the next one runs; otherwise as {@link retryBlocked}. */
  dropBlocked(jobId?: string): Promise<boolean>;
}

/** The queues of all entities of a type: {@link EntityQueues.ofType}. */
export interface EntityTypeQueues {
  /** As {@link EntityQueue.pause}; an entity that is paused by itself stays so when the type is resumed. */
  pause(): Promise<void>;
  resume(): Promise<void>;
}

/**
 * Operates the queue of an entity, from any pod.
 *
 * @example
 * ```ts
 * const account = entityQueues.of('account', '42');
 * await account.pause();
 * ```
 */
@Injectable()
export class EntityQueues {
  constructor(
    @Inject(Runtime) private readonly runtime: Runtime,
    @Inject(MODULE_OPTIONS) private readonly options: AtomicQueuesModuleOptions,
  ) {}

  /** @throws InvalidEntityError when the type or the id can't name an entity. */
  of(entityType: EntityTypeName, entityId: EntityId): EntityQueue {
    const entity = entityRef(entityType, entityId, 'EntityQueues.of()');
    const control = () => this.control();
    return {
      pause: async () => (await control()).pause(entity, true),
      resume: async () => (await control()).pause(entity, false),
      drop: async () => dropped(await control(), entity),
      drain: async ({ timeoutMs } = {}) =>
        drained(await control(), entity, { timeoutMs, checkWorks: () => this.runtime.checkWorks(entity.type) }),
      list: async (state, { from = 0, limit = 100 } = {}) => {
        checkList(state, from, limit);
        return (await control()).list(entity, state, from, limit);
      },
      getQueue: async () => openQueue((await control()).locate(entity), this.options.redis),
      schedules: async ({ from = 0, limit = 100 } = {}) => {
        checkPage(from, limit);
        return (await this.schedules()).list(entity, from, limit);
      },
      unschedule: async scheduleId => (await this.schedules()).remove(entity, String(scheduleId)),
      status: async () => (await control()).status(entity),
      retryBlocked: async jobId => (await control()).unblock(entity, 'retry', jobId),
      skipBlocked: async jobId => (await control()).unblock(entity, 'skip', jobId),
      dropBlocked: async jobId => (await control()).unblock(entity, 'drop', jobId),
    };
  }

  /**
   * All entities of a type, those that come later among them.
   * @throws InvalidEntityError when the type can't name one.
   */
  ofType(entityType: EntityTypeName): EntityTypeQueues {
    const { type } = entityRef(entityType, 'any', 'EntityQueues.ofType()');
    const control = () => this.control();
    return {
      pause: async () => (await control()).pauseType(type, true),
      resume: async () => (await control()).pauseType(type, false),
    };
  }

  /**
   * The dead letters of a type.
   * @throws InvalidEntityError when the type can't name one.
   */
  deadLetters(entityType: EntityTypeName): DeadLetterQueue {
    const { type } = entityRef(entityType, 'any', 'EntityQueues.deadLetters()');
    const letters = async () => (await this.runtime.started).engine.deadLetters;
    return deadLetterQueue(type, letters, this.options.redis);
  }

  private async schedules(): Promise<Schedules> {
    return (await this.runtime.started).engine.schedules;
  }

  private async control(): Promise<EntityControl> {
    return (await this.runtime.started).engine.control;
  }
}

const FIRST_LOOK_MS = 20;
const LAST_LOOK_MS = 500;

/** Asks until the owner has told what it had started, or has lost its lease. */
async function dropped(control: EntityControl, entity: EntityRef): Promise<void> {
  await control.drop(entity);
  for (let pauseMs = FIRST_LOOK_MS; await control.isDropping(entity); pauseMs = Math.min(2 * pauseMs, LAST_LOOK_MS)) {
    await new Promise<void>(resolve => systemClock.after(pauseMs, resolve));
  }
}

/** Asks again and again: an event may be lost, a queue can't. */
async function drained(
  control: EntityControl,
  entity: EntityRef,
  { timeoutMs, checkWorks }: { timeoutMs: number | undefined; checkWorks: () => void },
): Promise<void> {
  if (timeoutMs !== undefined) milliseconds('timeoutMs of drain()', timeoutMs);
  const startedAtMs = systemClock.monotonicMs();
  for (let pauseMs = FIRST_LOOK_MS; ; pauseMs = Math.min(2 * pauseMs, LAST_LOOK_MS)) {
    const { waiting, active, delayed, waitingForChildren } = await control.status(entity);
    if (waiting + active + delayed + waitingForChildren === 0) return;
    checkWorks();
    const leftMs = timeoutMs === undefined ? pauseMs : startedAtMs + timeoutMs - systemClock.monotonicMs();
    if (leftMs <= 0) {
      throw new DrainTimeoutError(
        `${entityKey(entity)} is not drained after ${timeoutMs} ms: ${waiting} jobs wait, ${active} run or are fetched, ${delayed} are for later, ${waitingForChildren} wait for their children.`,
      );
    }
    await new Promise<void>(resolve => systemClock.after(Math.min(pauseMs, leftMs), resolve));
  }
}

const STATES: readonly string[] = [
  'waiting',
  'active',
  'delayed',
  'failed',
  'completed',
  'waiting-children',
] satisfies JobState[];

function checkList(state: JobState, from: number, limit: number): void {
  if (!STATES.includes(state)) {
    throw new InvalidOptionError(`list() knows no state ${JSON.stringify(state)}; known: ${STATES.join(', ')}.`);
  }
  checkPage(from, limit);
}
