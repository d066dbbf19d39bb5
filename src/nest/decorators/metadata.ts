/**
 * The metadata of decorators: its names, types and access.
 * Neighbours: the decorators of this folder write it. `command-class.ts`, `explorer.ts` and `nest/handlers/cqrs-bridge.ts` read it.
 */
import 'reflect-metadata';
import type { BatchLimits } from '../../core/handlers/batch-options.js';
import type { StandardSchema } from '../../core/handlers/validation.js';
import type { EntityOptions } from '../../core/options/options.js';
import type { EntityTypeName } from '../entity-types.js';

/** A class. The types of its constructor's arguments do not matter here. */
// biome-ignore lint/suspicious/noExplicitAny: a constructor's parameters are contravariant; only any accepts them all
export type Class<T = object> = abstract new (...args: any[]) => T;

/** Options of `@WorkerProcessor`: those of the entity type, and its name. */
export interface WorkerProcessorOptions extends EntityOptions {
  /** Entity type whose jobs this class handles. @default required */
  entityType: EntityTypeName;
  /**
   * Whether jobs pass through Nest's guards, interceptors and exception filters before the handlers of this class: the class's own,
   * those of its methods, and global ones. `ExecutionContext.getType()` is `'atomic-queues'`, and `getArgs()` has the handler's
   * arguments. A guard that refuses ends with a `ForbiddenException`, which fails the job without a further attempt
   * (`JobRefusedError`). The value that a filter returns is the job's result; a filter that returns nothing leaves the failure as it
   * is. Pipes have no parameter to act on. Without this option, decorators such as `@UseGuards` on a handler are refused at start:
   * they would have no effect.
   * @default false
   */
  enhancers?: boolean;
}

/** A method that handles jobs one by one. */
export interface JobMethod {
  readonly method: string | symbol;
  /** Whether its jobs are shared reads. */
  readonly isShared: boolean;
}

/** A method that handles batches. */
export interface BatchMethod extends BatchLimits {
  readonly method: string | symbol;
}

interface Metadata {
  /** On a command class: its entity type. */
  entityType: string;
  /** On a command class: its declared job name. */
  jobName: string;
  /** On a command class: the property with the entity id. */
  entityIdProperty: string;
  /** On a command class: whether its jobs are shared reads of the entity type that was declared with it. */
  shared: boolean;
  /** On a class: the options of its worker. */
  processor: WorkerProcessorOptions;
  /** On a class: the methods that handle single jobs, by job name. */
  jobHandlers: ReadonlyMap<string, JobMethod>;
  /** On a class: the methods that handle batches, by job name. */
  batchHandlers: ReadonlyMap<string, BatchMethod>;
  /** On a class: the schemas of its jobs' data, by job name; undefined for a handler without one. */
  jobSchemas: ReadonlyMap<string, StandardSchema | undefined>;
  /** On a command class: the schema of its instances. A subclass does not inherit it: the schema could drop what the subclass adds. */
  schema: StandardSchema;
  /** On a command class: it takes part in routing by job name. */
  routed: true;
}

const key = (name: keyof Metadata) => `atomic-queues:${name}`;

export function setMetadata<K extends keyof Metadata>(target: object, name: K, value: Metadata[K]): void {
  Reflect.defineMetadata(key(name), value, target);
}

/**
 * Sets Nest's own mark of a class that is called from outside, such as a resolver: Nest then creates request-scoped global enhancers
 * for each call of it.
 */
export function markAsEntryProvider(target: object): void {
  Reflect.defineMetadata('__entryProvider__', true, target);
}

/** Metadata of the class, or else of the class that it extends. */
export function getMetadata<K extends keyof Metadata>(target: object, name: K): Metadata[K] | undefined {
  return Reflect.getMetadata(key(name), target);
}

/** Metadata of the class itself. */
export function getOwnMetadata<K extends keyof Metadata>(target: object, name: K): Metadata[K] | undefined {
  return Reflect.getOwnMetadata(key(name), target);
}

/** The job name of a command class: the declared one, else the class name. */
export function jobNameOf(target: Class): string {
  return getOwnMetadata(target, 'jobName') ?? target.name;
}

/** Which decorator declares that the jobs of a class are shared reads, for errors. */
export function whoShares({ name }: Class): string {
  return `@QueueEntity of ${name}`;
}
