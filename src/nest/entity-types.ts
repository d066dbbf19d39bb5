/**
 * Names and payloads that the compiler knows: what an application says of its entity types, and what follows from it. Types only.
 * Neighbours: `queue-bus.ts`, `entity-queues.ts`, `queue-entity.decorator.ts` and `module-options.ts` ask for these names.
 */
import type { EntityId } from '../core/model/entity.js';

/**
 * The entity types of an application, for the compiler. Empty, any name will do, and data is `unknown`; once there is one, only those
 * that are here compile: in the decorators, in `QueueBus`, `EntityQueues` and the `entities` of the options. `jobs` are the jobs by
 * name of a type, each with its `data` and `result`; without it a type's jobs may have any name.
 *
 * @example
 * ```ts
 * declare module 'atomic-queues' {
 *   interface EntityTypes {
 *     account: { jobs: { audit: { data: { by: string }; result: number } } };
 *     order: object;
 *   }
 * }
 * ```
 */
// biome-ignore lint/suspicious/noEmptyInterface: an application adds to it
export interface EntityTypes {}

/** Names of entity types: those of {@link EntityTypes}, or any where there are none. */
export type EntityTypeName = [keyof EntityTypes] extends [never] ? string : Extract<keyof EntityTypes, string>;

type JobsOf<T extends string> = T extends keyof EntityTypes
  ? EntityTypes[T] extends { jobs: infer Jobs }
    ? Jobs
    : Record<string, unknown>
  : Record<string, unknown>;

/** Names of the jobs of an entity type. */
export type JobName<T extends string = EntityTypeName> = T extends unknown ? Extract<keyof JobsOf<T>, string> : never;

/** What jobs of a name are given. */
export type JobData<T extends string, N extends string> = PartOf<T, N, 'data'>;

/** What jobs of a name result in. */
export type JobResult<T extends string, N extends string> = PartOf<T, N, 'result'>;

type PartOf<T extends string, N extends string, Part extends string> = N extends keyof JobsOf<T>
  ? Part extends keyof JobsOf<T>[N]
    ? JobsOf<T>[N][Part]
    : unknown
  : unknown;

/** What a command or query results in: `R` of one that extends `Command<R>` or `Query<R>` of `@nestjs/cqrs`, else `unknown`. */
export type ResultOf<C extends object> = [Extract<keyof C, symbol>] extends [never]
  ? unknown
  : C[Extract<keyof C, symbol>];

/** A job of an entity type that is known otherwise. */
export type ScopedJob<T extends string = EntityTypeName> = T extends unknown
  ? { [N in JobName<T>]: JobOf<T, N> }[JobName<T>]
  : never;

/** A job added by name. */
export type NamedJob<T extends string = EntityTypeName> = T extends unknown
  ? { [N in JobName<T>]: JobOf<T, N> & OfType<T> }[JobName<T>]
  : never;

interface OfType<T> {
  /** The entity's type, such as `account`. */
  entityType: T;
}

type JobOf<T extends string, N extends string> = {
  entityId: EntityId;
  /** Which handler runs it: a `@JobHandler` of that name, or the CQRS handler of the command of that name. */
  name: N;
} & (undefined extends JobData<T, N>
  ? {
      /** Anything that the codec of the type can carry: JSON, where nothing else is said. */
      data?: JobData<T, N>;
    }
  : { data: JobData<T, N> });
