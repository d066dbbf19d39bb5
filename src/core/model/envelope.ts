/**
 * What travels with a job beside its payload, and is this library's own. The store keeps it with the job for as long as the job
 * lives: through retries, as a dead letter, and from one run of a schedule to the next.
 */

import type { EntityRef } from './entity.js';
import { wellFormedJson } from './well-formed.js';

/** A child, as its parent remembers it. */
export interface ChildRef extends EntityRef {
  readonly jobId: string;
  readonly name: string;
  /** Its parent fails with it; otherwise its parent is told. */
  readonly failsParent: boolean;
  /** The name of the codec that writes what it returns; none for plain JSON. */
  readonly codec?: unknown;
}

/** What JSON carries as it is. */
export type ContextValue = string | number | boolean;
/** By key. */
export type ContextValues = Readonly<Record<string, ContextValue>>;
/** What a tracer wants carried, such as `traceparent`. */
export type TraceFields = Readonly<Record<string, string>>;

export const NO_VALUES: ContextValues = Object.freeze({});

/** A handler of an entity waits for a job of another one, with a call of a pod. */
export type WaitLink = readonly [entity: string, target: string, pod: string, call: string];

/** A job without any has none of it, and costs nothing for it. */
export interface Envelope {
  /** Where its answer goes: the address of a pod, and which of its calls waits; see `reply.ts`. */
  readonly reply?: readonly [pod: string, call: string];
  /** The waits of handlers that lead to it; see `deadlock.ts`. */
  readonly chain?: readonly WaitLink[];
  /** Of a parent in a flow, in the order given. */
  readonly children?: readonly ChildRef[];
  /** Declared values of its caller's context. */
  readonly ctx?: ContextValues;
  /** The trace that its caller was in. */
  readonly trace?: TraceFields;
  /** The name of the codec that has written the payload, and writes the result; none for plain JSON. */
  readonly codec?: unknown;
  readonly [name: string]: unknown;
}

export const NO_ENVELOPE: Envelope = {};

/** As the store keeps it; '' for none. */
export function writeEnvelope(envelope: Envelope | undefined): string {
  // guards: envelope.writeEnvelope
  return envelope === undefined ? '' : wellFormedJson(JSON.stringify(envelope));
}

/** What somebody has written by hand is none. */
export function readEnvelope(text: string): Envelope {
  return tryEnvelope(text) ?? NO_ENVELOPE;
}

/**
 * An envelope of which its job can be run; nothing where that can't be told: without its codec a payload would be taken for another.
 * Its other parts are checked by those who read them.
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
