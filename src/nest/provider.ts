/**
 * The providers and controllers of an application, as Nest keeps them.
 * Neighbours: `explorer.ts` and `cqrs/bridge.ts` look for handlers among them.
 */
import type { ModulesContainer } from '@nestjs/core';
import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';
import type { Class } from './metadata.js';

/** A provider or controller of the application, as far as it matters here. */
export interface Provider {
  readonly target: Class;
  readonly instance: unknown;
  /** One instance for the whole application, made before it starts. */
  readonly isStatic: boolean;
  /** What Nest knows of it. */
  readonly wrapper?: InstanceWrapper;
}

/** All providers and controllers of the application that are instances of a class, each once. */
export function providersOf(modules: ModulesContainer): Provider[] {
  const providers = new Map<unknown, Provider>();
  for (const module of modules.values()) {
    for (const wrapper of [...module.providers.values(), ...module.controllers.values()]) {
      const { instance, metatype } = wrapper;
      // Nest keeps an empty object for a transient provider: nothing has been injected into it.
      const isStatic = wrapper.isDependencyTreeStatic() && !wrapper.isTransient;
      // A provider with a factory or a value has no class of its own; its instance does, or where it has none yet, its token.
      const token = isStatic || wrapper.isAlias ? undefined : wrapper.token;
      const target = wrapper.inject || !metatype ? (constructorOf(instance) ?? token) : metatype;
      if (typeof target !== 'function' || target === Object) continue;
      providers.set(isStatic ? instance : wrapper, { target: target as Class, instance, isStatic, wrapper });
    }
  }
  return [...providers.values()];
}

/** A value may be a proxy that throws when it is looked at: it is no class of the application's. */
function constructorOf(instance: unknown): unknown {
  try {
    return (instance as { readonly constructor?: unknown } | null | undefined)?.constructor;
  } catch {
    return undefined;
  }
}
