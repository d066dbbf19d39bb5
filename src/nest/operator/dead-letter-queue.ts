/** The dead letters of one entity type, for whoever operates it: {@link EntityQueues.deadLetters}. */
import type { Queue } from 'bullmq';
import { InvalidOptionError } from '../../core/model/errors.js';
import type { DeadLetter, DeadLetters } from '../../core/ports/operator.js';
import type { RedisConnectionOptions } from '../../store/redis/connection/options.js';
import { openQueue } from '../../store/redis/operator/open-queue.js';

/**
 * Jobs of all entities of a type that have used up their tries (`onExhausted: 'deadLetter'`), with their history. They stay until
 * somebody replays or removes them.
 */
export interface DeadLetterQueue {
  /**
   * The oldest first.
   * @param from the first one's position, from 0. Default 0.
   * @param limit Default 100, at most 1000.
   */
  list(options?: { from?: number; limit?: number }): Promise<DeadLetter[]>;
  /**
   * The job joins the queue of its entity, behind all that waits, with all its tries and under a new id, in the one step that
   * removes the letter.
   * @returns the new id; nothing when there is no such letter.
   */
  replay(letterId: string): Promise<string | undefined>;
  /** Replays all letters that there are now, the oldest first, so that those of an entity keep their order. @returns how many. */
  replayAll(): Promise<number>;
  /** @returns whether there was one. */
  remove(letterId: string): Promise<boolean>;
  /** BullMQ's own `Queue`, in which the letters are failed jobs; close it when you are done. A retry there goes nowhere. */
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

/** First the ids of all that there are are read: what dies again meanwhile is none of them. */
async function replayAll(letters: DeadLetters, type: string): Promise<number> {
  const ids: string[] = [];
  let page: readonly string[];
  do {
    page = await letters.ids(type, ids.at(-1) ?? '', MAX_LISTED);
    ids.push(...page);
  } while (page.length === MAX_LISTED);
  let count = 0;
  while (ids.length > 0) {
    // Their steps travel together, in their order.
    const replayed = await Promise.all(ids.splice(0, REPLAYED_TOGETHER).map(id => letters.replay(type, id)));
    count += replayed.filter(jobId => jobId !== undefined).length;
  }
  return count;
}

/** Each copies its payload within Redis. */
const REPLAYED_TOGETHER = 32;

/** While a list is read, Redis does nothing else. */
const MAX_LISTED = 1000;

/** @throws InvalidOptionError */
export function checkPage(from: number, limit: number): void {
  if (Number.isSafeInteger(from) && from >= 0 && Number.isInteger(limit) && limit >= 1 && limit <= MAX_LISTED) return;
  throw new InvalidOptionError(`list() needs a whole number "from" from 0, and a "limit" from 1 to ${MAX_LISTED}.`);
}
