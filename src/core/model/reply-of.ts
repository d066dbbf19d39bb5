/**
 * What a pod that has run a job tells whoever waits for it. The stores write it in the step that ends the job for good, so it is
 * there exactly when the end is. Neighbour: `reply.ts` says what an answer is.
 */

import type { Envelope } from './envelope.js';
import type { Settlement } from './job.js';
import { type Reply, thrownAs } from './reply.js';

/** An answer on its way. */
export interface AddressedReply {
  /** The address of the pod that waits. */
  readonly pod: string;
  readonly call: string;
  readonly kind: Reply['kind'];
  /** None where it is the job's result itself. */
  readonly text: string | undefined;
}

/** Who waits for a job. What somebody has written by hand is nobody. */
export function waiterOf({ reply }: Envelope): readonly [pod: string, call: string] | undefined {
  const isWord = (word: unknown) => typeof word === 'string' && /^[\w.-]+$/.test(word);
  return Array.isArray(reply) && reply.length === 2 && reply.every(isWord) ? reply : undefined;
}

/** Ends of a try, and not of the job. */
export const COMES_BACK: readonly Settlement['outcome']['kind'][] = ['retrying', 'blocked', 'postponed'];

/** The answer that goes with the end of a job; none where nobody waits, or the job has not ended for good. */
export function replyOf({ job: { envelope }, outcome }: Settlement): AddressedReply | undefined {
  const waiter = envelope.reply && waiterOf(envelope);
  // guards: reply-of.replyOf
  if (!waiter || COMES_BACK.includes(outcome.kind)) return undefined;
  const [pod, call] = waiter;
  if (outcome.kind === 'completed') {
    const { withheld } = outcome;
    return { pod, call, kind: withheld === undefined ? 'completed' : 'withheld', text: withheld };
  }
  const thrown = ('thrown' in outcome && outcome.thrown) || thrownAs(outcome.reason);
  return { pod, call, kind: 'failed', text: JSON.stringify(thrown) };
}
