/**
 * A failure in words, for its reason and for the log: never empty, and bounded in length and in work.
 * Neighbours: `error-text.ts` reads what was thrown; `reply.ts` says what of it travels to a caller.
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

/** Errors within errors: how many of each are put into words, how deep, and how long the words of each may be. */
const MAX_TOLD = 3;
const MAX_DEPTH = 3;
const MAX_WITHIN_LENGTH = 512;

const WITHOUT_TEXT = 'something that has no text was thrown';

/**
 * What was thrown, in words: its message. The words of an error that has none, or that holds other errors, begin with its name and
 * `code`, and the words of the first errors within follow. A cause follows only if the message says too little: if there is none, or
 * if the cause has a `code` and the error has none (`fetch failed`). Words that the message repeats are not added.
 */
export function messageOf(error: unknown): string {
  // guards: failure-text.messageOf
  return shorten(wordsOf(error, 0), MAX_REASON_LENGTH);
}

/** The stack of anything that was thrown, or its message. */
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

/** What errors say that the message of the error around them does not. */
function newWords(errors: readonly unknown[], message: string, depth: number): string[] {
  return errors.map(one => shorten(wordsOf(one, depth), MAX_WITHIN_LENGTH)).filter(words => !message.includes(words));
}

/** `Name [CODE]`, as Node writes it; of an object that has no name, its code. */
function titleOf(error: object, code: string | number | undefined): string {
  const name = ownNameOf(error);
  if (code === undefined) return name;
  return name === '' ? String(code) : `${name} [${code}]`;
}

/** The message that an error has itself; empty if it has none. */
export function ownMessageOf(error: unknown): string {
  const message = readProperty(error, 'message');
  if (message === undefined || message === null) return '';
  const text = typeof message === 'string' ? message : (jsonWithin(message, MAX_REASON_LENGTH) ?? '');
  const short = shorten(text, MAX_REASON_LENGTH);
  return short.trim() === '' ? '' : short;
}

/** What an object that is no error makes of itself, a date or a URL say. */
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
