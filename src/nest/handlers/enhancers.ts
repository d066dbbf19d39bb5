/**
 * Nest's guards, interceptors and filters around a handler, where its processor asks for them (`enhancers: true`).
 *
 * Owns: what they decide about a job. Neighbour: `handler-method.ts` says on which instance the handler is called.
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

/** What `ExecutionContext.getType()` says around a handler. */
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
 * Whether a handler is to be called through Nest's enhancers. What Nest would leave out without a word is refused: a guard that
 * does not stand where somebody believes it does is worse than none.
 * @throws InvalidOptionError where it has some and nobody has said whether they are meant, UnsupportedError where Nest has no way.
 */
export function hasEnhancers({ target, wrapper }: Provider, method: string | symbol): boolean {
  const isAsked = getMetadata(target, 'processor')?.enhancers;
  const where = `${target.name}.${String(method)}`;
  const code = target.prototype[method];
  const own = Object.entries(DECORATORS).filter(([key]) => enhancersOf(key, target, code).length > 0);
  // guards: enhancers.hasEnhancers
  if (isAsked === undefined && own.length > 0) {
    throw new InvalidOptionError(
      `${where} has ${own.map(([, name]) => name).join(' and ')}, which no job passes through; say enhancers: true in the ` +
        `@WorkerProcessor of ${target.name}, or false if it is not meant for jobs.`,
    );
  }
  if (!isAsked) return false;
  if (own.some(([key]) => key === PIPES)) {
    throw new UnsupportedError(`${where} has @UsePipes, and no parameter that a pipe could change; drop it.`);
  }
  if (typeof method === 'symbol') {
    throw new UnsupportedError(`${where} is named by a symbol, which Nest's enhancers can't have; give it a name.`);
  }
  const injectables = wrapper?.host?.injectables;
  const isPlain = wrapper?.host?.hasProvider(target) && wrapper.token === target;
  const unknown = own
    .flatMap(([key]) => enhancersOf(key, target, code))
    .find(enhancer => typeof enhancer === 'function' && !injectables?.has(enhancer as never));
  if (!isPlain || unknown) {
    throw new UnsupportedError(
      `${target.name} has enhancers: true, but Nest finds those of a provider only where its class itself is listed: providers: [${target.name}].`,
    );
  }
  return true;
}

function enhancersOf(key: string, target: object, code: unknown): unknown[] {
  const ofMethod = typeof code === 'function' ? Reflect.getMetadata(key, code) : undefined;
  return [...(Reflect.getMetadata(key, target) ?? []), ...(ofMethod ?? [])];
}

/**
 * A method of an instance behind its enhancers: those of the class that declares it, also where another one stands in for it.
 * @param contextId where request-scoped ones are made; the application's without.
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
  // Looked up at each call, as a test may have put a spy in its place. Nest reads the metadata of the declared method from it.
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

  /** By itself, as Nest takes the promise of a filter for an answer. One that answers nothing has dealt with nothing. */
  async function filtered(error: unknown, args: readonly unknown[]): Promise<unknown> {
    const rethrow = () => {
      throw error;
    };
    Reflect.defineMetadata(FILTERS, Reflect.getMetadata(FILTERS, declared) ?? [], rethrow);
    const answer = await create(rethrow, true)(...args);
    // guards: enhancers.filtered
    if (answer === undefined) throw error;
    return answer;
  }
}

/** To be tried again changes nothing about a refusal. */
function refusal(where: string): (error: unknown) => never {
  return error => {
    if (!isKindOf(error, 'ForbiddenException')) throw error;
    throw new JobRefusedError(`${where} refused the job: ${messageOf(error)}. It is not tried again.`, {
      cause: error,
    });
  };
}
