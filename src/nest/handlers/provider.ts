/**
 * The providers and controllers of an application, from Nest's containers.
 * Neighbours: `explorer.ts` and `nest/handlers/cqrs-bridge.ts` search them for handlers.
 */
import type { ModulesContainer } from '@nestjs/core';
import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';
import type { EntityContext } from '../../core/model/job.js';
import type { Class } from '../decorators/metadata.js';

/** A provider or controller of the application. */
export interface Provider {
  /** The class whose decorators name the handled jobs. */
  readonly target: Class;
  /** The class of a stand-in, which has the token of `target`, as after `overrideProvider(target)`. */
  readonly madeOf?: Class;
  readonly instance: unknown;
  /** Whether the application has one instance, created before it starts. */
  readonly isStatic: boolean;
  /** Nest's own record of it. */
  readonly wrapper?: InstanceWrapper;
}

/** Calls a method of a provider for a job or a batch, and resolves with its result. */
export type BoundMethod = (args: readonly unknown[], context: EntityContext) => Promise<unknown>;

/**
 * All providers and controllers of the application that are instances of a class, each once.
 * @param isHandler whether a class handles jobs: a provider of another class under the token of such a class is a stand-in.
 */
export function providersOf(modules: ModulesContainer, isHandler: (target: Class) => boolean): Provider[] {
  const providers = new Map<unknown, Map<unknown, Provider>>();
  for (const module of modules.values()) {
    for (const wrapper of [...module.providers.values(), ...module.controllers.values()]) {
      const { instance, token } = wrapper;
      // Nest keeps an empty object without dependencies for a transient provider.
      const isStatic = wrapper.isDependencyTreeStatic() && !wrapper.isTransient;
      const own = classOf(wrapper, isStatic);
      const isStandIn = isClass(token) && isHandler(token) && !(own && isHandler(own));
      // guards: provider.providersOf
      const target = isStandIn ? token : own;
      if (!target || target === Object) continue;
      const found = providers.get(target) ?? new Map<unknown, Provider>();
      providers.set(target, found);
      const madeOf = isStandIn ? (own ?? Object) : undefined;
      found.set(isStatic ? instance : wrapper, { target, instance, isStatic, wrapper, ...(madeOf && { madeOf }) });
    }
  }
  return [...providers.values()].flatMap(found => [...found.values()]);
}

/** A provider with a factory or a value has no class of its own: its instance has one, or its token if there is no instance yet. */
function classOf(
  { instance, metatype, inject, isAlias, token }: InstanceWrapper,
  isStatic: boolean,
): Class | undefined {
  const found = inject || !metatype ? (constructorOf(instance) ?? (isStatic || isAlias ? undefined : token)) : metatype;
  return isClass(found) ? found : undefined;
}

function isClass(value: unknown): value is Class {
  return typeof value === 'function';
}

/** A value may be a proxy that throws when it is inspected. It counts as no class of the application. */
function constructorOf(instance: unknown): unknown {
  try {
    return (instance as { readonly constructor?: unknown } | null | undefined)?.constructor;
  } catch {
    return undefined;
  }
}
