/**
 * What decorators write down, and the one place that reads it: the names of the metadata and their types.
 * Neighbours: `decorators.ts` writes, `command-class.ts`, `explorer.ts` and `nest/handlers/cqrs-bridge.ts` read.
 */
import 'reflect-metadata';
import type { BatchLimits } from '../../core/handlers/batch-options.js';
import type { StandardSchema } from '../../core/handlers/validation.js';
import type { EntityOptions } from '../../core/options/options.js';
import type { EntityTypeName } from '../entity-types.js';

/** A class, of which instances may be made; the argument types don't matter here. */
// biome-ignore lint/suspicious/noExplicitAny: a constructor's parameters are contravariant; only any accepts them all
export type Class<T = object> = abstract new (...args: any[]) => T;

/** Options of `@WorkerProcessor`: those of the entity type, and which it is. */
export interface WorkerProcessorOptions extends EntityOptions {
  /** The entity type whose jobs this class handles. */
  entityType: EntityTypeName;
  /**
   * Whether jobs pass through Nest's guards, interceptors and exception filters on their way to the handlers of this class:
   * its own, those of its methods, and global ones. `ExecutionContext.getType()` is `'atomic-queues'`, `getArgs()` what the
   * handler gets. A `ForbiddenException`, which is what a guard that refuses ends with, fails a job without a further try
   * (`JobRefusedError`). What a filter returns is the job's result; one that returns nothing leaves the failure as it is.
   * Pipes have no parameter to act on. Default: not; then none may be on a handler, lest somebody relies on it.
   */
  enhancers?: boolean;
}

/** A method that handles jobs one by one. */
export interface JobMethod {
  readonly method: string | symbol;
  /** Its jobs are shared reads. */
  readonly isShared: boolean;
}

/** A method that handles batches. */
export interface BatchMethod extends BatchLimits {
  readonly method: string | symbol;
}

interface Metadata {
  /** On a command class: its entity type. */
  entityType: string;
  /** On a command class: its job name, where one was declared. */
  jobName: string;
  /** On a command class: the property that holds the entity id. */
  entityIdProperty: string;
  /** On a command class: its jobs are shared reads of the entity type that was declared with it. */
  shared: boolean;
  /** On a class: the options of its worker. */
  processor: WorkerProcessorOptions;
  /** On a class: the method that handles each job, by the job's name. */
  jobHandlers: ReadonlyMap<string, JobMethod>;
  /** On a class: the method that handles the batches of each job, by the job's name. */
  batchHandlers: ReadonlyMap<string, BatchMethod>;
  /** On a class: the schema of the data of each job that it handles, by the job's name; nothing where the handler has none. */
  jobSchemas: ReadonlyMap<string, StandardSchema | undefined>;
  /** On a command class: the schema of its instances; of this class alone, since it may drop what a subclass adds. */
  schema: StandardSchema;
  /** On a command class: it takes part in routing by job name. */
  routed: true;
}

const key = (name: keyof Metadata) => `atomic-queues:${name}`;

export function setMetadata<K extends keyof Metadata>(target: object, name: K, value: Metadata[K]): void {
  Reflect.defineMetadata(key(name), value, target);
}

/**
 * Nest's own mark of a class that is called from outside, as a resolver is: global enhancers that are request-scoped belong to
 * what is made for each call of it.
 */
export function markAsEntryProvider(target: object): void {
  Reflect.defineMetadata('__entryProvider__', true, target);
}

/** What was declared on the class or, where nothing was, on the class it extends. */
export function getMetadata<K extends keyof Metadata>(target: object, name: K): Metadata[K] | undefined {
  return Reflect.getMetadata(key(name), target);
}

/** What was declared on the class itself. */
export function getOwnMetadata<K extends keyof Metadata>(target: object, name: K): Metadata[K] | undefined {
  return Reflect.getOwnMetadata(key(name), target);
}

/** The name under which jobs of a command class travel: the declared one, else the class's own. */
export function jobNameOf(target: Class): string {
  return getOwnMetadata(target, 'jobName') ?? target.name;
}

/** Who says that the jobs of a class are shared reads, for errors. */
export function whoShares({ name }: Class): string {
  return `@QueueEntity of ${name}`;
}
