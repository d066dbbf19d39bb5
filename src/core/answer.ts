/**
 * Answers: how a job ended, told to whoever waits for it; and what of an error travels.
 * Neighbours: `reply.ts` makes one of the end of a job, `waiting-calls.ts` waits for it.
 */
import { isError, messageOf, nameOf, readProperty, shorten } from './error-text.js';

/** What a handler has thrown, as far as it travels: no stack, which says more of a pod than a caller should know. */
export interface Thrown {
  readonly name: string;
  readonly message: string;
  readonly code?: string | number;
  readonly cause?: Thrown;
}

export type Answer =
  /** The result as JSON text, as the codec of its job has written it. */
  | { readonly kind: 'completed'; readonly value: string }
  | { readonly kind: 'failed'; readonly thrown: Thrown }
  /** It has completed, and its result can't be told; why not. */
  | { readonly kind: 'withheld'; readonly why: string };

/** What a mailbox holds beside answers. */
export type Notice =
  /** A call of another pod asks whether this one still waits. */
  | { readonly kind: 'asked'; readonly by: readonly [pod: string, call: string] }
  /** The mailbox is full: answers that would have come after this one were dropped. Not of one call. */
  | { readonly kind: 'overflow' };

/** Reads what `replyOf` has written, with the job's result in place of no text; or a notice that was told. */
export function readAnswer(kind: string, text: string): Answer | Notice {
  if (kind === 'completed') return { kind, value: text };
  if (kind === 'withheld') return { kind, why: text };
  if (kind === 'asked') return { kind, by: text.split(' ', 2) as [string, string] };
  if (kind === 'overflow') return { kind };
  return { kind: 'failed', thrown: readThrown(text) };
}

/** What is told, as {@link readAnswer} reads it. */
export function writeAnswer(answer: Answer | Notice): string {
  if (answer.kind === 'completed') return answer.value;
  if (answer.kind === 'withheld') return answer.why;
  if (answer.kind === 'asked') return answer.by.join(' ');
  return answer.kind === 'failed' ? JSON.stringify(answer.thrown) : '';
}

export function readThrown(text: string): Thrown {
  try {
    const thrown: unknown = JSON.parse(text);
    return isThrown(thrown) ? thrown : thrownAs(text);
  } catch {
    return thrownAs(text);
  }
}

/** What somebody has written by hand is no more than a text. */
function isThrown(value: unknown): value is Thrown {
  if (typeof value !== 'object' || value === null) return false;
  const { name, message, cause } = value as Partial<Thrown>;
  return typeof name === 'string' && typeof message === 'string' && (cause === undefined || isThrown(cause));
}

/** Of what only the message is known. */
export function thrownAs(message: string): Thrown {
  return { name: 'Error', message };
}

/** Of a chain of causes that many travel. */
const MAX_CAUSES = 5;
/** Longest message of a cause; that of the error itself is as long as what is stored. */
const MAX_CAUSE_LENGTH = 1024;
/** Longest `name` or `code`. */
const MAX_WORD_LENGTH = 256;

/** What a handler has thrown, whatever it is. Never throws. */
export function describeThrown(error: unknown, causes = MAX_CAUSES): Thrown {
  const message = causes < MAX_CAUSES ? shorten(messageOf(error), MAX_CAUSE_LENGTH) : messageOf(error);
  if (!isError(error)) return thrownAs(message);
  const code = readProperty(error, 'code');
  const cause = causes > 0 ? readProperty(error, 'cause') : undefined;
  return {
    name: shorten(nameOf(error), MAX_WORD_LENGTH),
    message,
    ...(typeof code === 'string' && { code: shorten(code, MAX_WORD_LENGTH) }),
    ...(typeof code === 'number' && Number.isFinite(code) && { code }),
    ...(cause !== undefined && { cause: describeThrown(cause, causes - 1) }),
  };
}
