/**
 * The check of `maxmemory-policy` at the start: a server that evicts keys when its memory is full loses jobs and claims silently.
 * `volatile-*` evicts only keys that expire anyway: hints, the fences of idle entities (their tokens go on growing
 * by Redis's clock), and the sign that a pod is alive, so its idle entities may move.
 * Neighbour: `redis-store.ts` calls it.
 */
import type { Redis } from 'ioredis';
import { messageOf, UnsupportedError } from '../../../core/model/errors.js';
import type { Log } from '../../../core/ports/log.js';

/** What the start does if Redis may evict jobs. */
export type EvictionResponse = 'warn' | 'refuse';

/** @throws UnsupportedError if the policy may evict jobs and `response` is `'refuse'`. */
export async function checkEviction(redis: Redis, response: EvictionResponse, log: Log): Promise<void> {
  let policy: string | undefined;
  try {
    policy = /^maxmemory_policy:(\S+)/m.exec(await redis.info('memory'))?.[1];
  } catch (error) {
    log.warn(
      `Redis does not say whether it evicts keys (${messageOf(error)}); its maxmemory-policy must be noeviction.`,
    );
  }
  if (!policy?.startsWith('allkeys')) return;
  const what = `Redis has the maxmemory-policy ${policy}: it drops jobs and claims when its memory is full`;
  if (response === 'refuse') throw new UnsupportedError(`${what}. Set it to noeviction, or onEvictingRedis to 'warn'.`);
  log.warn(`${what}. Set it to noeviction.`);
}
