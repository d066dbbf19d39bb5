/**
 * A failure in words, for its reason and for the log. Never empty, and bounded in length and in work.
 * Neighbours: `error-text.ts` reads thrown values; `reply.ts` decides what travels to a caller.
 */
import { jsonWithin } from './bounded-json.js';
import {
  codeOf,
  errorsIn,
  type FailureText,
  isArray,
  isError,
  isObject,
  MAX_REASON_LENGTH,
  MAX_STACK_LENGTH,
  ownNameOf,
  readProperty,
  shorten,
} from './error-text.js';

/** Bounds for errors within errors: their number, their depth, and the length of the words of each. */
const MAX_TOLD = 3;
const MAX_DEPTH = 3;
const MAX_WITHIN_LENGTH = 512;

const WITHOUT_TEXT = 'something that has no text was thrown';

/**
 * A thrown value in words: its message. An error without a message, or with inner errors, begins with its name and `code`, and the words of
 * the first inner errors follow. A cause follows only if the message says too little: if there is none, or if the cause has a `code` and the
 * error has none (`fetch failed`). Words that the message already has are not added.
 */
export function messageOf(error: unknown): string {
  // guards: failure-text.messageOf
  return shorten(wordsOf(error, 0), MAX_REASON_LENGTH);
}

/** The stack of a thrown value, or its message. */
export function stackOf(error: unknown): string {
  const stack = isObject(error) ? readProperty(error, 'stack') : undefined;
  // guards: failure-text.stackOf
  return typeof stack === 'string' && stack !== '' ? shorten(stack, MAX_STACK_LENGTH) : messageOf(error);
}

export function failureTextOf(error: unknown): FailureText {
  return { reason: messageOf(error), stack: stackOf(error) };
}

function wordsOf(error: unknown, depth: number): string {
  if (!isObject(error)) return asText(error) || WITHOUT_TEXT;
  const code = codeOf(error);
  const message = ownMessageOf(error) || ownTextOf(error, code);
  const errors = errorsIn(error, MAX_TOLD + 1);
  const cause = readProperty(error, 'cause') ?? undefined;
  const isVague = message === '' || (code === undefined && codeOf(cause) !== undefined);
  const isTitled = message === '' || errors.length > 0 || (code !== undefined && !isError(error));
  const parts = [isTitled ? titleOf(error, code) : '', message];
  // guards: failure-text.wordsOf
  if (depth < MAX_DEPTH) {
    const inner = newWords(errors.slice(0, MAX_TOLD), message, depth + 1);
    if (inner.length > 0 && errors.length > MAX_TOLD) inner.push('and more');
    parts.push(inner.join('; '), ...newWords(isVague && cause !== undefined ? [cause] : [], message, depth + 1));
  }
  return parts.filter(part => part !== '').join(': ') || WITHOUT_TEXT;
}

/** The words of inner errors that the message of the outer error does not have. */
function newWords(errors: readonly unknown[], message: string, depth: number): string[] {
  return errors.map(one => shorten(wordsOf(one, depth), MAX_WITHIN_LENGTH)).filter(words => !message.includes(words));
}

/** `Name [CODE]`, as Node writes it; the code of an object without a name. */
function titleOf(error: object, code: string | number | undefined): string {
  const name = ownNameOf(error);
  if (code === undefined) return name;
  return name === '' ? String(code) : `${name} [${code}]`;
}

/** The message of the error itself; empty if it has none. */
export function ownMessageOf(error: unknown): string {
  const message = readProperty(error, 'message');
  if (message === undefined || message === null) return '';
  const text = typeof message === 'string' ? message : (jsonWithin(message, MAX_REASON_LENGTH) ?? '');
  const short = shorten(text, MAX_REASON_LENGTH);
  return short.trim() === '' ? '' : short;
}

/** The text of an object that is no error, such as a date or a URL. */
function ownTextOf(error: object, code: string | number | undefined): string {
  const isTitled = code !== undefined || typeof error === 'function' || isArray(error) || isError(error);
  return isTitled ? '' : asText(error);
}

/** A value as text; empty if it has none of its own. */
function asText(value: unknown): string {
  try {
    const text = shorten(String(value), MAX_REASON_LENGTH);
    return text.trim() === '' || text.startsWith('[object ') ? '' : text;
  } catch {
    return '';
  }
}
