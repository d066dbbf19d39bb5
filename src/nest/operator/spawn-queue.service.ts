/** The API of the spawn queue. Neighbour: `store/redis/lua/spawn.lua` keeps its requests. */
import { Inject, Injectable } from '@nestjs/common';
import { type EntityId, entityRef } from '../../core/model/entity.js';
import type { EntityTypeName } from '../entity-types.js';
import { Runtime } from '../runtime.js';

/**
 * Requests workers. The library does so itself if no pod has room for an entity with a job. Call it for jobs that were added outside
 * this library, such as by a plain BullMQ `Queue.add`, if they should not wait for `discoveryIntervalMs`.
 *
 * The requests are ordinary BullMQ jobs, one per entity, in one queue per entity type. The queue's name is the type, and its prefix is
 * `{keyPrefix}:$:spawn`.
 */
@Injectable()
export class SpawnQueueService {
  constructor(@Inject(Runtime) private readonly runtime: Runtime) {}

  /**
   * Asks a pod with room to claim an entity if it has jobs. If no pod has room, the first one that has some again does. Nothing happens
   * if the entity has no jobs or has an owner.
   * @throws InvalidEntityError, StoreUnavailableError, OutcomeUnknownError
   */
  async request(entityType: EntityTypeName, entityId: EntityId): Promise<void> {
    const entity = entityRef(entityType, entityId, 'SpawnQueueService.request()');
    const { engine } = await this.runtime.started;
    await engine.requestWorker(entity);
  }
}
