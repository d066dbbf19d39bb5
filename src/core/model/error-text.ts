/**
 * Reads thrown values, and keeps texts within bounds. A thrown value may be of any size, and may throw when it is read: a getter, a revoked
 * proxy, a failing `Error.prepareStackTrace`. Nothing here throws, and no text is cut within a surrogate pair. Errors are recognised by
 * their shape, since they may come from another realm (`node:vm`, Jest) or another copy of their package.
 *
 * Owns: the bounds of failure texts (I11). Neighbours: `failure-text.ts` puts a failure into words, `reply.ts` decides what travels to a
 * caller, `run-job.ts` what is stored.
 */

/** Longest message of a thrown value. All lengths here are in UTF-16 code units. */
export const MAX_REASON_LENGTH = 4096;
/** Longest stack of one attempt. */
export const MAX_STACK_LENGTH = 16_384;
/** Total length of the stacks of all attempts of a job. */
export const MAX_STACKS_LENGTH = 32_768;
/** Total length of the stacks of all jobs that end in one step, such as a batch. */
export const MAX_STEP_STACKS_LENGTH = 1_048_576;
/** Longest log line. */
export const MAX_LINE_LENGTH = 2048;
/** Longest name within a sentence, such as the name of a job. */
const MAX_QUOTED_LENGTH = 128;
/** Longest `name` or `code` of an error. */
const MAX_WORD_LENGTH = 256;
/** Maximum number of prototypes of an object, and of errors within one, that are inspected. */
const MAX_PROTOTYPES = 20;
const MAX_ERRORS = 100;

const CUT = '…';

/** The stored texts of a failed attempt. */
export interface FailureText {
  readonly reason: string;
  readonly stack: string;
}

/** At most `max` code units of a text, well-formed. A cut text ends with `…`. */
export function shorten(text: string, max: number): string {
  if (text.length <= max) return text.toWellFormed();
  const end = Math.max(0, max - CUT.length);
  // Removes half of a surrogate pair at the end.
  const isSplit = end > 0 && isHighSurrogate(text.charCodeAt(end - 1));
  // guards: error-text.shorten
  return text.slice(0, isSplit ? end - 1 : end).toWellFormed() + CUT.slice(0, max);
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

/** The `name` of an error, or the name of its class. */
export function nameOf(error: unknown): string {
  return ownNameOf(error) || 'Error';
}

/** Names of classes without information about the failure. */
const PLAIN_CLASSES: readonly unknown[] = ['Object', 'Array', 'Function'];

/** Like {@link nameOf}; empty if there is none. A class that sets no `name` inherits `Error`: then the class name counts. */
export function ownNameOf(error: unknown): string {
  if (!isObject(error)) return '';
  const name = readProperty(error, 'name');
  if (isWord(name) && name !== 'Error') return shorten(name, MAX_WORD_LENGTH);
  const ofClass = readProperty(readProperty(error, 'constructor'), 'name');
  return isWord(ofClass) && !PLAIN_CLASSES.includes(ofClass)
    ? shorten(ofClass, MAX_WORD_LENGTH)
    : isWord(name)
      ? name
      : '';
}

function isWord(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

/** The `code` of an error, if it is a text or a number. */
export function codeOf(error: unknown): string | number | undefined {
  const code = isObject(error) ? readProperty(error, 'code') : undefined;
  if (isWord(code)) return shorten(code, MAX_WORD_LENGTH);
  return typeof code === 'number' && Number.isFinite(code) ? code : undefined;
}

/** The first errors within an error, such as an `AggregateError`, or within a thrown array; `max` at most. */
export function errorsIn(error: unknown, max: number): readonly unknown[] {
  const errors = isArray(error) ? error : isObject(error) ? readProperty(error, 'errors') : undefined;
  const length = isArray(errors) ? Math.min(lengthOf(errors), MAX_ERRORS) : 0;
  const found: unknown[] = [];
  for (let at = 0; at < length && found.length < max; at++) {
    const one = readProperty(errors, at);
    // A list may have holes, such as the list of a BulkEnqueueError.
    if (one !== undefined) found.push(one);
  }
  return found;
}

/** Whether a thrown value can have a name, a message and a code: an object or a class. */
export function isObject(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}

/** Whether a value is an error, of this realm or of another one. */
export function isError(value: unknown): boolean {
  return isKindOf(value, 'Error');
}

/** Whether a value is of a class with this name, or of one that extends it. By name, since the class may be loaded several times. */
export function isKindOf(value: unknown, name: string): boolean {
  if (!isObject(value)) return false;
  if (readProperty(value, 'name') === name) return true;
  try {
    let prototype: unknown = Object.getPrototypeOf(value);
    for (let n = 0; isObject(prototype) && n < MAX_PROTOTYPES; n++) {
      if (readProperty(readProperty(prototype, 'constructor'), 'name') === name) return true;
      // guards: error-text.isKindOf
      prototype = Object.getPrototypeOf(prototype);
    }
  } catch {
    // A revoked proxy cannot be inspected.
  }
  return false;
}

/** The kind of a thrown value: its name and code, if they are words. Not its message, which may repeat a payload. */
export function kindOfThrown(error: unknown): string {
  const words = [readProperty(error, 'name'), readProperty(error, 'code')].filter(isIdentifier);
  return words.length > 0 ? words.join(', ') : `a thrown ${typeof error}`;
}

function isIdentifier(word: unknown): boolean {
  return typeof word === 'string' && /^\w{1,64}$/.test(word);
}

/** Whether a value is an instance of a class of this copy of the package. A revoked proxy counts as none. */
export function isInstance<T>(value: unknown, kind: abstract new (...args: never[]) => T): value is T {
  try {
    // guards: error-text.isInstance
    return value instanceof kind;
  } catch {
    return false;
  }
}

export function isArray(value: unknown): value is readonly unknown[] {
  try {
    return Array.isArray(value);
  } catch {
    return false;
  }
}

/** The kind of a value by `Object.prototype.toString`, such as `Map`, also of another realm. Throws for a revoked proxy. */
export function tagOf(value: object): string {
  return Object.prototype.toString.call(value).slice('[object '.length, -1);
}

/** The length of an array; 0 if a proxy returns no length. */
export function lengthOf(array: unknown): number {
  const length = readProperty(array, 'length');
  return typeof length === 'number' && length > 0 ? length : 0;
}

/** A property of any value; undefined if reading it throws. */
export function readProperty(value: unknown, name: string | number): unknown {
  try {
    return (value as Record<string | number, unknown> | null | undefined)?.[name];
    // guards: error-text.readProperty
  } catch {
    return undefined;
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g;
const ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** A text as a part of one line. Control characters and line breaks are escaped, so that no text looks like a log line of its own. */
export function asLine(text: string, max = MAX_LINE_LENGTH): string {
  // guards: error-text.asLine
  return shorten(shorten(text, max).replace(CONTROL, escapeControl), max);
}

function escapeControl(char: string): string {
  return ESCAPES[char] ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** A name from an application or another client of Redis, quoted for a sentence. */
export function quoted(name: string): string {
  return `"${asLine(name, MAX_QUOTED_LENGTH)}"`;
}

/**
 * The latest stacks of all attempts of a job: at most `limit`, with a bounded total length.
 * @param ends number of jobs that end in the same step and share its bound.
 */
export function latestStacks(earlier: readonly unknown[], stack: string, limit: number, ends = 1): string[] {
  const kept: string[] = [];
  let left = Math.min(MAX_STACKS_LENGTH, Math.floor(MAX_STEP_STACKS_LENGTH / ends));
  for (const text of [stack, ...earlier.toReversed()].slice(0, Math.max(0, limit))) {
    // guards: error-text.latestStacks
    if (typeof text !== 'string' || left <= 0 || (kept.length > 0 && text.length > left)) break;
    kept.unshift(shorten(text, left));
    left -= text.length;
  }
  return kept;
}
