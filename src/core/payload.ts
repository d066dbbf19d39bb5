/**
 * Payloads and results as text, and back: encoded by a codec, bounded, and refused where something would be lost.
 *
 * No message here repeats a part of a payload. Neighbours: `codec.ts` has the codecs, `enqueue.ts` and `job-execution.ts` use this.
 */
import { type Codecs, type JsonValue, jsonCodec, type PayloadCodec } from './codec.js';
import { entityWord } from './entity.js';
import type { ChildRef, Envelope } from './envelope.js';
import {
  AtomicQueuesError,
  messageOf,
  PayloadTooLargeError,
  PayloadUnreadableError,
  UnserializableDataError,
  UnsupportedError,
} from './errors.js';
import type { ChildResult } from './jobs.js';

/**
 * A payload as JSON text, written by its codec.
 * @throws UnserializableDataError where JSON would throw (cycle, bigint) and where it would lose data without a word
 * (function, symbol, NaN, Infinity, Map, Set), or where the codec can't write it. `undefined` properties are left out, as JSON does.
 */
export function encodePayload(codec: PayloadCodec, data: unknown, culprit: string): string {
  return codec === jsonCodec ? encodePlain(data, culprit) : encodeBy(codec, data, culprit);
}

function encodePlain(data: unknown, culprit: string): string {
  try {
    const json: string | undefined = JSON.stringify(data ?? {}, refuseLoss);
    if (json === undefined) throw new Loss('its toJSON gives undefined');
    return json;
  } catch (error) {
    throw new UnserializableDataError(
      `${culprit} has data that JSON can't carry: ${whyNot(error)}. Send plain values, and ids instead of objects, or give its entity type a codec.`,
      { cause: error },
    );
  }
}

function encodeBy(codec: PayloadCodec, data: unknown, culprit: string): string {
  let encoded: JsonValue;
  try {
    encoded = atOnce(codec, codec.encode(data ?? {}), 'encode');
  } catch (error) {
    // One codec within another: what it says is safe to repeat, which its cause may not be.
    if (error instanceof UnserializableDataError) throw new UnserializableDataError(`${culprit}: ${error.message}`);
    if (error instanceof AtomicQueuesError) throw error;
    throw new UnserializableDataError(
      `${culprit} has data that its codec "${codec.name}" can't write (${kindOf(error)}).`,
      codec.isSecret ? undefined : { cause: error },
    );
  }
  try {
    return asJson(encoded);
  } catch (error) {
    throw new UnserializableDataError(
      `${culprit} has data that its codec "${codec.name}" does not turn into JSON: ${whyNot(error)}. Teach it to the codec, or send plain values.`,
    );
  }
}

/** TypeScript takes a method that is asynchronous for one that is not. */
function atOnce<T>({ name }: PayloadCodec, value: T, method: string): T {
  if (!(value instanceof Promise)) return value;
  // Nobody waits for it.
  value.catch(() => {});
  throw new UnsupportedError(`${method}() of the codec "${name}" gave a promise, and must give its value at once.`);
}

/** What must be JSON already. */
function asJson(encoded: unknown): string {
  const json: string | undefined = JSON.stringify(encoded, refuseAllButJson);
  if (json === undefined) throw new Loss('it gives nothing');
  return json;
}

/** What JSON would lose, or change, without a word. */
class Loss extends TypeError {}

/** The words of others may repeat what could not be written. */
function whyNot(error: unknown): string {
  if (error instanceof Loss) return error.message;
  const isCycle = error instanceof TypeError && error.message.startsWith('Converting circular structure');
  return isCycle ? 'it refers to itself' : `it throws (${kindOf(error)})`;
}

function refuseLoss(key: string, value: unknown): unknown {
  const lossy =
    typeof value === 'function' ||
    typeof value === 'symbol' ||
    typeof value === 'bigint' ||
    (typeof value === 'number' && !Number.isFinite(value)) ||
    value instanceof Map ||
    value instanceof Set;
  if (!lossy) return value;
  throw new Loss(`property "${key}" is a ${describe(value)}`);
}

/** Sees values before their `toJSON` has run: a date would have become text without a word. */
function refuseAllButJson(this: unknown, key: string): unknown {
  const value = (this as Record<string, unknown>)[key];
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === null || Object.getPrototypeOf(prototype) === null) return value;
    throw new Loss(`property "${key}" is a ${describe(value)}`);
  }
  return refuseLoss(key, value);
}

function describe(value: unknown): string {
  if (typeof value === 'object' && value !== null) return value.constructor?.name || 'object of no known class';
  return typeof value === 'number' ? String(value) : typeof value;
}

/** What was thrown, without its words: they may repeat what could not be read. */
function kindOf(error: unknown): string {
  const { name, code } = (error ?? {}) as { name?: unknown; code?: unknown };
  const words = [name, code].filter(word => typeof word === 'string' && /^\w+$/.test(word));
  return words.length > 0 ? words.join(', ') : `a ${typeof error}`;
}

/**
 * A payload as its handler is to see it. JSON's null is null under every codec.
 * @throws PayloadUnreadableError when this pod has no such codec, or it can't read the payload.
 */
export function decodePayload(codecs: Codecs, envelope: Envelope, stored: unknown): unknown {
  return decodeBy(codecs.of(envelope), stored, 'the payload');
}

function decodeBy(codec: PayloadCodec, stored: unknown, what: string): unknown {
  if (codec === jsonCodec || stored === null) return stored;
  try {
    return atOnce(codec, codec.decode(stored as JsonValue), 'decode');
  } catch (error) {
    if (error instanceof AtomicQueuesError) throw error;
    throw new PayloadUnreadableError(`The codec "${codec.name}" can't read ${what} (${kindOf(error)}).`);
  }
}

/**
 * How the child of a job has ended, with its result as its handler has returned it.
 * @throws PayloadUnreadableError that names the child.
 */
export function decodeResult(codecs: Codecs, child: ChildRef | undefined, result: ChildResult): ChildResult {
  const { outcome } = result;
  if (child === undefined || outcome.kind === 'failed') return result;
  try {
    // Nothing is null under every codec.
    if (outcome.value !== null) codecs.checkRequired(child.type, { codec: child.codec }, 'it');
    const value = decodeBy(codecs.of({ codec: child.codec }), outcome.value, 'it');
    return { ...result, outcome: { kind: 'completed', value } };
  } catch (error) {
    throw new PayloadUnreadableError(
      `The result of child job ${child.jobId} ("${child.name}") of ${entityWord(child)}: ${messageOf(error)}`,
    );
  }
}

/**
 * A result as its handler has returned it, of the text that is stored.
 * @param of the entity type of its job, and the name of its codec, as an envelope has it.
 * @throws PayloadUnreadableError
 */
export function readResult(
  codecs: Codecs,
  { entityType, codec }: { readonly entityType: string; readonly codec: unknown },
  text: string,
): unknown {
  let stored: unknown;
  try {
    stored = JSON.parse(text);
  } catch {
    // The error would repeat a part of it.
    throw new PayloadUnreadableError('it is not JSON.');
  }
  if (stored !== null) codecs.checkRequired(entityType, { codec }, 'it');
  return decodeBy(codecs.of({ codec }), stored, 'it');
}

/** A payload for a person to see: what this pod can't read is shown as it is stored. */
export function showPayload(codecs: Codecs, envelope: Envelope, stored: unknown): unknown {
  try {
    return decodePayload(codecs, envelope, stored);
  } catch {
    return stored;
  }
}

/** Whether text has more bytes than that; a letter has three at most, so that most need not be counted. */
export function isLargerThan(text: string, maxBytes: number): boolean {
  return text.length * 3 > maxBytes && Buffer.byteLength(text) > maxBytes;
}

/** @throws PayloadTooLargeError when a payload is larger than its entity type, or its job, allows. */
export function checkSize(data: string, { sizeLimit, maxPayloadBytes }: SizeLimits, culprit: string): void {
  for (const [bound, name] of [
    [maxPayloadBytes, 'maxPayloadBytes'],
    [Number(sizeLimit ?? Number.POSITIVE_INFINITY), 'sizeLimit'],
  ] as const) {
    if (isLargerThan(data, bound))
      throw new PayloadTooLargeError(culprit, { bytes: Buffer.byteLength(data), bound, name });
  }
}

export interface SizeLimits {
  /** BullMQ's option of the job. */
  readonly sizeLimit?: unknown;
  readonly maxPayloadBytes: number;
}
