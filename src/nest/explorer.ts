/**
 * Finds what this pod can do: `@WorkerProcessor` providers and their `@JobHandler` methods, filled into the core's table.
 * Neighbour: `cqrs/bridge.ts` does the same for CQRS handlers.
 */
import type { ModulesContainer } from '@nestjs/core';
import type { HandlerTable } from '../core/dispatch.js';
import { HandlerConflictError, InvalidCommandError, UnsupportedError } from '../core/errors.js';
import type { EntityOptions } from '../core/options.js';
import { type Class, getMetadata, type WorkerProcessorOptions } from './metadata.js';

/** A provider or controller of the application, as far as it matters here. */
export interface Provider {
  readonly target: Class;
  readonly instance: unknown;
  /** One instance for the whole application, made before it starts. */
  readonly isStatic: boolean;
}

type Method = (job: unknown, entityId: string, context: unknown) => unknown;

/** All class providers of the application, each once. */
export function providersOf(modules: ModulesContainer): Provider[] {
  const providers = new Map<unknown, Provider>();
  for (const module of modules.values()) {
    for (const wrapper of module.providers.values()) {
      const { instance, metatype } = wrapper;
      // A provider with a factory or a value has no class of its own; its instance does.
      const target = wrapper.inject || !metatype ? instance?.constructor : metatype;
      if (typeof target !== 'function' || target === Object) continue;
      providers.set(wrapper.isDependencyTreeStatic() ? instance : wrapper, {
        target: target as Class,
        instance,
        isStatic: wrapper.isDependencyTreeStatic(),
      });
    }
  }
  return [...providers.values()];
}

/**
 * Registers all handlers of processors.
 * @returns the entity options that processors declare, by entity type.
 * @throws HandlerConflictError, InvalidCommandError, UnsupportedError: see each message.
 */
export function exploreProcessors(providers: readonly Provider[], handlers: HandlerTable): Map<string, EntityOptions> {
  const options = new Map<string, EntityOptions>();
  for (const provider of providers) {
    const { target } = provider;
    const processor = getMetadata(target, 'processor');
    const methods = getMetadata(target, 'jobHandlers');
    if (!processor) {
      if (methods) {
        throw new InvalidCommandError(
          `${target.name} has @JobHandler methods but no @WorkerProcessor({ entityType }); add it.`,
        );
      }
      continue;
    }
    if (!provider.isStatic) {
      throw new UnsupportedError(
        `${target.name} is request-scoped, which a @WorkerProcessor can't be in this version; make it a singleton.`,
      );
    }
    const { entityType } = processor;
    options.set(entityType, mergeOptions(processor, options.get(entityType)));
    handlers.host(entityType);
    for (const [method, name] of methods ?? []) {
      const run = bind(provider, method);
      handlers.addJobHandler(
        entityType,
        name,
        (job, context) => run(job.native(), context.entity.id, context),
        `${target.name}.${method}`,
      );
    }
  }
  return options;
}

function bind({ instance }: Provider, method: string): Method {
  const owner = instance as Record<string, Method>;
  return (job, entityId, context) => owner[method]?.(job, entityId, context);
}

function mergeOptions({ entityType, ...options }: WorkerProcessorOptions, others: EntityOptions = {}): EntityOptions {
  for (const [name, value] of Object.entries(options)) {
    const other = (others as Record<string, unknown>)[name];
    if (other !== undefined && other !== value) {
      throw new HandlerConflictError(
        `Two @WorkerProcessor of "${entityType}" differ in "${name}"; set it in one of them.`,
      );
    }
  }
  return { ...others, ...options };
}
