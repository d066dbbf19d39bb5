/** `@JobHandler` and `@BatchHandler`: methods of a processor that handle jobs of one name. Neighbour: `explorer.ts` reads their metadata. */

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
 * Handles jobs of one name, on a `@WorkerProcessor`. With `'*'` it handles all jobs of the type that have no other handler. The
 * method gets BullMQ's job, the entity id and a {@link JobContext}, and its result is the job's result. A method may have several
 * names. A subclass inherits handlers.
 *
 * @param options see {@link JobHandlerOptions}. `shared: true` lets jobs that only read run alongside each other.
 * @example
 * ```ts
 * @JobHandler('balance', { shared: true })
 * balance(job: Job, accountId: string) {
 *   return this.accounts.balanceOf(accountId);
 * }
 * ```
 * @throws HandlerConflictError (at import) when another method of the class handles the name, InvalidCommandError when the name is
 * empty or the method is static, InvalidOptionError for an unknown option, an invalid schema, or `'*'` with `shared`: jobs of any name
 * may write.
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
        `${where}: '*' can't be shared, since jobs of any name may write. Name the jobs that only read.`,
      );
    }
    const cls = classOfHandler(target, where);
    checkNotHandled(cls, jobName, { method, isBatch: false });
    setSchema(cls, jobName, checkedSchema(where, options));
    setMetadata(cls, 'jobHandlers', new Map(getMetadata(cls, 'jobHandlers')).set(jobName, { method, isShared }));
  };
}

/** Result of a {@link BatchHandler}: nothing, or a result for each job, in order. The last value of an Observable counts. */
// biome-ignore lint/suspicious/noConfusingVoidType: the type of a method without a return statement
type BatchResults = void | readonly unknown[];

// biome-ignore lint/suspicious/noExplicitAny: parameters are contravariant; only any accepts jobs of every type of data
type BatchMethodOf = (...args: any[]) => BatchResults | Promise<BatchResults> | Observable<BatchResults>;

/**
 * Handles consecutive jobs of one name and one entity together, in order, on a `@WorkerProcessor`. The method gets BullMQ's jobs, the
 * entity id and an {@link EntityContext}. It returns nothing, or an array with the result of each job.
 *
 * If it throws a {@link BatchFailure}, the named jobs have failed, and all others have completed, also later ones. If it throws any
 * other error, all have failed. Each failed job with attempts left is retried, in order, before later jobs.
 *
 * After a crash the jobs of a batch run one at a time, so a job that kills its process is found. An invalid job, or one with an
 * unreadable payload, fails on its own: the method gets the others.
 *
 * @param options see {@link BatchOptions}.
 * @example
 * ```ts
 * @BatchHandler('reading', { max: 100, maxWaitMs: 50 })
 * async store(jobs: Job<Reading>[], meterId: string, { fencingToken }: EntityContext) {
 *   await this.readings.insertAll(meterId, jobs.map(job => job.data), fencingToken);
 * }
 * ```
 * @throws InvalidOptionError (at import) for an option that is unknown or out of range, or an invalid schema, and at start when `max` is
 * more than a pod may fetch; HandlerConflictError when the name has another handler; InvalidCommandError when the name is empty or
 * `'*'`, or the method is static.
 */
export function BatchHandler(jobName: string, options: BatchOptions) {
  return <T extends BatchMethodOf>(
    target: object,
    method: string | symbol,
    _descriptor: TypedPropertyDescriptor<T>,
  ): void => {
    const where = `@BatchHandler of ${methodName(target, method)}`;
    if (typeof jobName !== 'string' || jobName === '' || jobName === '*') {
      throw new InvalidCommandError(`${where} needs the name of its jobs: a batch has jobs of one name.`);
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

/** Also sets `undefined`, so that the handler of a subclass does not inherit a schema. */
function setSchema(cls: Class, jobName: string, schema: StandardSchema | undefined): void {
  setMetadata(cls, 'jobSchemas', new Map(getMetadata(cls, 'jobSchemas')).set(jobName, schema));
}

function methodName(target: object, method: string | symbol): string {
  const cls = typeof target === 'function' ? target : target.constructor;
  return `${cls.name}.${String(method)}`;
}

function classOfHandler(target: object, where: string): Class {
  if (typeof target !== 'function') return target.constructor as Class;
  throw new InvalidCommandError(`${where} is on a static method, which no provider has. Remove static.`);
}

/** @throws HandlerConflictError when the class has another handler for jobs of that name. */
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
    `${cls.name} handles job "${jobName}" twice, in ${String(other)} and ${String(method)}. Remove one.`,
  );
}
