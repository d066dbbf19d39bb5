/**
 * Handler lookup: finds `@WorkerProcessor` providers and registers their `@JobHandler` and `@BatchHandler` methods in the core's table.
 * Neighbours: `handler-method.ts` calls a method; `nest/handlers/cqrs-bridge.ts` registers CQRS handlers.
 */
import { isDeepStrictEqual } from 'node:util';
import type { BatchHandling } from '../../core/handlers/batch-options.js';
import type { HandlerTable } from '../../core/handlers/handler-table.js';
import { schemaValidator } from '../../core/handlers/validation.js';
import { HandlerConflictError, InvalidCommandError } from '../../core/model/errors.js';
import type { JobRunner } from '../../core/model/job.js';
import { entityWithDurationsInMs } from '../../core/options/durations.js';
import type { EntityOptions } from '../../core/options/options.js';
import type { Log } from '../../core/ports/log.js';
import { type Class, getMetadata, type WorkerProcessorOptions } from '../decorators/metadata.js';
import { bindMethod, hasMethod } from './handler-method.js';
import type { Provider } from './provider.js';

/** Maximum number of methods that one log line names. */
const MAX_TOLD = 10;

/** Whether a class has `@WorkerProcessor`. */
export function isProcessor(target: Class): boolean {
  return getMetadata(target, 'processor') !== undefined;
}

/**
 * Registers all handlers of processors.
 * @returns the entity options of the processors, by entity type.
 * @throws HandlerConflictError, InvalidCommandError, InvalidOptionError, UnsupportedError: see each message.
 */
export function exploreProcessors(
  providers: readonly Provider[],
  handlers: HandlerTable,
  log: Log,
): Map<string, EntityOptions> {
  const options = new Map<string, EntityOptions>();
  for (const provider of providers) {
    const { target } = provider;
    const processor = getMetadata(target, 'processor');
    if (!processor) {
      if (getMetadata(target, 'jobHandlers') || getMetadata(target, 'batchHandlers')) {
        throw new InvalidCommandError(
          `${target.name} has @JobHandler or @BatchHandler methods, but no @WorkerProcessor({ entityType }). Add it.`,
        );
      }
      continue;
    }
    const { entityType } = processor;
    options.set(entityType, mergeOptions(processor, options.get(entityType)));
    if (!provider.madeOf) handlers.host(entityType);
    const missing = registerMethods(provider, entityType, handlers);
    if (missing.length > 0) log.warn(lacks(target, entityType, missing));
  }
  return options;
}

/** A warning and no error, since a test may intend it. */
function lacks({ name }: Class, entityType: string, missing: readonly string[]): string {
  const told = missing.slice(0, MAX_TOLD).join(', ') + (missing.length > MAX_TOLD ? ' …' : '');
  return `The stand-in for ${name} lacks ${told}, so this pod does not work those jobs of "${entityType}". Add the methods to it.`;
}

/** @returns the methods that the stand-in for the processor lacks. */
function registerMethods(provider: Provider, entityType: string, handlers: HandlerTable): string[] {
  const { target, madeOf } = provider;
  const missing = new Set<string>();
  const isMissing = (method: string | symbol) => {
    const is = madeOf !== undefined && !hasMethod(provider, method);
    if (is) missing.add(String(method));
    return is;
  };
  const origin = (method: string | symbol) => `${target.name}.${String(method)}`;
  const validatorOf = (name: string) => {
    const schema = getMetadata(target, 'jobSchemas')?.get(name);
    return schema && schemaValidator(schema);
  };
  for (const [name, { method, isShared }] of getMetadata(target, 'jobHandlers') ?? []) {
    if (isMissing(method)) continue;
    const call = bindMethod(provider, method);
    const runner: JobRunner = (_, context) => call([context.job, context.entityId, context], context);
    handlers.add(entityType, name, { runner, origin: origin(method), validator: validatorOf(name) });
    if (isShared) handlers.share(entityType, name, origin(method));
  }
  for (const [name, { method, ...limits }] of getMetadata(target, 'batchHandlers') ?? []) {
    if (isMissing(method)) continue;
    const call = bindMethod(provider, method);
    const natives: BatchHandling['run'] = (jobs, context) =>
      call([jobs.map(job => job.native()), context.entityId, context], context);
    const batch = { ...limits, run: natives };
    handlers.add(entityType, name, { batch, origin: origin(method), validator: validatorOf(name) });
  }
  return [...missing];
}

function mergeOptions(
  { entityType, enhancers: _, ...own }: WorkerProcessorOptions,
  others: EntityOptions = {},
): EntityOptions {
  const merged: Record<string, unknown> = { ...others };
  for (const [name, value] of Object.entries(entityWithDurationsInMs(`@WorkerProcessor of "${entityType}"`, own))) {
    if (value === undefined) continue;
    if (merged[name] !== undefined && !isDeepStrictEqual(merged[name], value)) {
      throw new HandlerConflictError(
        `Two @WorkerProcessor of "${entityType}" differ in "${name}". Set it in one of them.`,
      );
    }
    merged[name] = value;
  }
  return merged;
}
