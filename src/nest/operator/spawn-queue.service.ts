/** The spawn queue, for those who want to ask it themselves. Neighbour: `store/redis/lua/spawn.lua` is what it is. */
import { Inject, Injectable } from '@nestjs/common';
import { type EntityId, entityRef } from '../../core/model/entity.js';
import type { EntityTypeName } from '../entity-types.js';
import { Runtime } from '../runtime.js';

/**
 * Asks for workers. The library does so itself wherever a job finds no pod that has room for its entity; ask where work
 * came past it, as by a plain BullMQ `Queue.add`, and should not wait for `discoveryIntervalMs`.
 *
 * The requests are ordinary BullMQ jobs, one for each entity, in a queue for each entity type: its name is the type, its
 * prefix `{keyPrefix}:$:spawn`.
 */
@Injectable()
export class SpawnQueueService {
  constructor(@Inject(Runtime) private readonly runtime: Runtime) {}

  /**
   * Asks any pod with room to look at an entity; where none has any, the first that has some again. Nothing happens
   * where the entity has nothing to do or is worked already.
   * @throws InvalidEntityError, StoreUnavailableError, OutcomeUnknownError
   */
  async request(entityType: EntityTypeName, entityId: EntityId): Promise<void> {
    const entity = entityRef(entityType, entityId, 'SpawnQueueService.request()');
    const { engine } = await this.runtime.started;
    await engine.requestWorker(entity);
  }
}
