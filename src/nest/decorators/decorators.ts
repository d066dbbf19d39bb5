/**
 * The decorators of the public API. They only write metadata; what it means is decided where it is read.
 */
import type { Observable } from 'rxjs';
import { type BatchOptions, checkBatchOptions } from '../../core/handlers/batch-options.js';
import { checkSchema, type SchemaOptions, type StandardSchema } from '../../core/handlers/validation.js';
import { HandlerConflictError, InvalidCommandError, InvalidOptionError } from '../../core/model/errors.js';
import { checkEntityOptions, checkKnown } from '../../core/options/checks.js';
import type { EntityTypeName } from '../entity-types.js';
import { rememberCommandClass } from './command-classes.js';
import { parameterProperty } from './constructor-parameter.js';
import {
  type Class,
  getMetadata,
  getOwnMetadata,
  markAsEntryProvider,
  setMetadata,
  type WorkerProcessorOptions,
} from './metadata.js';

/** Options of {@link QueueEntity}. */
export interface QueueEntityOptions extends SchemaOptions {
  /**
   * The name under which jobs of this class travel. Default: the class name. Declare one where class names are
   * minified, or may change while jobs are waiting.
   */
  name?: string;
  /**
   * Jobs of this class only read: they run beside each other, at most `maxSharedReads` of one entity, and beside no job that is no
   * shared read. Each starts when all that was enqueued before it and is none has ended. Default false. Where a `@JobHandler`
   * handles them, it must say the same.
   */
  shared?: boolean;
}

/** Options of {@link JobHandler}. */
export interface JobHandlerOptions extends SchemaOptions {
  /** The jobs of this name are shared reads: see {@link QueueEntityOptions.shared}. Default false. */
  shared?: boolean;
}

/**
 * Routes a command or query class to the queues of an entity type.
 *
 * @example
 * ```ts
 * @QueueEntity('account', { name: 'account.withdraw' })
 * export class WithdrawCommand {
 *   constructor(@QueueEntityId() readonly accountId: string, readonly amount: number) {}
 * }
 * ```
 * A class without a schema whose properties are decorated with class-validator is checked by that. A subclass inherits the type,
 * not the name and not the schema.
 *
 * @throws InvalidCommandError (at import) when the type or the name is not a non-empty string, InvalidOptionError for an
 * unknown option, or what is no schema.
 */
export function QueueEntity(entityType: EntityTypeName, options: QueueEntityOptions = {}): ClassDecorator {
  return target => {
    if (!isName(entityType)) {
      throw new InvalidCommandError(`@QueueEntity of ${target.name} needs an entity type, such as 'account'.`);
    }
    const where = `@QueueEntity of ${target.name}`;
    checkKnown(where, options, ['name', 'schema', 'shared']);
    setMetadata(target, 'entityType', entityType);
    setMetadata(target, 'shared', readShared(where, options));
    route(target, options.name, options);
  };
}

/**
 * Marks what holds the entity id: a constructor parameter property, or a plain property or accessor. One per class; a
 * subclass inherits it.
 *
 * @throws InvalidCommandError (at import) when the class or one that it extends has another, when it is on a method, or
 * when the code of the class shows no property that gets the constructor parameter; the form on a plain property always works.
 */
export function QueueEntityId(): PropertyDecorator & ParameterDecorator {
  return (target: object, property: string | symbol | undefined, place?: unknown) => {
    const cls = (typeof target === 'function' ? target : target.constructor) as Class;
    const name = idProperty(cls, { property, place, isStatic: typeof target === 'function' });
    const other = getMetadata(cls, 'entityIdProperty');
    if (other !== undefined && other !== name) {
      throw new InvalidCommandError(
        `${cls.name} has two @QueueEntityId, "${other}" and "${name}" (its own, or inherited); leave one.`,
      );
    }
    setMetadata(cls, 'entityIdProperty', name);
  };
}

function readShared(where: string, { shared = false }: { shared?: boolean }): boolean {
  if (typeof shared === 'boolean') return shared;
  throw new InvalidOptionError(`${where}: shared must be a boolean.`);
}

interface Decorated {
  readonly property: string | symbol | undefined;
  /** What a decorator is told third: the index of a parameter, or the descriptor of a method or an accessor. */
  readonly place: unknown;
  readonly isStatic: boolean;
}

function idProperty(cls: Class, { property, place, isStatic }: Decorated): string {
  if (property === undefined) {
    const name = parameterProperty(cls, Number(place));
    if (name !== undefined) return name;
    throw new InvalidCommandError(
      `@QueueEntityId of ${cls.name} is on constructor parameter ${place}, and the code of the class shows no property that ` +
        'gets it. Make it one (readonly id: string), decorate a plain property (@QueueEntityId() readonly id: string;), or set ' +
        'defaultEntityId of the entity type.',
    );
  }
  if (typeof property === 'symbol') {
    throw new InvalidCommandError(`@QueueEntityId of ${cls.name} is on a symbol, which no JSON carries; use a string.`);
  }
  const isMethod = typeof place === 'number' || typeof (place as PropertyDescriptor | undefined)?.value === 'function';
  if (isStatic || isMethod) {
    throw new InvalidCommandError(
      `@QueueEntityId of ${cls.name} is on "${property}", a method or static member; decorate a property of its instances.`,
    );
  }
  return property;
}

/**
 * Makes a provider handle jobs of an entity type, beside or instead of CQRS handlers. Its options win over those of
 * the type in `entities`.
 *
 * @example
 * ```ts
 * @WorkerProcessor({ entityType: 'account' })
 * @Injectable()
 * export class AccountProcessor {
 *   @JobHandler('audit')
 *   async audit(job: Job, entityId: string) {}
 * }
 * ```
 * @throws InvalidCommandError (at import) when there is no entity type, InvalidOptionError or UnsupportedError for an option.
 */
export function WorkerProcessor(options: WorkerProcessorOptions): ClassDecorator {
  return target => {
    if (!isName(options?.entityType)) {
      throw new InvalidCommandError(`@WorkerProcessor of ${target.name} needs an entityType, such as 'account'.`);
    }
    const { entityType: _, enhancers, ...own } = options;
    checkEntityOptions(`@WorkerProcessor(${target.name})`, own);
    if (enhancers !== undefined && typeof enhancers !== 'boolean') {
      throw new InvalidOptionError(`@WorkerProcessor(${target.name}).enhancers must be a boolean.`);
    }
    if (enhancers) markAsEntryProvider(target);
    setMetadata(target, 'processor', options);
  };
}

/**
 * Handles jobs of one name, or with `'*'` every job of the type that nothing else handles, on a `@WorkerProcessor`.
 * The method gets BullMQ's job, the entity id and a {@link JobContext}; what it returns is the job's result. A method
 * may have several names; a subclass inherits the handlers of the class that it extends.
 *
 * @param options `shared: true` where its jobs only read, and may run beside each other: see {@link JobHandlerOptions}.
 * @example
 * ```ts
 * @JobHandler('balance', { shared: true })
 * balance(job: Job, accountId: string) {
 *   return this.accounts.balanceOf(accountId);
 * }
 * ```
 * @throws HandlerConflictError (at import) when another method of the class handles the name, InvalidCommandError when
 * the name is not a non-empty string or the method is static, InvalidOptionError for an unknown option, what is no schema, or for
 * `'*'` with `shared`: what else may come is not known to be a read.
 */
export function JobHandler(jobName: string, options: JobHandlerOptions = {}): MethodDecorator {
  return (target, method) => {
    const where = `@JobHandler of ${methodName(target, method)}`;
    if (typeof jobName !== 'string' || jobName === '') {
      throw new InvalidCommandError(`${where} needs a job name, or '*'.`);
    }
    checkKnown(where, options, ['schema', 'shared']);
    const isShared = readShared(where, options);
    if (isShared && jobName === '*') {
      throw new InvalidOptionError(
        `${where}: jobs of any name can't all be shared reads; give the names of those that are.`,
      );
    }
    const cls = classOfHandler(target, where);
    checkNotHandled(cls, jobName, { method, isBatch: false });
    setSchema(cls, jobName, checkedSchema(where, options));
    setMetadata(cls, 'jobHandlers', new Map(getMetadata(cls, 'jobHandlers')).set(jobName, { method, isShared }));
  };
}

/** What a {@link BatchHandler} may return: nothing, or a result for each job, in their order. An Observable ends with that. */
// biome-ignore lint/suspicious/noConfusingVoidType: what a method without a return statement has
type BatchResults = void | readonly unknown[];
// biome-ignore lint/suspicious/noExplicitAny: parameters are contravariant; only any accepts jobs of every type of data
type BatchMethodOf = (...args: any[]) => BatchResults | Promise<BatchResults> | Observable<BatchResults>;

/**
 * Handles jobs of one name together, on a `@WorkerProcessor`: consecutive jobs of one entity, in their order, `max` at most.
 * The method gets BullMQ's jobs, the entity id and an {@link EntityContext}. It returns nothing, or an array with the result of
 * each job. If it throws a {@link BatchFailure}, the jobs that it names have failed, and the others have completed, also those
 * behind one that has failed; whatever else it throws, all have failed. Each that has tries left is tried again, in order, before
 * what is behind it.
 *
 * After a crash the jobs of a batch run one at a time: so one that kills its process is found.
 *
 * With a `schema`, a job that is invalid fails by itself, and so does one whose payload can't be read: the method gets the others.
 *
 * @param options `max` jobs at most; `maxWaitMs` (default 0) is how long a batch waits for more, see {@link BatchOptions}.
 * @example
 * ```ts
 * @BatchHandler('reading', { max: 100, maxWaitMs: 50 })
 * async store(jobs: Job<Reading>[], meterId: string, { fencingToken }: EntityContext) {
 *   await this.readings.insertAll(meterId, jobs.map(job => job.data), fencingToken);
 * }
 * ```
 * @throws InvalidOptionError (at import) for an option that is unknown or out of range, or what is no schema, and at start where `max` is more than a pod may fetch;
 * HandlerConflictError when the name has another handler; InvalidCommandError when the name is not a non-empty string, is `'*'`,
 * or the method is static.
 */
export function BatchHandler(jobName: string, options: BatchOptions) {
  return <T extends BatchMethodOf>(
    target: object,
    method: string | symbol,
    _descriptor: TypedPropertyDescriptor<T>,
  ): void => {
    const where = `@BatchHandler of ${methodName(target, method)}`;
    if (typeof jobName !== 'string' || jobName === '' || jobName === '*') {
      throw new InvalidCommandError(`${where} needs the name of its jobs; a batch is of one name.`);
    }
    const limits = checkBatchOptions(where, options);
    const cls = classOfHandler(target, where);
    checkNotHandled(cls, jobName, { method, isBatch: true });
    setSchema(cls, jobName, checkedSchema(where, options));
    setMetadata(cls, 'batchHandlers', new Map(getMetadata(cls, 'batchHandlers')).set(jobName, { ...limits, method }));
  };
}

function checkedSchema(where: string, { schema }: SchemaOptions): StandardSchema | undefined {
  if (schema !== undefined) checkSchema(`The schema of ${where}`, schema);
  return schema;
}

/** Without one, too: the handler of a subclass has none of the class that it extends. */
function setSchema(cls: Class, jobName: string, schema: StandardSchema | undefined): void {
  setMetadata(cls, 'jobSchemas', new Map(getMetadata(cls, 'jobSchemas')).set(jobName, schema));
}

function isName(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

function methodName(target: object, method: string | symbol): string {
  const cls = typeof target === 'function' ? target : target.constructor;
  return `${cls.name}.${String(method)}`;
}

function classOfHandler(target: object, where: string): Class {
  if (typeof target !== 'function') return target.constructor as Class;
  throw new InvalidCommandError(`${where} is on a static method, which no provider has; drop static.`);
}

/** @throws HandlerConflictError when the class handles the jobs of that name elsewhere, or in another way. */
function checkNotHandled(
  cls: Class,
  jobName: string,
  { method, isBatch }: { method: string | symbol; isBatch: boolean },
): void {
  const single = getMetadata(cls, 'jobHandlers')?.get(jobName)?.method;
  const batch = getMetadata(cls, 'batchHandlers')?.get(jobName)?.method;
  const [same, otherKind] = isBatch ? [batch, single] : [single, batch];
  const other = otherKind ?? (same === method ? undefined : same);
  if (other === undefined) return;
  throw new HandlerConflictError(
    `${cls.name} handles job "${jobName}" twice, in ${String(other)} and ${String(method)}; leave one.`,
  );
}

/**
 * Lets jobs added by name run a CQRS command that belongs to no entity type of its own: `enqueueJob({ entityType,
 * entityId, name, data })`, or `forEntity(type).enqueue(command)`. Classes with `@QueueEntity` don't need it.
 * A command without a type may be worked by every type that this pod's options name in `entities`.
 * @param name the job's name; the class name by default.
 * @throws InvalidCommandError (at import) when the name is empty, or the class has another.
 */
export function JobCommand(name?: string, options: SchemaOptions = {}): ClassDecorator {
  return target => route(target, name, options);
}

/** As {@link JobCommand}, for a CQRS query. */
export function JobQuery(name?: string, options: SchemaOptions = {}): ClassDecorator {
  return target => route(target, name, options);
}

function route(target: { readonly name: string }, name: string | undefined, { schema }: SchemaOptions): void {
  setMetadata(target, 'routed', true);
  rememberCommandClass(target as Class);
  if (schema !== undefined) {
    checkSchema(`The schema of ${target.name}`, schema);
    setMetadata(target, 'schema', schema);
  }
  if (name === undefined) return;
  if (typeof name !== 'string' || name === '') {
    throw new InvalidCommandError(`The job name of ${target.name} must be a non-empty string.`);
  }
  const other = getOwnMetadata(target, 'jobName');
  if (other !== undefined && other !== name) {
    throw new InvalidCommandError(`${target.name} has two job names, "${other}" and "${name}"; leave one.`);
  }
  setMetadata(target, 'jobName', name);
}
