/**
 * How a method of a provider is called for a job: on the one instance that the application has of it; on one made for the job,
 * where the provider is request-scoped or transient; and through Nest's enhancers, where its processor asks for them.
 *
 * A static provider without enhancers is called directly. Neighbours: `explorer.ts` finds providers, `scope.ts` makes instances,
 * `enhancers.ts` wraps a call.
 */
import { InvalidCommandError, UnsupportedError } from '../core/errors.js';
import { hasEnhancers, throughEnhancers } from './enhancers.js';
import type { Provider } from './provider.js';
import { ProviderScope } from './scope.js';

/** What is run, the entity's id, and the context of the job. */
export type HandlerMethod = (job: unknown, entityId: string, context: object) => unknown;

/** @throws InvalidCommandError, InvalidOptionError, UnsupportedError: see each message. */
export function bindMethod(provider: Provider, method: string | symbol): HandlerMethod {
  const { target, instance, isStatic, wrapper } = provider;
  const run = (isStatic ? (instance as Record<string | symbol, unknown>) : target.prototype)[method];
  if (typeof run !== 'function') {
    throw new InvalidCommandError(
      `${target.name}.${String(method)} has @JobHandler or @BatchHandler, and is no method of its instance.`,
    );
  }
  const isEnhanced = hasEnhancers(provider, method);
  if (!wrapper || (isStatic && !isEnhanced)) {
    // Looked up at each call: a test may have put a spy in its place.
    const owner = instance as Readonly<Record<string | symbol, HandlerMethod>>;
    return (...args) => (owner[method] as HandlerMethod).apply(owner, args);
  }
  const enhanced = { ...provider, wrapper };
  const name = method as string;
  if (isStatic) return throughEnhancers(enhanced, { instance: instance as object, method: name }, undefined);
  if (wrapper.host?.controllers.has(wrapper.token as never)) {
    throw new UnsupportedError(
      `${target.name} is a controller that is made for each request; give its jobs a @WorkerProcessor among the providers.`,
    );
  }
  const scope = new ProviderScope(wrapper);
  return async (job, entityId, context) => {
    const contextId = scope.open(context);
    const made = (await scope.instance(contextId)) as Record<string | symbol, HandlerMethod>;
    if (!isEnhanced) return made[method]?.(job, entityId, context);
    return throughEnhancers(enhanced, { instance: made, method: name }, contextId)(job, entityId, context);
  };
}
