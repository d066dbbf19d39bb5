/**
 * Entity types, job names and payloads for the compiler, and the types that follow from them. Types only.
 * Neighbours: `queue-bus.ts`, `entity-queues.ts`, the decorators and `module-options.ts` use them.
 */
import type { EntityId } from '../core/model/entity.js';

/**
 * The entity types of an application, for the compiler. While it is empty, any name compiles, and data is `unknown`. Otherwise only its
 * names compile, in the decorators, in `QueueBus`, in `EntityQueues` and in the option `entities`. `jobs` has the jobs of a type by name,
 * each with its `data` and `result`. Without it a type's jobs may have any name.
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

/** Name of an entity type: one of {@link EntityTypes}, or any string while that is empty. */
export type EntityTypeName = [keyof EntityTypes] extends [never] ? string : Extract<keyof EntityTypes, string>;

type JobsOf<T extends string> = T extends keyof EntityTypes
  ? EntityTypes[T] extends { jobs: infer Jobs }
    ? Jobs
    : Record<string, unknown>
  : Record<string, unknown>;

/** Name of a job of an entity type. */
export type JobName<T extends string = EntityTypeName> = T extends unknown ? Extract<keyof JobsOf<T>, string> : never;

/** Data of the jobs of a name. */
export type JobData<T extends string, N extends string> = PartOf<T, N, 'data'>;

/** Result of the jobs of a name. */
export type JobResult<T extends string, N extends string> = PartOf<T, N, 'result'>;

type PartOf<T extends string, N extends string, Part extends string> = N extends keyof JobsOf<T>
  ? Part extends keyof JobsOf<T>[N]
    ? JobsOf<T>[N][Part]
    : unknown
  : unknown;

/** Result of a command or query: `R` if it extends `Command<R>` or `Query<R>` of `@nestjs/cqrs`, else `unknown`. */
export type ResultOf<C extends object> = [Extract<keyof C, symbol>] extends [never]
  ? unknown
  : C[Extract<keyof C, symbol>];

/** A named job for a bus of one entity type. */
export type ScopedJob<T extends string = EntityTypeName> = T extends unknown
  ? { [N in JobName<T>]: JobOf<T, N> }[JobName<T>]
  : never;

/** A named job with its entity type. */
export type NamedJob<T extends string = EntityTypeName> = T extends unknown
  ? { [N in JobName<T>]: JobOf<T, N> & OfType<T> }[JobName<T>]
  : never;

interface OfType<T> {
  /** Type of the entity, such as `account`. */
  entityType: T;
}

type JobOf<T extends string, N extends string> = {
  entityId: EntityId;
  /** Name of the job. It selects the handler: a `@JobHandler` of the name, or the CQRS handler of the command with the name. */
  name: N;
} & (undefined extends JobData<T, N>
  ? {
      /** Data of the job: any value that the codec of the type can carry. */
      data?: JobData<T, N>;
    }
  : { data: JobData<T, N> });
