/** Errors of payloads and results. No message repeats a part of a payload. Neighbour: `errors.ts` has the base. */
import { AtomicQueuesError, type Caused } from './errors.js';

/** A complaint of a schema about a part of a payload. */
export interface ValidationIssue {
  /** Path of the part in the payload; empty for the whole payload. */
  readonly path: readonly (string | number)[];
  /** Message of the schema. */
  readonly message: string;
}

/**
 * The schema of a class or of a handler refuses a payload. At the enqueue (`stage` is 'enqueue') nothing was enqueued, and no other job
 * of its bulk. Before the run ('run') the job fails, without further attempts. The message has paths and the schema's messages, and
 * nothing else of the payload. With a secret codec it has paths only.
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

/** The payload of a job is larger than `maxPayloadBytes` or its `sizeLimit`. Nothing was enqueued. */
export class PayloadTooLargeError extends AtomicQueuesError {
  /** Stored size of the payload, in bytes. */
  readonly bytes: number;
  readonly maxBytes: number;

  constructor(
    culprit: string,
    { bytes, bound, name }: { readonly bytes: number; readonly bound: number; readonly name: string },
  ) {
    super(
      'PAYLOAD_TOO_LARGE',
      `${culprit} has ${bytes} bytes of data, more than its ${name} of ${bound}. Nothing was written. Send an id of the data or a link to it, or raise ${name}.`,
    );
    this.bytes = bytes;
    this.maxBytes = bound;
  }
}

/**
 * The payload of a job cannot be read: no pod had its codec for `unknownJobGraceMs`, or the codec refused it (a wrong key, changed data).
 * The job fails, without further attempts.
 */
export class PayloadUnreadableError extends AtomicQueuesError {
  constructor(message: string) {
    super('PAYLOAD_UNREADABLE', message);
  }
}

/**
 * A payload, or data that a handler writes to its job, has a value that its codec cannot carry (`docs/payloads.md` has a table). Nothing
 * was written. The message names the path and the kind of the value, and nothing of its content.
 */
export class UnserializableDataError extends AtomicQueuesError {
  constructor(message: string, options?: Caused) {
    super('UNSERIALIZABLE_DATA', message, options);
  }
}

/**
 * The caller's context cannot travel, since a value is of a wrong kind or too large, or the hook failed: nothing was enqueued. Or it could
 * not be restored: the handler did not run, and the job fails as if the handler had thrown this.
 */
export class ContextError extends AtomicQueuesError {
  constructor(message: string, options?: Caused) {
    super('INVALID_CONTEXT', message, options);
  }
}
