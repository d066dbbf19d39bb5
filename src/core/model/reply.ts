/**
 * Replies: how a job ended, for the waiting caller, and the parts of an error that travel.
 * Neighbours: `reply-of.ts` makes the reply for the end of a job, `pending-calls.ts` waits for it.
 */
import { codeOf, errorsIn, nameOf, readProperty, shorten } from './error-text.js';
import { messageOf, ownMessageOf } from './failure-text.js';
import { type HttpReply, httpReplyOf, isHttpReply } from './http-response.js';

/** The parts of a thrown value that travel. Not its stack, which would expose the pod to the caller. */
export interface Thrown {
  readonly name: string;
  readonly message: string;
  readonly code?: string | number;
  readonly cause?: Thrown;
  /** First errors of an `AggregateError`. */
  readonly errors?: readonly Thrown[];
  /** Status and body of an `HttpException`. */
  readonly http?: HttpReply;
}

export type Reply =
  /** Result as JSON text, written by the codec of its job. */
  | { readonly kind: 'completed'; readonly value: string }
  | { readonly kind: 'failed'; readonly thrown: Thrown }
  /** Why the result of a completed job cannot travel. */
  | { readonly kind: 'withheld'; readonly why: string };

/** The other entries of a mailbox. */
export type Notice =
  /** A question of another pod: does this call still wait? */
  | { readonly kind: 'asked'; readonly by: readonly [pod: string, call: string] }
  /** The mailbox was full: later replies were dropped. Belongs to no call. */
  | { readonly kind: 'overflow' };

/** Reads the text of `replyOf`, or the job's result if there is no text, or a notice. */
export function readReply(kind: string, text: string): Reply | Notice {
  if (kind === 'completed') return { kind, value: text };
  if (kind === 'withheld') return { kind, why: text };
  if (kind === 'asked') return { kind, by: text.split(' ', 2) as [string, string] };
  if (kind === 'overflow') return { kind };
  return { kind: 'failed', thrown: readThrown(text) };
}

/** The text of a notice, for {@link readReply}. */
export function writeReply(message: Reply | Notice): string {
  if (message.kind === 'completed') return message.value;
  if (message.kind === 'withheld') return message.why;
  if (message.kind === 'asked') return message.by.join(' ');
  return message.kind === 'failed' ? JSON.stringify(message.thrown) : '';
}

export function readThrown(text: string): Thrown {
  try {
    const thrown: unknown = JSON.parse(text);
    return isThrown(thrown) ? thrown : thrownAs(text);
  } catch {
    return thrownAs(text);
  }
}

/** Reads stored errors. Data that another program wrote becomes a plain message. */
function isThrown(value: unknown, depth = 0): value is Thrown {
  if (typeof value !== 'object' || value === null || depth > MAX_RELATED) return false;
  const { name, message, cause, errors, http } = value as Partial<Thrown>;
  const isRelated = (other: unknown) => isThrown(other, depth + 1);
  return (
    typeof name === 'string' &&
    typeof message === 'string' &&
    (cause === undefined || isRelated(cause)) &&
    (errors === undefined || (Array.isArray(errors) && errors.every(isRelated))) &&
    (http === undefined || isHttpReply(http))
  );
}

/** An error of which only the message is known. */
export function thrownAs(message: string): Thrown {
  return { name: 'Error', message };
}

/** Maximum number of causes and inner errors that travel with an error, in total. */
const MAX_RELATED = 5;
/** Longest message of each of them. The error's own message may be as long as the stored one. */
const MAX_RELATED_LENGTH = 1024;

type Growing = { -readonly [Key in keyof Thrown]: Thrown[Key] };

/**
 * Describes a thrown value, with its nearest inner errors. Never throws.
 * @param isSecret see {@link httpReplyOf}.
 */
export function describeThrown(error: unknown, isSecret = false): Thrown {
  const root: Growing = describeOne(error);
  const http = httpReplyOf(error, isSecret);
  if (http) root.http = http;
  const level: [Growing, unknown][] = [[root, error]];
  let left = MAX_RELATED;
  // The list grows during the loop.
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

/** The error's own message, if it has one: inner errors travel separately. */
function describeOne(error: unknown): Thrown {
  const code = codeOf(error);
  return {
    name: nameOf(error),
    message: ownMessageOf(error) || messageOf(error),
    ...(code !== undefined && { code }),
  };
}
