/** Errors of payloads and results. No message repeats a part of one. Neighbour: `errors.ts` has the base. */
import { AtomicQueuesError, type Caused } from './errors.js';

/** What a schema has against a part of a payload. */
export interface ValidationIssue {
  /** Where it is in the payload; empty for the payload as a whole. */
  readonly path: readonly (string | number)[];
  /** The schema's own words. */
  readonly message: string;
}

/**
 * A payload is not what the schema of its class, or of its handler, wants. At enqueue (`stage` 'enqueue'): nothing was enqueued,
 * of a bulk nothing at all. Before the run ('run'): the reason of a job that has failed, without further tries. The message names
 * paths and the schema's words, and nothing else of the payload; under a codec that is secret it names paths only.
 */
export class ValidationError extends AtomicQueuesError {
  constructor(
    culprit: string,
    readonly issues: readonly ValidationIssue[],
    readonly stage: 'enqueue' | 'run',
  ) {
    super('VALIDATION_FAILED', `${culprit} has invalid data: ${summaryOf(issues)}.`);
  }
}

const MAX_ISSUES_TOLD = 5;

const MAX_ISSUE = 200;

function summaryOf(issues: readonly ValidationIssue[]): string {
  const told = issues.slice(0, MAX_ISSUES_TOLD).map(({ path, message }) => {
    const text = message.length > MAX_ISSUE ? `${message.slice(0, MAX_ISSUE)} …` : message;
    return path.length === 0 ? text : `${path.join('.')}: ${text}`;
  });
  const others = issues.length - told.length;
  return others > 0 ? `${told.join('; ')}; and ${others} more` : told.join('; ');
}

/** The payload of a job is larger than its entity type (`maxPayloadBytes`) or its `sizeLimit` allows. Nothing was enqueued. */
export class PayloadTooLargeError extends AtomicQueuesError {
  /** Of the payload as it would be stored, in bytes. */
  readonly bytes: number;
  readonly maxBytes: number;

  constructor(
    culprit: string,
    { bytes, bound, name }: { readonly bytes: number; readonly bound: number; readonly name: string },
  ) {
    super(
      'PAYLOAD_TOO_LARGE',
      `${culprit} has ${bytes} bytes of data, more than its ${name} of ${bound}. Send an id, or a link to where the data is stored, or raise ${name}.`,
    );
    this.bytes = bytes;
    this.maxBytes = bound;
  }
}

/**
 * The payload of a job can't be read here: no pod has had its codec for `unknownJobGraceMs`, or the codec refused it (a wrong
 * key, data that was changed). The reason of a job that has failed, without further tries.
 */
export class PayloadUnreadableError extends AtomicQueuesError {
  constructor(message: string) {
    super('PAYLOAD_UNREADABLE', message);
  }
}

/**
 * A payload, or what a handler writes to its job, holds something that JSON or its codec does not carry (`docs/payloads.md` has the
 * table). Nothing was written. The message names the place and the kind of value, and nothing of its content.
 */
export class UnserializableDataError extends AtomicQueuesError {
  constructor(message: string, options?: Caused) {
    super('UNSERIALIZABLE_DATA', message, options);
  }
}

/**
 * The context of a caller can't travel: a value of a wrong kind or too much of it, or the hook failed; nothing was enqueued. Or
 * it could not be restored; then the handler did not run, and the job fails as if the handler had thrown this.
 */
export class ContextError extends AtomicQueuesError {
  constructor(message: string, options?: Caused) {
    super('INVALID_CONTEXT', message, options);
  }
}
