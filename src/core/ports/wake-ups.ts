/** What makes pods inspect an entity: wake-ups, the inspection schedule, and searches. Neighbour: `claims.ts` is what comes of it. */
import type { EntityRef } from '../model/entity.js';

/** An entity that this pod should inspect. */
export interface WakeUp extends EntityRef {
  /** Its queue was paused, or emptied: its owner must give back what it has fetched and not started. */
  readonly isRecall?: true;
}

/** One step of a search through all queues. */
export interface Discovered {
  /** The position at which the search goes on; undefined if it is over, or another pod has searched within the interval. */
  readonly next?: string;
  /** How many entities were found that have work and were not scheduled. */
  readonly found: number;
}

/** A role of the store: `store.ts` says what holds for every method. */
export interface WakeUps {
  /** Entities of a type whose inspection is due, the longest overdue first, from a position on. */
  due(type: string, from: number, limit: number): Promise<EntityRef[]>;
  /**
   * Waits for wake-ups of this pod, and for requests for a worker of `types`; empty if none came within the store's own bound.
   */
  wakeUps(types: readonly string[]): Promise<WakeUp[]>;
  /** Asks any pod with capacity to inspect the entity: one that waits gets the request, or the first that has capacity again. */
  requestWorker(entity: EntityRef): Promise<void>;
  /** How many jobs of each entity wait or run. */
  backlogs(entities: readonly EntityRef[]): Promise<number[]>;
  /**
   * Continues what a dead pod had begun: a page of the jobs that were dropped, and of the entities of types that were resumed.
   * @returns whether there is more.
   */
  leftovers(types: readonly string[]): Promise<boolean>;
  /**
   * Searches a part of all queues for jobs added outside this library (race 10), and schedules an inspection of what it finds.
   * @param from where the last step ended. Without it, a search begins, unless a pod has begun one within `intervalMs`.
   */
  discover(types: readonly string[], intervalMs: number, from?: string): Promise<Discovered>;
}
