/**
 * The providers and controllers of an application, as Nest keeps them.
 * Neighbours: `explorer.ts` and `nest/handlers/cqrs-bridge.ts` look for handlers among them.
 */
import type { ModulesContainer } from '@nestjs/core';
import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';
import type { EntityContext } from '../../core/model/job.js';
import type { Class } from '../decorators/metadata.js';

/** A provider or controller of the application, as far as it matters here. */
export interface Provider {
  /** The class whose decorators say what it handles. */
  readonly target: Class;
  /**
   * The class of its instances, where that is another one: it stands in for `target`, whose token it has, as after
   * `overrideProvider(target)`.
   */
  readonly madeOf?: Class;
  readonly instance: unknown;
  /** One instance for the whole application, made before it starts. */
  readonly isStatic: boolean;
  /** What Nest knows of it. */
  readonly wrapper?: InstanceWrapper;
}

/** Calls a method of a provider for a job, or a batch, with these arguments; resolves with what it returns. */
export type BoundMethod = (args: readonly unknown[], context: EntityContext) => Promise<unknown>;

/**
 * All providers and controllers of the application that are instances of a class, each once.
 * @param isHandler whether a class says that it handles jobs: what has such a class for its token stands in for it.
 */
export function providersOf(modules: ModulesContainer, isHandler: (target: Class) => boolean): Provider[] {
  const providers = new Map<unknown, Map<unknown, Provider>>();
  for (const module of modules.values()) {
    for (const wrapper of [...module.providers.values(), ...module.controllers.values()]) {
      const { instance, token } = wrapper;
      // Nest keeps an empty object for a transient provider: nothing has been injected into it.
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

/** A provider with a factory or a value has no class of its own; its instance does, or where it has none yet, its token. */
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

/** A value may be a proxy that throws when it is looked at: it is no class of the application's. */
function constructorOf(instance: unknown): unknown {
  try {
    return (instance as { readonly constructor?: unknown } | null | undefined)?.constructor;
  } catch {
    return undefined;
  }
}
