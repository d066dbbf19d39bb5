/**
 * Anything that was thrown, as bounded text. What a handler throws may be of any size, and may throw when it is read: a getter, a
 * revoked proxy, a failing `Error.prepareStackTrace`. Nothing here throws, and no text is cut within a surrogate pair.
 *
 * Owns the bounds of what is kept and told of a failure (I11). Neighbours: `answer.ts` says what of it travels to a caller,
 * `job-execution.ts` what is stored.
 */

/** Longest message of what was thrown, in UTF-16 code units, as all lengths here. */
export const MAX_REASON_LENGTH = 4096;
/** Longest stack of one attempt. */
export const MAX_STACK_LENGTH = 16_384;
/** The stacks of all attempts of a job together. */
export const MAX_STACKS_LENGTH = 32_768;
/** The stacks of all jobs that end in one step together: those of a batch share it. */
export const MAX_STEP_STACKS_LENGTH = 1_048_576;
/** One line of the log. */
export const MAX_LINE_LENGTH = 2048;
/** A name within a sentence: of a job, say. */
const MAX_QUOTED_LENGTH = 128;

const CUT = '…';
const WITHOUT_TEXT = 'something that has no text was thrown';

/** What is kept of a failed attempt. */
export interface FailureText {
  readonly reason: string;
  readonly stack: string;
}

/** At most `max` code units of a text, well-formed; what was cut ends with `…`. */
export function shorten(text: string, max: number): string {
  if (text.length <= max) return text.toWellFormed();
  const end = Math.max(0, max - CUT.length);
  // Half of a pair at the end is none of a whole text.
  const isSplit = end > 0 && isHighSurrogate(text.charCodeAt(end - 1));
  return text.slice(0, isSplit ? end - 1 : end).toWellFormed() + CUT.slice(0, max);
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return shorten(wholeMessageOf(error), MAX_REASON_LENGTH);
}

/** The stack of anything that was thrown, or its message. */
export function stackOf(error: unknown): string {
  const stack = isError(error) ? readProperty(error, 'stack') : undefined;
  return typeof stack === 'string' && stack !== '' ? shorten(stack, MAX_STACK_LENGTH) : messageOf(error);
}

export function failureTextOf(error: unknown): FailureText {
  return { reason: messageOf(error), stack: stackOf(error) };
}

function wholeMessageOf(error: unknown): string {
  const isOne = isError(error);
  const message = isOne ? readProperty(error, 'message') : error;
  if (typeof message === 'string') return message;
  try {
    return isOne ? `${nameOf(error)}: ${JSON.stringify(message)}` : String(error);
  } catch {
    return WITHOUT_TEXT;
  }
}

/** The `name` of an error, where that is a text. */
export function nameOf(error: unknown): string {
  const name = isError(error) ? readProperty(error, 'name') : undefined;
  return typeof name === 'string' ? name : 'Error';
}

/** Whether a value is an instance: of a revoked proxy it can't be told, and it is none. */
export function isInstance<T>(value: unknown, kind: abstract new (...args: never[]) => T): value is T {
  try {
    return value instanceof kind;
  } catch {
    return false;
  }
}

export function isError(value: unknown): value is Error {
  return isInstance(value, Error);
}

export function isArray(value: unknown): value is readonly unknown[] {
  try {
    return Array.isArray(value);
  } catch {
    return false;
  }
}

/** A property of anything; undefined where reading it throws. */
export function readProperty(value: unknown, name: string | number): unknown {
  try {
    return (value as Record<string | number, unknown> | null | undefined)?.[name];
  } catch {
    return undefined;
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g;
const ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** A text as a part of one line: control characters and line breaks are escaped, so no text of a user looks like a line of the log. */
export function asLine(text: string, max = MAX_LINE_LENGTH): string {
  return shorten(shorten(text, max).replace(CONTROL, escapeControl), max);
}

function escapeControl(char: string): string {
  return ESCAPES[char] ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** A name that a user, or another client of Redis, has given, as it stands in a sentence. */
export function quoted(name: string): string {
  return `"${asLine(name, MAX_QUOTED_LENGTH)}"`;
}

/**
 * The latest stacks of a job, of all its attempts: as many as `limit`, and bounded together.
 * @param ends how many jobs end in the same step, and share what it may have.
 */
export function latestStacks(earlier: readonly unknown[], stack: string, limit: number, ends = 1): string[] {
  const kept: string[] = [];
  let left = Math.min(MAX_STACKS_LENGTH, Math.floor(MAX_STEP_STACKS_LENGTH / ends));
  for (const text of [stack, ...earlier.toReversed()].slice(0, Math.max(0, limit))) {
    if (typeof text !== 'string' || left <= 0 || (kept.length > 0 && text.length > left)) break;
    kept.unshift(shorten(text, left));
    left -= text.length;
  }
  return kept;
}
