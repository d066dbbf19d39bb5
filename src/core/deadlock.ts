/**
 * Deadlocks of waiting calls: a handler that waits holds its entity, so nobody may wait for an entity that waits for him.
 *
 * Who waits travels in the envelope of the job that is waited for, each with the time until which he does: whose time is over
 * waits no more, whatever became of him. Two calls that cross, of handlers that were not called by each other, are in no
 * common chain; they end by their timeouts. Neighbours: `current-job.ts` knows the job that runs here, `waiting-calls.ts` asks.
 */
import { DeadlockError } from './answer-errors.js';
import { runningJob } from './current-job.js';
import { type EntityRef, entityWord, parseEntityWord } from './entity.js';
import type { Envelope } from './envelope.js';

/**
 * The chain that goes with a job of `target` for which the handler that runs here waits; none outside of a handler.
 * @param untilMs how long it waits, in ms since 1970, as is `nowMs`
 * @throws DeadlockError
 */
export function chainTo(target: EntityRef, untilMs: number, nowMs: number): Envelope['chain'] {
  const job = runningJob();
  if (!job || job.hasEnded) return undefined;
  const waiting = chainOf(job.envelope).filter(([, until]) => until > nowMs);
  const chain = [...waiting, [entityWord({ type: job.entityType, id: job.entityId }), untilMs] as const];
  const words = chain.map(([word]) => word);
  const begin = words.indexOf(entityWord(target));
  if (begin >= 0) throw new DeadlockError([...words.slice(begin).map(parseEntityWord), target]);
  return chain;
}

/** What somebody has written by hand is none. */
function chainOf({ chain }: Envelope): NonNullable<Envelope['chain']> {
  const isLink = (link: unknown) =>
    Array.isArray(link) && typeof link[0] === 'string' && link[0].includes(':') && typeof link[1] === 'number';
  return Array.isArray(chain) && chain.every(isLink) ? chain : [];
}
