/**
 * What becomes of the calls of a batch: each is settled by its own response, or by the error of the batch.
 * Neighbour: `channel.ts` knows which batches are under way.
 */

import { Unpackr } from 'msgpackr';
import { AtomicQueuesError, messageOf } from '../../../core/model/errors.js';
import { OutcomeUnknownError, StoreRefusedError, StoreUnavailableError } from '../../../core/model/store-errors.js';
import type { Batch, Call } from './batch.js';
import { callAsSubject, callWord } from './call-words.js';
import { remedyOf } from './rights.js';

export const unpackr = new Unpackr({ useRecords: false });

export function closedBefore(op: string): StoreUnavailableError {
  return new StoreUnavailableError(
    `${callAsSubject(op)} was not sent: the connection to Redis has been closed. Nothing was written.`,
  );
}

export function overtaken({ refusal }: Batch): string {
  return `Redis refused the call (${refusal}) and executed a later one; the call was not executed.`;
}

export function settle(call: Call, answer: unknown): void {
  if (!Array.isArray(answer)) {
    call.reject(refusalOf(callWord(call.op), answer));
    return;
  }
  try {
    call.resolve(call.decode(answer));
  } catch (error) {
    call.reject(error instanceof AtomicQueuesError ? error : unreadable(call, error));
  }
}

/**
 * Why a step was refused; one that threw half-way may have been executed in part, and is not to be taken for one that was not. The
 * reason may quote an argument, of any length.
 */
export function refusalOf(what: string, answer: unknown): Error {
  const { err = 'no answer', half } = (answer ?? {}) as { err?: unknown; half?: boolean };
  const why = messageOf(err);
  const remedy = remedyOf(why);
  // guards: outcome.refusalOf
  return half
    ? new OutcomeUnknownError(`Redis stopped ${what} half-way: ${why}; a part of it may have been executed${remedy}.`)
    : new StoreRefusedError(`Redis refused ${what}: ${why}; nothing was changed${remedy}.`);
}

/** It was executed; what it brought is not known here. */
function unreadable({ op }: Call, error: unknown): OutcomeUnknownError {
  const kind = error instanceof Error ? error.name : typeof error;
  return new OutcomeUnknownError(`Redis executed ${callWord(op)}, and its answer can't be read (${kind}).`, {
    cause: error,
  });
}

export function rejectAll(batch: Batch, error: Error): void {
  for (const call of batch.calls) call.reject(error);
}

/** The connection was closing: ioredis wrote nothing. */
export function isNeverSent(message: string): boolean {
  return /isn't writeable/.test(message);
}

/** An answer that is an error: Redis did not run the script. No answer at all: it is unknown whether it did. */
export function meaningOf(error: Error): Error {
  if (error.name === 'ReplyError')
    return new StoreRefusedError(`Redis refused the call: ${error.message}${remedyOf(error.message)}`, {
      cause: error,
    });
  return new OutcomeUnknownError(
    `The connection to Redis broke before the answer came (${messageOf(error)}); the call may or may not have been executed.`,
    { cause: error },
  );
}
