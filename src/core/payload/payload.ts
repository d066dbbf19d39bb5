/**
 * Payloads and results as text, and back: encoded by a codec, bounded, and refused if a part would be lost.
 *
 * No message here repeats a part of a payload. Neighbours: `codec.ts` has the codecs, `json-values.ts` the rule of what JSON
 * carries; `enqueuer.ts` and `open-payload.ts` use this for payloads, and `stored-result.ts` for results, whose size it bounds.
 */

import { entityKey } from '../model/entity.js';
import type { ChildRef, Envelope } from '../model/envelope.js';
import { isInstance, kindOfThrown } from '../model/error-text.js';
import { AtomicQueuesError, messageOf, UnsupportedError } from '../model/errors.js';
import type { ChildResult } from '../model/job.js';
import { PayloadTooLargeError, PayloadUnreadableError, UnserializableDataError } from '../model/payload-errors.js';
import { type Codecs, type JsonValue, jsonCodec, type PayloadCodec } from './codec.js';
import { ignoreRejections } from './ignored-rejections.js';
import { jsonText } from './json-values.js';

/**
 * A payload as JSON text, written by its codec. A payload that is `undefined` is `{}`.
 * @throws UnserializableDataError for values that JSON (see the table in `docs/payloads.md`) or the codec would lose or can't write.
 */
export function encodePayload(codec: PayloadCodec, data: unknown, culprit: string): string {
  return carriedBy(culprit, () => {
    // guards: payload.encodePayload
    const text = data === null ? 'null' : storedText(codec, data ?? {});
    // JSON's null is the text of a result that does not exist.
    if (text === 'null') throw new UnserializableDataError('it is null');
    return text;
  });
}

/**
 * The progress that a handler reports, as JSON text, also if its job has another codec.
 * @throws UnserializableDataError
 */
export function encodeProgress(progress: unknown, culprit: string): string {
  return carriedBy(culprit, () => jsonText(progress));
}

function carriedBy(culprit: string, encode: () => string): string {
  try {
    return encode();
  } catch (error) {
    if (!isInstance(error, UnserializableDataError)) throw error;
    throw new UnserializableDataError(
      `${culprit} has data that can't be stored: ${error.message}. Nothing was written; send plain values (ids, arrays, ISO dates), or use a codec that carries more.`,
      'cause' in error ? { cause: error.cause } : undefined,
    );
  }
}

/**
 * The text that is stored for a payload or a result.
 * @throws UnserializableDataError with a clause that says why, UnsupportedError
 */
export function storedText(codec: PayloadCodec, value: unknown): string {
  if (codec === jsonCodec) return jsonText(value);
  try {
    return encodedText(codec, value);
  } catch (error) {
    ignoreRejections(value);
    throw error;
  }
}

function encodedText(codec: PayloadCodec, value: unknown): string {
  let encoded: unknown;
  try {
    encoded = atOnce(codec, codec.encode(value), 'encode');
  } catch (error) {
    // One codec within another: its message is safe to repeat; its cause may not be.
    // guards: payload.encodedText
    if (isInstance(error, UnserializableDataError)) throw new UnserializableDataError(error.message);
    if (isInstance(error, AtomicQueuesError)) throw error;
    throw new UnserializableDataError(
      `its codec "${codec.name}" can't write it (${kindOfThrown(error)})`,
      codec.isSecret ? undefined : { cause: error },
    );
  }
  try {
    return jsonText(encoded, 'onlyJson');
  } catch (error) {
    throw new UnserializableDataError(`its codec "${codec.name}" does not turn it into JSON: ${messageOf(error)}`);
  }
}

/** Refuses promises: TypeScript accepts an asynchronous method for a synchronous one. */
function atOnce<T>({ name }: PayloadCodec, value: T, method: string): T {
  if (!(value instanceof Promise)) return value;
  // Its result is not awaited.
  value.catch(() => {});
  throw new UnsupportedError(`${method}() of the codec "${name}" gave a promise, and must give its value at once.`);
}

/**
 * The payload that the handler gets. JSON's null is null under every codec.
 * @throws PayloadUnreadableError if this pod has no such codec, or the codec can't read the payload.
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
    // guards: payload.decodeBy
    throw new PayloadUnreadableError(`The codec "${codec.name}" can't read ${what} (${kindOfThrown(error)}).`);
  }
}

/**
 * The outcome of a child of a job, with the result that its handler has returned.
 * @throws PayloadUnreadableError that names the child.
 */
export function decodeResult(codecs: Codecs, child: ChildRef | undefined, result: ChildResult): ChildResult {
  const { outcome } = result;
  // guards: payload.decodeResult
  if (child === undefined || outcome.kind === 'failed') return result;
  try {
    // No result is null under every codec.
    if (outcome.value !== null) codecs.checkRequired(child.type, { codec: child.codec }, 'it');
    const value = decodeBy(codecs.of({ codec: child.codec }), outcome.value, 'it');
    return { ...result, outcome: { kind: 'completed', value } };
  } catch (error) {
    throw new PayloadUnreadableError(
      `The result of child job ${child.jobId} ("${child.name}") of ${entityKey(child)}: ${messageOf(error)}`,
    );
  }
}

/**
 * The result that a handler has returned, from the text that is stored.
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
  // guards: payload.readResult
  if (stored !== null) codecs.checkRequired(entityType, { codec }, 'it');
  return decodeBy(codecs.of({ codec }), stored, 'it');
}

/** A payload for an operator to see. If this pod can't read it, the stored text is shown. */
export function showPayload(codecs: Codecs, envelope: Envelope, stored: unknown): unknown {
  try {
    return decodePayload(codecs, envelope, stored);
  } catch {
    return stored;
  }
}

/** Whether a text has more bytes than that. A code unit has at most three, so most texts need not be counted. */
export function isLargerThan(text: string, maxBytes: number): boolean {
  return text.length * 3 > maxBytes && Buffer.byteLength(text) > maxBytes;
}

/** @throws PayloadTooLargeError if a payload is larger than its entity type, or its job, allows. */
export function checkSize(data: string, { sizeLimit, maxPayloadBytes }: SizeLimits, culprit: string): void {
  for (const [bound, name] of [
    // guards: payload.checkSize
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
