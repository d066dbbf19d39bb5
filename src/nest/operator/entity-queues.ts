/** The API for operating queues. Neighbour: `core/ports/operator.ts` declares the steps in the store. */
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
 * The queue of one entity: {@link EntityQueues.of}. Each change is one step, takes effect on the owner wherever it is, and outlives
 * restarts. All methods reject with `StoreUnavailableError` (nothing was changed) or `OutcomeUnknownError`.
 */
export interface EntityQueue {
  /**
   * Lets no further job start. Enqueued jobs wait, and the running job ends. The owner learns of the pause within a round trip. A job
   * that it starts until then still runs.
   */
  pause(): Promise<void>;
  /** Ends a {@link EntityQueue.pause}. */
  resume(): Promise<void>;
  /**
   * Removes all jobs that wait, any number of them, also delayed jobs and parents in flows, but no jobs of schedules. The parent of a
   * removed job sees it as failed. The children of a removed parent still run. The running job ends, with its retries.
   *
   * Resolves when all are removed, and no job that had not started by then can start on any pod. For that, the owner reports which of its
   * prefetched jobs it had started (a round trip). If the owner is dead or hung, its lease must run out first. Then all its prefetched
   * jobs are removed, **also the job that it was running**, which does not run again. A job that is enqueued after `drop()` has resolved
   * runs, even under the `jobId` or the key of a removed job. If this process dies in the meantime, other pods finish the removal.
   */
  drop(): Promise<void>;
  /**
   * Resolves when a look at the entity finds no job that waits, runs, is delayed or waits for its children. A paused or blocked entity
   * is drained only after the operator has resumed or decided, and one with schedules only after they have been removed.
   * @param timeoutMs maximum time to wait, in ms. @default no limit
   * @throws DrainTimeoutError, and NotStartedError for jobs of this pod while the application starts.
   */
  drain(options?: { timeoutMs?: number }): Promise<void>;
  /**
   * Returns jobs in one state: those that wait in their order, those that have ended from the latest on.
   * @param from position of the first one, from 0. @default 0
   * @param limit maximum number, at most 1000. @default 100
   */
  list(state: JobState, options?: { from?: number; limit?: number }): Promise<JobView[]>;
  /**
   * Returns BullMQ's own `Queue`, for tools that need one. Close it after use: it has a connection of its own. Jobs that it adds,
   * retries or promotes are found within `discoveryIntervalMs`. Never attach a `Worker` to it.
   */
  getQueue(): Promise<Queue>;
  /**
   * Returns its schedules, the next to run first; see {@link QueueBus.schedule}.
   * @param from position of the first one, from 0. @default 0
   * @param limit maximum number, at most 1000. @default 100
   */
  schedules(options?: { from?: number; limit?: number }): Promise<ScheduleView[]>;
  /** Ends a schedule. A run that is already due, or is retried, still runs. @returns whether there was one. */
  unschedule(scheduleId: string): Promise<boolean>;
  /** Returns the numbers of its jobs, whether it is paused, and which job blocks it. */
  status(): Promise<EntityStatus>;
  /**
   * Gives the job that blocks the entity (`onExhausted: 'block'`) all its attempts again, ahead of all jobs that wait.
   * @param jobId id of the job, as {@link status} returned it. If another job blocks the entity by now, nothing changes.
   * @returns whether the job blocked the entity.
   */
  retryBlocked(jobId?: string): Promise<boolean>;
  /** Moves the job that blocks the entity to the failed jobs, and the next one runs. Otherwise like {@link retryBlocked}. */
  skipBlocked(jobId?: string): Promise<boolean>;
  /** Removes the job that blocks the entity, and the next one runs. Otherwise like {@link retryBlocked}. */
  dropBlocked(jobId?: string): Promise<boolean>;
}

/** The queues of all entities of a type: {@link EntityQueues.ofType}. */
export interface EntityTypeQueues {
  /** Like {@link EntityQueue.pause}, for all entities of the type, also later ones. */
  pause(): Promise<void>;
  /** Ends that pause. An entity that was paused on its own stays paused. */
  resume(): Promise<void>;
}

/**
 * Operates queues, from any pod.
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

  /** Returns the queue of one entity. @throws InvalidEntityError when the type or the id is invalid. */
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
   * Returns the queues of all entities of a type, also later ones.
   * @throws InvalidEntityError when the type is invalid.
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
   * Returns the dead letters of a type.
   * @throws InvalidEntityError when the type is invalid.
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

/** Polls until the owner has reported its started jobs, or its lease has run out. */
async function dropped(control: EntityControl, entity: EntityRef): Promise<void> {
  await control.drop(entity);
  for (let pauseMs = FIRST_LOOK_MS; await control.isDropping(entity); pauseMs = Math.min(2 * pauseMs, LAST_LOOK_MS)) {
    await new Promise<void>(resolve => systemClock.after(pauseMs, resolve));
  }
}

/** Polls the status: an event may be lost, the state of a queue is not. */
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
        `${entityKey(entity)} is not drained after ${timeoutMs} ms: ${waiting} jobs wait, ${active} run or are fetched, ${delayed} are delayed, ${waitingForChildren} wait for their children. Nothing was changed. Wait again, or raise timeoutMs.`,
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
