/**
 * The outcome of the calls of a batch: each is settled by its own response, or by the error of the batch.
 * Neighbours: `channel.ts` sends batches; `in-flight.ts` has those without a response.
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

export function settle(call: Call, response: unknown): void {
  if (!Array.isArray(response)) {
    call.reject(refusalOf(callWord(call.op), response));
    return;
  }
  try {
    call.resolve(call.decode(response));
  } catch (error) {
    call.reject(error instanceof AtomicQueuesError ? error : unreadable(call, error));
  }
}

/**
 * Why a step was refused. A step that threw half-way may have been executed in part, so it must not count as not executed. The reason
 * may quote an argument of any length.
 */
export function refusalOf(what: string, response: unknown): Error {
  const { err = 'no response', half } = (response ?? {}) as { err?: unknown; half?: boolean };
  const why = messageOf(err);
  const remedy = remedyOf(why);
  // guards: outcome.refusalOf
  return half
    ? new OutcomeUnknownError(`Redis stopped ${what} half-way: ${why}; a part of it may have been executed${remedy}.`)
    : new StoreRefusedError(`Redis refused ${what}: ${why}; nothing was changed${remedy}.`);
}

/** The call was executed, and its response is unknown. */
function unreadable({ op }: Call, error: unknown): OutcomeUnknownError {
  const kind = error instanceof Error ? error.name : typeof error;
  return new OutcomeUnknownError(`Redis executed ${callWord(op)}, and its response can't be read (${kind}).`, {
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

/** An error as the response: Redis did not run the script. Without a response it is unknown whether it did. */
export function meaningOf(error: Error): Error {
  if (error.name === 'ReplyError')
    return new StoreRefusedError(`Redis refused the call: ${error.message}${remedyOf(error.message)}`, {
      cause: error,
    });
  return new OutcomeUnknownError(
    `The connection to Redis broke before the response came (${messageOf(error)}); the call may or may not have been executed.`,
    { cause: error },
  );
}
