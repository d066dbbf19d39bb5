/**
 * Deadlocks of waiting calls: a handler that waits holds its entity, so nobody may wait for an entity that waits for him.
 *
 * Who waits travels in the envelope of the job that is waited for, each with the time until which he does: whose time is over
 * waits no more, whatever became of him. Two calls that cross, of handlers that were not called by each other, are in no
 * common chain; they end by their timeouts. Neighbours: `current-job.ts` knows what runs here, `waiting-calls.ts` asks.
 */
import { DeadlockError } from './answer-errors.js';
import { runningEntity } from './current-job.js';
import { type EntityRef, entityWord, parseEntityWord } from './entity.js';
import type { Envelope } from './envelope.js';

/**
 * The chain that goes with a job of `target` for which the handler that runs here waits; none outside of a handler.
 * @param untilMs how long it waits, in ms since 1970, as is `nowMs`
 * @throws DeadlockError
 */
export function chainTo(target: EntityRef, untilMs: number, nowMs: number): Envelope['chain'] {
  const context = runningEntity();
  if (!context || context.hasEnded) return undefined;
  const own = [entityWord({ type: context.entityType, id: context.entityId }), untilMs] as const;
  const chains = context.envelopes.map(envelope => chainOf(envelope).filter(([, until]) => until > nowMs));
  for (const chain of chains) refuseCircle([...chain, own], target);
  return [...together(chains), own];
}

/** A batch has several jobs, and each may be waited for; who waits for several of them does so until the last time is over. */
function together(chains: readonly NonNullable<Envelope['chain']>[]): NonNullable<Envelope['chain']> {
  const latest = new Map<string, number>();
  for (const [word, until] of chains.flat()) latest.set(word, Math.max(until, latest.get(word) ?? until));
  return [...latest];
}

function refuseCircle(chain: NonNullable<Envelope['chain']>, target: EntityRef): void {
  const words = chain.map(([word]) => word);
  const begin = words.indexOf(entityWord(target));
  if (begin >= 0) throw new DeadlockError([...words.slice(begin).map(parseEntityWord), target]);
}

/** What somebody has written by hand is none. */
function chainOf({ chain }: Envelope): NonNullable<Envelope['chain']> {
  const isLink = (link: unknown) =>
    Array.isArray(link) && typeof link[0] === 'string' && link[0].includes(':') && typeof link[1] === 'number';
  return Array.isArray(chain) && chain.every(isLink) ? chain : [];
}
