/** The queues of entities, for whoever operates them. Neighbour: `core/ports.ts` says what each verb does. */
import { Inject, Injectable } from '@nestjs/common';
import { type EntityId, entityRef } from '../core/entity.js';
import type { EntityControl, EntityStatus } from '../core/ports.js';
import { Runtime } from './runtime.js';

/**
 * The queue of one entity: {@link EntityQueues.of}. Every call is one round trip, takes effect wherever the entity is worked,
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
  /** How many jobs there are, whether it is paused, and which job blocks it. */
  status(): Promise<EntityStatus>;
  /**
   * The job that blocks the entity (`onExhausted: 'block'`) gets all its tries again, before all that waits.
   * @returns whether there was one.
   */
  retryBlocked(): Promise<boolean>;
  /** The job that blocks the entity goes to the failed ones, and the next one runs. @returns whether there was one. */
  skipBlocked(): Promise<boolean>;
  /** The job that blocks the entity is removed, and the next one runs. @returns whether there was one. */
  dropBlocked(): Promise<boolean>;
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
  constructor(@Inject(Runtime) private readonly runtime: Runtime) {}

  /** @throws InvalidEntityError when the type or the id can't name an entity. */
  of(entityType: string, entityId: EntityId): EntityQueue {
    const entity = entityRef(entityType, entityId, 'EntityQueues.of()');
    const control = async (): Promise<EntityControl> => (await this.runtime.started).engine.control;
    return {
      pause: async () => (await control()).pause(entity, true),
      resume: async () => (await control()).pause(entity, false),
      status: async () => (await control()).status(entity),
      retryBlocked: async () => (await control()).unblock(entity, 'retry'),
      skipBlocked: async () => (await control()).unblock(entity, 'skip'),
      dropBlocked: async () => (await control()).unblock(entity, 'drop'),
    };
  }
}
