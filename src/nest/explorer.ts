/**
 * Finds what this pod can do: `@WorkerProcessor` providers and their `@JobHandler` methods, filled into the core's table.
 * Neighbour: `cqrs/bridge.ts` does the same for CQRS handlers.
 */
import { isDeepStrictEqual } from 'node:util';
import type { ModulesContainer } from '@nestjs/core';
import type { HandlerTable } from '../core/dispatch.js';
import { HandlerConflictError, InvalidCommandError, UnsupportedError } from '../core/errors.js';
import type { EntityOptions } from '../core/options.js';
import type { JobRunner } from '../core/ports.js';
import { schemaValidator } from '../core/validation.js';
import { type Class, getMetadata, type WorkerProcessorOptions } from './metadata.js';

/** A provider or controller of the application, as far as it matters here. */
export interface Provider {
  readonly target: Class;
  readonly instance: unknown;
  /** One instance for the whole application, made before it starts. */
  readonly isStatic: boolean;
}

type Method = (job: unknown, entityId: string, context: unknown) => unknown;

/** All providers and controllers of the application that are instances of a class, each once. */
export function providersOf(modules: ModulesContainer): Provider[] {
  const providers = new Map<unknown, Provider>();
  for (const module of modules.values()) {
    for (const wrapper of [...module.providers.values(), ...module.controllers.values()]) {
      const { instance, metatype } = wrapper;
      // Nest keeps an empty object for a transient provider: nothing has been injected into it.
      const isStatic = wrapper.isDependencyTreeStatic() && !wrapper.isTransient;
      // A provider with a factory or a value has no class of its own; its instance does.
      const target = wrapper.inject || !metatype ? instance?.constructor : metatype;
      if (typeof target !== 'function' || target === Object) continue;
      providers.set(isStatic ? instance : wrapper, { target: target as Class, instance, isStatic });
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
        `${target.name} is request-scoped or transient, or depends on what is; a @WorkerProcessor must be a singleton in this version.`,
      );
    }
    const { entityType } = processor;
    options.set(entityType, mergeOptions(processor, options.get(entityType)));
    handlers.host(entityType);
    for (const [name, method] of methods ?? []) {
      const bound = bind(provider, method);
      const run: JobRunner = (_, context) => bound(context.job, context.entityId, context);
      handlers.addJobHandler(entityType, name, run, `${target.name}.${String(method)}`);
      const schema = getMetadata(target, 'jobSchemas')?.get(name);
      if (schema) handlers.addValidator(run, schemaValidator(schema));
    }
  }
  return options;
}

function bind({ target, instance }: Provider, method: string | symbol): Method {
  const run = (instance as Record<string | symbol, Method>)[method];
  if (typeof run !== 'function') {
    throw new InvalidCommandError(
      `${target.name}.${String(method)} has @JobHandler, and is no method of its instance.`,
    );
  }
  return run.bind(instance);
}

function mergeOptions({ entityType, ...own }: WorkerProcessorOptions, others: EntityOptions = {}): EntityOptions {
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
