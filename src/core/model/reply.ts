/**
 * Answers: how a job ended, told to whoever waits for it; and what of an error travels.
 * Neighbours: `reply-of.ts` makes one of the end of a job, `pending-calls.ts` waits for it.
 */
import { codeOf, errorsIn, nameOf, readProperty, shorten } from './error-text.js';
import { messageOf, ownMessageOf } from './failure-text.js';
import { type HttpAnswer, httpAnswerOf, isHttpAnswer } from './http-response.js';

/** What a handler has thrown, as far as it travels: no stack, which says more of a pod than a caller should know. */
export interface Thrown {
  readonly name: string;
  readonly message: string;
  readonly code?: string | number;
  readonly cause?: Thrown;
  /** The first errors of an `AggregateError`. */
  readonly errors?: readonly Thrown[];
  /** What an `HttpException` asks for. */
  readonly http?: HttpAnswer;
}

export type Reply =
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
export function readReply(kind: string, text: string): Reply | Notice {
  if (kind === 'completed') return { kind, value: text };
  if (kind === 'withheld') return { kind, why: text };
  if (kind === 'asked') return { kind, by: text.split(' ', 2) as [string, string] };
  if (kind === 'overflow') return { kind };
  return { kind: 'failed', thrown: readThrown(text) };
}

/** What is told, as {@link readReply} reads it. */
export function writeReply(answer: Reply | Notice): string {
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

/** What was written by hand is no more than a text. */
function isThrown(value: unknown, depth = 0): value is Thrown {
  if (typeof value !== 'object' || value === null || depth > MAX_RELATED) return false;
  const { name, message, cause, errors, http } = value as Partial<Thrown>;
  const isRelated = (other: unknown) => isThrown(other, depth + 1);
  return (
    typeof name === 'string' &&
    typeof message === 'string' &&
    (cause === undefined || isRelated(cause)) &&
    (errors === undefined || (Array.isArray(errors) && errors.every(isRelated))) &&
    (http === undefined || isHttpAnswer(http))
  );
}

/** Of what only the message is known. */
export function thrownAs(message: string): Thrown {
  return { name: 'Error', message };
}

/** So many causes and errors within travel with an error, all together. */
const MAX_RELATED = 5;
/** Longest message of each; that of the error itself is as long as what is stored. */
const MAX_RELATED_LENGTH = 1024;

type Growing = { -readonly [Key in keyof Thrown]: Thrown[Key] };

/**
 * Anything that a handler has thrown, with the errors nearest to it. Never throws.
 * @param isSecret see {@link httpAnswerOf}.
 */
export function describeThrown(error: unknown, isSecret = false): Thrown {
  const root: Growing = describeOne(error);
  const http = httpAnswerOf(error, isSecret);
  if (http) root.http = http;
  const level: [Growing, unknown][] = [[root, error]];
  let left = MAX_RELATED;
  // Grows while it is walked.
  for (const [thrown, of] of level) {
    const within = errorsIn(of, left).map((one): [Growing, unknown] => [describeRelated(one), one]);
    if (within.length > 0) thrown.errors = within.map(([one]) => one);
    level.push(...within);
    // guards: reply.describeThrown
    left -= within.length;
    const cause = left > 0 ? readProperty(of, 'cause') : undefined;
    if (cause === undefined) continue;
    left--;
    const described = describeRelated(cause);
    thrown.cause = described;
    level.push([described, cause]);
  }
  return root;
}

function describeRelated(error: unknown): Growing {
  const thrown = describeOne(error);
  return { ...thrown, message: shorten(thrown.message, MAX_RELATED_LENGTH) };
}

/** Its own message, if it has one: what it holds is told by itself. */
function describeOne(error: unknown): Thrown {
  const code = codeOf(error);
  return {
    name: nameOf(error),
    message: ownMessageOf(error) || messageOf(error),
    ...(code !== undefined && { code }),
  };
}
