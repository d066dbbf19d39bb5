/** The options of each entity type, of two origins: `entities` of the module, and the processors that are found. Neighbour: `module-options.ts`. */
import { entityWithDurationsInMs } from '../../core/options/durations.js';
import type { EntityOptions } from '../../core/options/options.js';
import type { EntityTypeName } from '../entity-types.js';
import type { EntitiesOptions } from './module-options.js';

/** Options of a processor take precedence over those of its type in `entities`, one by one. */
export function mergeEntities(
  entities: EntitiesOptions = {},
  processors: ReadonlyMap<string, EntityOptions>,
): Record<string, EntityOptions> {
  const merged = { ...entities } as Record<string, EntityOptions>;
  for (const [type, own] of processors) {
    const given = Object.hasOwn(entities, type) ? entities[type as EntityTypeName] : undefined;
    // guards: merge-entities.mergeEntities
    const base = given && entityWithDurationsInMs(`entities.${type}`, given);
    const workerConfig = own.workerConfig && { ...base?.workerConfig, ...own.workerConfig };
    merged[type] = { ...base, ...own, ...(workerConfig && { workerConfig }) };
  }
  return merged;
}
