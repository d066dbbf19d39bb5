/**
 * Deadlocks of waiting calls. A handler that waits holds its entity, so it must not wait for an entity whose handler waits for its own.
 *
 * The waits that lead to a job travel in its envelope. They may be out of date: a handler may have ended, or its call may have been
 * given up. So before a call is refused, the pod of each wait is asked whether that wait continues. A wait that continues began before
 * the first question, so all of them existed at one moment. Two calls that cross, of handlers that did not call each other, are in no common chain.
 * They end by their timeouts.
 *
 * Owns: the search for circles in the chain of waits, and its bound.
 * Neighbours: `running-job.ts` knows the running handler. `pending-calls.ts` knows which calls wait here, and asks other pods.
 */

import { type EntityRef, entityKey, parseEntityKey } from '../model/entity.js';
import type { Envelope, WaitLink } from '../model/envelope.js';
import { type RunningEntity, runningEntity } from '../run/running-job.js';
import { DeadlockError } from './call-errors.js';

/** Maximum number of waits that travel with a job. A longer circle is not found, and ends by its timeouts. */
const MAX_LINKS = 256;

/** Whether a call of a pod is still waiting and its handler is still running. */
export type IsWaiting = (pod: string, call: string) => Promise<boolean>;

/** The running handler that the calling code belongs to; undefined outside of handlers, and after the handler has ended. */
export function waitingHandler(): RunningEntity | undefined {
  const context = runningEntity();
  // guards: deadlock.waitingHandler
  return context?.hasEnded ? undefined : context;
}

/** The waits that lead to a running job, or to any job of a running batch. */
export function linksTo({ envelopes }: RunningEntity): readonly WaitLink[] {
  const links = new Map<string, WaitLink>();
  for (const link of envelopes.flatMap(linksIn)) links.set(`${link[2]} ${link[3]}`, link);
  return [...links.values()].slice(-MAX_LINKS);
}

/** The chain of waits by which `from` waits for `to`. It is empty if both are the same entity, and undefined if there is none. */
export function pathBetween(links: readonly WaitLink[], from: string, to: string): readonly WaitLink[] | undefined {
  const paths = new Map<string, readonly WaitLink[]>([[from, []]]);
  for (const [entity, path] of paths) {
    if (entity === to) return path;
    for (const link of links) if (link[0] === entity && !paths.has(link[1])) paths.set(link[1], [...path, link]);
  }
  return undefined;
}

/** @throws DeadlockError if `target` waits for `own` at this moment. */
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

/** The waits in an envelope; none if the envelope was written by another program and its chain is damaged. */
function linksIn({ chain }: Envelope): readonly WaitLink[] {
  const isLink = (link: unknown) =>
    Array.isArray(link) &&
    link.length === 4 &&
    link.every(word => typeof word === 'string') &&
    link.slice(0, 2).every(word => word.includes(':'));
  return Array.isArray(chain) && chain.every(isLink) ? chain : [];
}
