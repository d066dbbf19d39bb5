/**
 * What decorators write down, and the one place that reads it: the names of the metadata and their types.
 * Neighbours: `decorators.ts` writes, `command-class.ts`, `explorer.ts` and `cqrs/bridge.ts` read.
 */
import 'reflect-metadata';
import type { EntityOptions } from '../core/options.js';
import type { StandardSchema } from '../core/validation.js';
import type { EntityTypeName } from './entity-types.js';

/** A class, of which instances may be made; the argument types don't matter here. */
// biome-ignore lint/suspicious/noExplicitAny: a constructor's parameters are contravariant; only any accepts them all
export type Class<T = object> = abstract new (...args: any[]) => T;

/** Options of `@WorkerProcessor`: those of the entity type, and which it is. */
export interface WorkerProcessorOptions extends EntityOptions {
  /** The entity type whose jobs this class handles. */
  entityType: EntityTypeName;
}

interface Metadata {
  /** On a command class: its entity type. */
  entityType: string;
  /** On a command class: its job name, where one was declared. */
  jobName: string;
  /** On a command class: the property that holds the entity id. */
  entityIdProperty: string;
  /** On a class: the options of its worker. */
  processor: WorkerProcessorOptions;
  /** On a class: the method that handles each job, by the job's name. */
  jobHandlers: ReadonlyMap<string, string | symbol>;
  /** On a class: the schema of the data of each job, by the job's name. */
  jobSchemas: ReadonlyMap<string, StandardSchema>;
  /** On a command class: the schema of its instances; of this class alone, since it may drop what a subclass adds. */
  schema: StandardSchema;
  /** On a command class: it takes part in routing by job name. */
  routed: true;
}

const key = (name: keyof Metadata) => `atomic-queues:${name}`;

export function setMetadata<K extends keyof Metadata>(target: object, name: K, value: Metadata[K]): void {
  Reflect.defineMetadata(key(name), value, target);
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
