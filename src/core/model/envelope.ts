/**
 * The envelope of a job: this library's own data that travels in addition to the payload. The store keeps it as long as the job: through
 * retries, as a dead letter, and from one run of a schedule to the next.
 */

import type { EntityRef } from './entity.js';
import { wellFormedJson } from './well-formed.js';

/** A child of a flow, in the envelope of its parent. */
export interface ChildRef extends EntityRef {
  readonly jobId: string;
  readonly name: string;
  /** Whether its parent fails with it. Otherwise the parent runs and is told. */
  readonly failsParent: boolean;
  /** Name of the codec of its result; none for plain JSON. */
  readonly codec?: unknown;
}

/** A value that JSON carries unchanged. */
export type ContextValue = string | number | boolean;
/** Values of a caller's context, by key. */
export type ContextValues = Readonly<Record<string, ContextValue>>;
/** Fields of a trace, such as `traceparent`. */
export type TraceFields = Readonly<Record<string, string>>;

export const NO_VALUES: ContextValues = Object.freeze({});

/** A wait of a handler for a job of another entity, by a call of a pod. */
export type WaitLink = readonly [entity: string, target: string, pod: string, call: string];

/** The envelope of a job. Each part is optional and costs nothing if it is absent. */
export interface Envelope {
  /** Receiver of the reply: the address of a pod, and its waiting call; see `reply.ts`. */
  readonly reply?: readonly [pod: string, call: string];
  /** The waits of handlers that lead to this job; see `deadlock.ts`. */
  readonly chain?: readonly WaitLink[];
  /** Children of a parent in a flow, in the given order. */
  readonly children?: readonly ChildRef[];
  /** Declared values of the caller's context. */
  readonly ctx?: ContextValues;
  /** The trace of the caller. */
  readonly trace?: TraceFields;
  /** Name of the codec of payload and result; none for plain JSON. */
  readonly codec?: unknown;
  readonly [name: string]: unknown;
}

export const NO_ENVELOPE: Envelope = {};

/** The stored text of an envelope; '' for none. */
export function writeEnvelope(envelope: Envelope | undefined): string {
  // guards: envelope.writeEnvelope
  return envelope === undefined ? '' : wellFormedJson(JSON.stringify(envelope));
}

/** Reads a stored envelope. A text that another program wrote counts as none. */
export function readEnvelope(text: string): Envelope {
  return tryEnvelope(text) ?? NO_ENVELOPE;
}

/**
 * An envelope with which its job can run, or undefined if its codec is unreadable: the payload would be read with another codec. Readers
 * check the other parts.
 */
export function tryEnvelope(text: string): Envelope | undefined {
  let envelope: unknown;
  try {
    envelope = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof envelope !== 'object' || envelope === null || Array.isArray(envelope)) return undefined;
  const { codec, children } = envelope as Envelope;
  const isReadable = isName(codec) && (children === undefined || (Array.isArray(children) && children.every(isChild)));
  return isReadable ? (envelope as Envelope) : undefined;
}

function isName(codec: unknown): boolean {
  return codec === undefined || typeof codec === 'string';
}

function isChild(child: Partial<ChildRef> | null): boolean {
  if (typeof child !== 'object' || child === null) return false;
  const { type, id, jobId, name, codec } = child;
  return [type, id, jobId, name].every(word => typeof word === 'string') && isName(codec);
}
