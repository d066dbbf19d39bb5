/**
 * What travels with a job beside its payload, and is this library's own. The store keeps it with the job for as long as the job
 * lives: through retries, as a dead letter, and from one run of a schedule to the next.
 */

/** A job without any has none of it, and costs nothing for it. */
export interface Envelope {
  readonly [name: string]: unknown;
  /** The name of the codec that has written the payload; none for plain JSON. */
  readonly codec?: unknown;
}

export const NO_ENVELOPE: Envelope = {};

/** As the store keeps it; '' for none. */
export function writeEnvelope(envelope: Envelope | undefined): string {
  return envelope === undefined ? '' : JSON.stringify(envelope);
}

/** What somebody has written by hand is none. */
export function readEnvelope(text: string): Envelope {
  try {
    const envelope: unknown = JSON.parse(text);
    return typeof envelope === 'object' && envelope !== null ? (envelope as Envelope) : NO_ENVELOPE;
  } catch {
    return NO_ENVELOPE;
  }
}
