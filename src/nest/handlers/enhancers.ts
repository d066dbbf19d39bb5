/**
 * Nest's guards, interceptors and filters around a handler, if its processor has `enhancers: true`.
 *
 * Owns: the effect of their decisions on a job. Neighbour: `handler-method.ts` chooses the instance.
 */
import { type ContextId, ExternalContextCreator } from '@nestjs/core';
import { isKindOf } from '../../core/model/error-text.js';
import { InvalidOptionError, messageOf, UnsupportedError } from '../../core/model/errors.js';
import type { EntityContext } from '../../core/model/job.js';
import { JobRefusedError } from '../../core/model/job-errors.js';
import { getMetadata } from '../decorators/metadata.js';
import { stoppable } from './observable.js';
import type { BoundMethod, Provider } from './provider.js';
import { moduleRefOf } from './scope.js';

/** The value of `ExecutionContext.getType()` around a handler. */
const CONTEXT_TYPE = 'atomic-queues';

/** Metadata of Nest's decorators; tests fail when they change. */
const GUARDS = '__guards__';
const INTERCEPTORS = '__interceptors__';
const FILTERS = '__exceptionFilters__';
const PIPES = '__pipes__';
const DECORATORS: Readonly<Record<string, string>> = {
  [GUARDS]: '@UseGuards',
  [INTERCEPTORS]: '@UseInterceptors',
  [FILTERS]: '@UseFilters',
  [PIPES]: '@UsePipes',
};

type Method = (...args: unknown[]) => unknown;

/**
 * Whether calls of a handler go through Nest's enhancers. Enhancers that Nest would silently ignore are refused: a guard that never
 * runs is worse than none.
 * @throws InvalidOptionError when the handler has enhancers and the processor no option `enhancers`, UnsupportedError when Nest cannot
 * apply them.
 */
export function hasEnhancers({ target, wrapper }: Provider, method: string | symbol): boolean {
  const isAsked = getMetadata(target, 'processor')?.enhancers;
  const where = `${target.name}.${String(method)}`;
  const code = target.prototype[method];
  const own = Object.entries(DECORATORS).filter(([key]) => enhancersOf(key, target, code).length > 0);
  // guards: enhancers.hasEnhancers
  if (isAsked === undefined && own.length > 0) {
    throw new InvalidOptionError(
      `${where} has ${own.map(([, name]) => name).join(' and ')}, which have no effect on jobs. Set enhancers: true in the ` +
        `@WorkerProcessor of ${target.name}, or false if they are not meant for jobs.`,
    );
  }
  if (!isAsked) return false;
  if (own.some(([key]) => key === PIPES)) {
    throw new UnsupportedError(`${where} has @UsePipes, but no parameter that a pipe could change. Remove it.`);
  }
  if (typeof method === 'symbol') {
    throw new UnsupportedError(`${where} is named by a symbol, which Nest's enhancers do not support. Give it a name.`);
  }
  const injectables = wrapper?.host?.injectables;
  const isPlain = wrapper?.host?.hasProvider(target) && wrapper.token === target;
  const unknown = own
    .flatMap(([key]) => enhancersOf(key, target, code))
    .find(enhancer => typeof enhancer === 'function' && !injectables?.has(enhancer as never));
  if (!isPlain || unknown) {
    throw new UnsupportedError(
      `${target.name} has enhancers: true, but Nest finds the enhancers of a provider only if its class itself is listed: providers: [${target.name}].`,
    );
  }
  return true;
}

function enhancersOf(key: string, target: object, code: unknown): unknown[] {
  const ofMethod = typeof code === 'function' ? Reflect.getMetadata(key, code) : undefined;
  return [...(Reflect.getMetadata(key, target) ?? []), ...(ofMethod ?? [])];
}

/**
 * A method of an instance behind the enhancers of the class that declares it. A stand-in has the enhancers of the class it replaces.
 * @param contextId scope in which Nest creates request-scoped enhancers. @default the application's
 */
export function throughEnhancers(
  { target, wrapper, madeOf }: Provider & { readonly wrapper: NonNullable<Provider['wrapper']> },
  { instance, method }: { readonly instance: object; readonly method: string },
  contextId: ContextId | undefined,
): BoundMethod {
  const creator = moduleRefOf(wrapper).get(ExternalContextCreator, { strict: false });
  const declared = target.prototype[method] as Method;
  // Nest looks for enhancers by the class of the instance.
  const shown: object = madeOf ? Object.create(target.prototype) : instance;
  const create = (callback: Method, filters: boolean): Method =>
    creator.create(
      shown as never,
      callback as never,
      method,
      undefined,
      undefined,
      contextId,
      wrapper.id,
      { guards: !filters, interceptors: !filters, filters },
      CONTEXT_TYPE,
    );
  // Looked up at each call, since a test may have replaced it with a spy. Nest reads the metadata of the declared method from it.
  const present: Method = (...args) =>
    stoppable((instance as Record<string, Method>)[method]?.(...args), args.at(-1) as EntityContext);
  Object.defineProperty(present, 'name', { value: declared.name });
  // guards: enhancers.throughEnhancers
  const run = create(Object.setPrototypeOf(present, declared), false);
  const where = `${target.name}.${method}`;
  return async args => {
    try {
      return await run(...args);
    } catch (error) {
      return await filtered(error, args).catch(refusal(where));
    }
  };

  /** Runs the filters in a call of their own, since Nest takes the promise of a filter for its response. A filter without one has handled nothing. */
  async function filtered(error: unknown, args: readonly unknown[]): Promise<unknown> {
    const rethrow = () => {
      throw error;
    };
    Reflect.defineMetadata(FILTERS, Reflect.getMetadata(FILTERS, declared) ?? [], rethrow);
    const returned = await create(rethrow, true)(...args);
    // guards: enhancers.filtered
    if (returned === undefined) throw error;
    return returned;
  }
}

/** Another attempt would be refused again. */
function refusal(where: string): (error: unknown) => never {
  return error => {
    if (!isKindOf(error, 'ForbiddenException')) throw error;
    throw new JobRefusedError(`${where} refused the job: ${messageOf(error)}. The job is not retried.`, {
      cause: error,
    });
  };
}
