/**
 * Finds what this pod can do: `@WorkerProcessor` providers and their `@JobHandler` and `@BatchHandler` methods, filled into
 * the core's table.
 * Neighbours: `handler-method.ts` says how a method is called; `cqrs/bridge.ts` does the same for CQRS handlers.
 */
import { isDeepStrictEqual } from 'node:util';
import type { HandlerTable } from '../core/dispatch.js';
import { HandlerConflictError, InvalidCommandError } from '../core/errors.js';
import type { EntityOptions } from '../core/options.js';
import { bindMethod } from './handler-method.js';
import { getMetadata, type WorkerProcessorOptions } from './metadata.js';
import type { Provider } from './provider.js';

/**
 * Registers all handlers of processors.
 * @returns the entity options that processors declare, by entity type.
 * @throws HandlerConflictError, InvalidCommandError, InvalidOptionError, UnsupportedError: see each message.
 */
export function exploreProcessors(providers: readonly Provider[], handlers: HandlerTable): Map<string, EntityOptions> {
  const options = new Map<string, EntityOptions>();
  for (const provider of providers) {
    const { target } = provider;
    const processor = getMetadata(target, 'processor');
    const methods = getMetadata(target, 'jobHandlers');
    const batches = getMetadata(target, 'batchHandlers');
    if (!processor) {
      if (methods || batches) {
        throw new InvalidCommandError(
          `${target.name} has @JobHandler or @BatchHandler methods but no @WorkerProcessor({ entityType }); add it.`,
        );
      }
      continue;
    }
    const { entityType } = processor;
    options.set(entityType, mergeOptions(processor, options.get(entityType)));
    handlers.host(entityType);
    for (const [name, { method, isShared }] of methods ?? []) {
      const run = bindMethod(provider, method);
      const origin = `${target.name}.${String(method)}`;
      handlers.addJobHandler(entityType, name, (_, context) => run(context.job, context.entityId, context), origin);
      if (isShared) handlers.share(entityType, name, origin);
    }
    for (const [name, { method, ...limits }] of batches ?? []) {
      const run = bindMethod(provider, method);
      handlers.addBatchHandler(
        entityType,
        name,
        {
          ...limits,
          run: (jobs, context) =>
            run(
              jobs.map(job => job.native()),
              context.entityId,
              context,
            ),
        },
        `${target.name}.${String(method)}`,
      );
    }
  }
  return options;
}

function mergeOptions(
  { entityType, enhancers: _, ...own }: WorkerProcessorOptions,
  others: EntityOptions = {},
): EntityOptions {
  const merged: Record<string, unknown> = { ...others };
  for (const [name, value] of Object.entries(own)) {
    if (value === undefined) continue;
    if (merged[name] !== undefined && !isDeepStrictEqual(merged[name], value)) {
      throw new HandlerConflictError(
        `Two @WorkerProcessor of "${entityType}" differ in "${name}"; set it in one of them.`,
      );
    }
    merged[name] = value;
  }
  return merged;
}
