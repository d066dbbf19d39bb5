/**
 * The reply of a pod that has run a job to the waiting caller. The stores write it in the step that ends the job, so it is there exactly
 * when the end is. Neighbour: `reply.ts` defines replies.
 */

import type { Envelope } from './envelope.js';
import type { Settlement } from './job.js';
import { type Reply, thrownAs } from './reply.js';

/** A reply and its receiver. */
export interface AddressedReply {
  /** Address of the waiting pod. */
  readonly pod: string;
  readonly call: string;
  readonly kind: Reply['kind'];
  /** Text of the reply; undefined if it is the job's result itself. */
  readonly text: string | undefined;
}

/** The caller that waits for a job. Data that another program wrote counts as none. */
export function waiterOf({ reply }: Envelope): readonly [pod: string, call: string] | undefined {
  const isWord = (word: unknown) => typeof word === 'string' && /^[\w.-]+$/.test(word);
  return Array.isArray(reply) && reply.length === 2 && reply.every(isWord) ? reply : undefined;
}

/** Ends of an attempt, and not of the job. */
export const COMES_BACK: readonly Settlement['outcome']['kind'][] = ['retrying', 'blocked', 'postponed'];

/** The reply for the end of a job; none if no caller waits, or the job has not ended. */
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
