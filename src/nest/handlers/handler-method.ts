/**
 * Calls a method of a provider for a job: on the application's one instance, or on a new one if the provider is request-scoped or
 * transient, and through Nest's enhancers if its processor has them. The method is looked up at each call, since a test may have replaced
 * it with a spy. A static provider without enhancers is called directly.
 *
 * Neighbours: `explorer.ts` and `nest/handlers/cqrs-bridge.ts` find providers, `scope.ts` creates instances, `enhancers.ts` wraps a call,
 * `observable.ts` waits for its result.
 */
import { InvalidCommandError, UnsupportedError } from '../../core/model/errors.js';
import { hasEnhancers, throughEnhancers } from './enhancers.js';
import { lastValue } from './observable.js';
import type { BoundMethod, Provider } from './provider.js';
import { ProviderScope } from './scope.js';

type Instance = Readonly<Record<string | symbol, (...args: readonly unknown[]) => unknown>>;

/** Whether instances of the provider have the method. */
export function hasMethod({ target, madeOf = target, instance, isStatic }: Provider, method: string | symbol): boolean {
  const owner = (isStatic ? instance : madeOf.prototype) as Partial<Instance> | null | undefined;
  return typeof owner?.[method] === 'function';
}

/** @throws InvalidCommandError, InvalidOptionError, UnsupportedError: see each message. */
export function bindMethod(provider: Provider, method: string | symbol): BoundMethod {
  const { target, instance, isStatic, wrapper } = provider;
  if (!hasMethod(provider, method)) {
    throw new InvalidCommandError(
      `${target.name}.${String(method)} has @JobHandler or @BatchHandler, but is no method of its instance. Make it a method.`,
    );
  }
  if (!wrapper || !hasEnhancers(provider, method)) return bindPlain(provider, method);
  const enhanced = { ...provider, wrapper };
  const name = method as string;
  if (isStatic) return throughEnhancers(enhanced, { instance: instance as object, method: name }, undefined);
  const scope = scopeOf(enhanced);
  return async (args, context) => {
    const contextId = scope.open(context);
    const made = await scope.instance(contextId);
    return throughEnhancers(enhanced, { instance: made, method: name }, contextId)(args, context);
  };
}

/** Binds a method without its enhancers. */
export function bindPlain({ instance, isStatic, wrapper, target }: Provider, method: string | symbol): BoundMethod {
  const call = (owner: object, args: readonly unknown[]) => (owner as Instance)[method]?.(...args);
  if (!wrapper || isStatic) return async (args, context) => lastValue(call(instance as object, args), context);
  const scope = scopeOf({ wrapper, target });
  return async (args, context) => lastValue(call(await scope.instance(scope.open(context)), args), context);
}

function scopeOf({ target, wrapper }: Required<Pick<Provider, 'target' | 'wrapper'>>): ProviderScope {
  if (wrapper.host?.controllers.has(wrapper.token as never)) {
    throw new UnsupportedError(
      `${target.name} is a request-scoped controller, which cannot handle jobs. Handle them in a @WorkerProcessor among the providers.`,
    );
  }
  return new ProviderScope(wrapper);
}
