/** The API for the dead letters of one entity type: {@link EntityQueues.deadLetters}. Neighbour: `core/ports/operator.ts` declares the steps. */
import type { Queue } from 'bullmq';
import { InvalidOptionError } from '../../core/model/errors.js';
import type { DeadLetter, DeadLetters } from '../../core/ports/operator.js';
import type { RedisConnectionOptions } from '../../store/redis/connection/options.js';
import { openQueue } from '../../store/redis/operator/open-queue.js';

/**
 * Jobs of all entities of a type that have used up their attempts (`onExhausted: 'deadLetter'`), with their history. They stay until
 * the operator replays or removes them.
 */
export interface DeadLetterQueue {
  /**
   * Returns dead letters, the oldest first.
   * @param from position of the first one, from 0. @default 0
   * @param limit maximum number, at most 1000. @default 100
   */
  list(options?: { from?: number; limit?: number }): Promise<DeadLetter[]>;
  /**
   * Moves a job to the end of its entity's queue, with all its attempts and a new id, and removes the letter, in one step.
   * @returns the new id, or undefined when there is no such letter.
   */
  replay(letterId: string): Promise<string | undefined>;
  /** Replays all present letters, the oldest first, so that those of an entity keep their order. @returns their number. */
  replayAll(): Promise<number>;
  /** Removes a letter. @returns whether there was one. */
  remove(letterId: string): Promise<boolean>;
  /** Returns BullMQ's own `Queue`, in which the letters are failed jobs. Close it after use. A retry in it has no effect. */
  getQueue(): Promise<Queue>;
}

export function deadLetterQueue(
  type: string,
  started: () => Promise<DeadLetters>,
  redis: RedisConnectionOptions,
): DeadLetterQueue {
  return {
    async list({ from = 0, limit = 100 } = {}) {
      checkPage(from, limit);
      return (await started()).list(type, from, limit);
    },
    replay: async letterId => (await started()).replay(type, String(letterId)),
    replayAll: async () => replayAll(await started(), type),
    remove: async letterId => (await started()).remove(type, String(letterId)),
    getQueue: async () => openQueue((await started()).locate(type), redis),
  };
}

/** Reads the ids of all letters first, so that a job which dies again in the meantime is not replayed twice. */
async function replayAll(letters: DeadLetters, type: string): Promise<number> {
  const ids: string[] = [];
  let page: readonly string[];
  do {
    page = await letters.ids(type, ids.at(-1) ?? '', MAX_LISTED);
    ids.push(...page);
  } while (page.length === MAX_LISTED);
  let count = 0;
  while (ids.length > 0) {
    // The steps travel together, in order.
    const replayed = await Promise.all(ids.splice(0, REPLAYED_TOGETHER).map(id => letters.replay(type, id)));
    count += replayed.filter(jobId => jobId !== undefined).length;
  }
  return count;
}

/** Each replay copies a payload within Redis. */
const REPLAYED_TOGETHER = 32;

/** Redis does nothing else while it reads a list. */
const MAX_LISTED = 1000;

/** @throws InvalidOptionError */
export function checkPage(from: number, limit: number): void {
  if (Number.isSafeInteger(from) && from >= 0 && Number.isInteger(limit) && limit >= 1 && limit <= MAX_LISTED) return;
  throw new InvalidOptionError(
    `list() needs "from", a whole number from 0, and "limit", a whole number from 1 to ${MAX_LISTED}.`,
  );
}
