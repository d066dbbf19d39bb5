/**
 * Deadlocks of waiting calls: a handler that waits holds its entity, so nobody may wait for an entity that waits for him.
 *
 * The waits that lead to a job travel in its envelope. They are a memory: a handler may have ended since, or its call have been
 * given up. So before a call is refused the pod of each wait is asked whether it goes on. A wait that goes on has done so since
 * before the first question, so all of them did at one moment. Two calls that cross, of handlers that were not called by each
 * other, are in no common chain; they end by their timeouts.
 * Neighbours: `running-job.ts` knows what runs here, `pending-calls.ts` knows and asks which calls wait.
 */

import { type EntityRef, entityKey, parseEntityKey } from '../model/entity.js';
import type { Envelope, WaitLink } from '../model/envelope.js';
import { type RunningEntity, runningEntity } from '../run/running-job.js';
import { DeadlockError } from './call-errors.js';

/** Waits that travel with a job; a circle of more is not seen, and ends by its timeouts. */
const MAX_LINKS = 256;

/** Whether a call of a pod still waits, and its handler runs. */
export type IsWaiting = (pod: string, call: string) => Promise<boolean>;

/** The handler that runs here, if its job holds an entity. */
export function waitingHandler(): RunningEntity | undefined {
  const context = runningEntity();
  // guards: deadlock.waitingHandler
  return context?.hasEnded ? undefined : context;
}

/** The waits that lead to what runs here: of a batch those of all its jobs. */
export function linksTo({ envelopes }: RunningEntity): readonly WaitLink[] {
  const links = new Map<string, WaitLink>();
  for (const link of envelopes.flatMap(linksIn)) links.set(`${link[2]} ${link[3]}`, link);
  return [...links.values()].slice(-MAX_LINKS);
}

/** Waits by which `from` waits for `to`, one after the other; an entity waits for itself by none. */
export function pathBetween(links: readonly WaitLink[], from: string, to: string): readonly WaitLink[] | undefined {
  const paths = new Map<string, readonly WaitLink[]>([[from, []]]);
  for (const [entity, path] of paths) {
    if (entity === to) return path;
    for (const link of links) if (link[0] === entity && !paths.has(link[1])) paths.set(link[1], [...path, link]);
  }
  return undefined;
}

/** @throws DeadlockError when the entity that is waited for waits for `own`, at this moment. */
export async function refuseCircle(
  links: readonly WaitLink[],
  { own, target, isWaiting }: { own: EntityRef; target: EntityRef; isWaiting: IsWaiting },
): Promise<void> {
  const ends = [entityKey(target), entityKey(own)] as const;
  let left = links;
  for (let path = pathBetween(left, ...ends); path; path = pathBetween(left, ...ends)) {
    const waits = await Promise.all(path.map(([, , pod, call]) => isWaiting(pod, call)));
    const over = path.filter((_, at) => !waits[at]);
    // guards: deadlock.refuseCircle
    if (over.length === 0) throw new DeadlockError([target, ...path.map(([, to]) => parseEntityKey(to)), target]);
    left = left.filter(link => !over.includes(link));
  }
}

/** What somebody has written by hand is none. */
function linksIn({ chain }: Envelope): readonly WaitLink[] {
  const isLink = (link: unknown) =>
    Array.isArray(link) &&
    link.length === 4 &&
    link.every(word => typeof word === 'string') &&
    link.slice(0, 2).every(word => word.includes(':'));
  return Array.isArray(chain) && chain.every(isLink) ? chain : [];
}
