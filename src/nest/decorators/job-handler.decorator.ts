/**
 * `@JobHandler` and `@BatchHandler`: the methods of a processor that handle jobs of a name. They only write metadata, which
 * `explorer.ts` reads.
 */

import type { Observable } from 'rxjs';
import { type BatchOptions, checkBatchOptions } from '../../core/handlers/batch-options.js';
import { checkSchema, type SchemaOptions, type StandardSchema } from '../../core/handlers/validation.js';
import { HandlerConflictError, InvalidCommandError, InvalidOptionError } from '../../core/model/errors.js';
import { checkKnown } from '../../core/options/checks.js';
import { type Class, getMetadata, setMetadata } from './metadata.js';
import { readShared } from './option-checks.js';
import type { QueueEntityOptions } from './queue-entity.decorator.js';

/** Options of {@link JobHandler}. */
export interface JobHandlerOptions extends SchemaOptions {
  /** Whether the jobs of this name are shared reads: see {@link QueueEntityOptions.shared}. @default false */
  shared?: boolean;
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
