/**
 * Every error that this library throws, each with a stable `code`.
 * A message names the culprit (entity, class, option) and the remedy; it never carries a payload.
 */

import { codeOf, isArray, lengthOf, readProperty } from './error-text.js';
import { messageOf } from './failure-text.js';

export { messageOf, stackOf } from './failure-text.js';

/** Why an error was made. TypeScript's own type of this is in no `lib` before ES2022. */
export interface Caused {
  readonly cause?: unknown;
}

/** The base of all errors of this library. Branch on `code`: it is stable, the message is not. */
export class AtomicQueuesError extends Error {
  /** A stable identifier such as `INVALID_ENTITY`. */
  readonly code: string;

  constructor(code: string, message: string, options?: Caused) {
    super(message, options);
    this.code = code;
    this.name = new.target.name;
  }
}

/** The base of errors after which it is certain that the store has not done what was asked for. */
export abstract class NotExecutedError extends AtomicQueuesError {}

/** An entity type or id is missing, empty, of a wrong kind or too long. Nothing was enqueued. */
export class InvalidEntityError extends AtomicQueuesError {
  constructor(message: string) {
    super('INVALID_ENTITY', message);
  }
}

/** What was given to `enqueue` is not a command this library can route, or its metadata contradicts itself. */
export class InvalidCommandError extends AtomicQueuesError {
  constructor(message: string) {
    super('INVALID_COMMAND', message);
  }
}

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
 * What must be one step of the store has more bytes than such a step may have: a bulk of a type with `maxPending`, a flow, what a
 * handler writes to its job. While a step runs, Redis does nothing else. Nothing was written.
 */
export class StepTooLargeError extends NotExecutedError {
  readonly bytes: number;
  readonly maxBytes: number;

  constructor(
    what: string,
    { bytes, maxBytes, remedy }: { readonly bytes: number; readonly maxBytes: number; readonly remedy: string },
  ) {
    super(
      'STEP_TOO_LARGE',
      `${what} has ${bytes} bytes; one step of Redis may have ${maxBytes}. Nothing was written; ${remedy}.`,
    );
    this.bytes = bytes;
    this.maxBytes = maxBytes;
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

/** An option of the module or of a job is unknown, of a wrong kind or out of range. */
export class InvalidOptionError extends NotExecutedError {
  constructor(message: string) {
    super('INVALID_OPTION', message);
  }
}

/**
 * A thing that this library does not support (yet) was asked for. Nothing was enqueued. A job fails with it if its handler throws an
 * error by which BullMQ's own worker is told what to do (`RateLimitError`, `DelayedError` …).
 */
export class UnsupportedError extends AtomicQueuesError {
  constructor(message: string, options?: Caused) {
    super('UNSUPPORTED', message, options);
  }
}

/** Decorators contradict each other: two handlers for one job name, two commands with one name … Thrown at start. */
export class HandlerConflictError extends AtomicQueuesError {
  constructor(message: string) {
    super('HANDLER_CONFLICT', message);
  }
}

/** No handler on the pod that works the entity knows the job's name; the job is failed with this reason. */
export class HandlerNotFoundError extends AtomicQueuesError {
  constructor(message: string) {
    super('HANDLER_NOT_FOUND', message);
  }
}

/**
 * The store could not be reached within `commandTimeoutMs`, or refused the call.
 * What was asked for has **not** happened; it is safe to try again.
 */
export class StoreUnavailableError extends NotExecutedError {
  constructor(message: string, options?: Caused) {
    super('STORE_UNAVAILABLE', message, options);
  }
}

/**
 * The connection broke after the call was sent and before its answer came: it may or may not have happened.
 * To enqueue again without a duplicate give the job an id (`jobId`), the same in both tries.
 */
export class OutcomeUnknownError extends AtomicQueuesError {
  constructor(message: string, options?: Caused) {
    super('OUTCOME_UNKNOWN', message, options);
  }
}

/** Redis refused the credentials. Thrown at start, at once: waiting would not help. */
export class AuthenticationError extends AtomicQueuesError {
  constructor(message: string, options?: Caused) {
    super('AUTHENTICATION_FAILED', message, options);
  }
}

/** The store executed the call and refused it (Redis out of memory, a key of a wrong type …). */
export class StoreRefusedError extends NotExecutedError {
  constructor(message: string, options?: Caused) {
    super('STORE_REFUSED', message, options);
  }
}

/** An entity has as many jobs as its type allows (`maxPending`). Nothing was added, of a bulk nothing at all: try again later. */
export class BacklogFullError extends NotExecutedError {
  readonly entityType: string;
  readonly entityId: string;

  constructor(
    { type, id }: { readonly type: string; readonly id: string },
    /** How many jobs an entity of the type may have that have not ended. */
    readonly maxPending: number,
  ) {
    super(
      'BACKLOG_FULL',
      `${type} ${JSON.stringify(id)} has no room for what was enqueued: at most ${maxPending} of its jobs may wait and run (entities.${type}.maxPending). Try again later.`,
    );
    this.entityType = type;
    this.entityId = id;
  }
}

/** A job of a flow can't be added under its id: nothing of the flow was. */
export function idIsTaken({ name, entity: { type, id } }: NamedOf): InvalidOptionError {
  return new InvalidOptionError(
    `There is another job under the id of job "${name}" of ${type} ${JSON.stringify(id)}, perhaps of an earlier flow with that jobId; nothing was added. Give the flow another jobId.`,
  );
}

interface NamedOf {
  readonly name: string;
  readonly entity: { readonly type: string; readonly id: string };
}

/** `drain()` has waited for as long as it was told to, and the entity still has jobs. Nothing was changed. */
export class DrainTimeoutError extends AtomicQueuesError {
  constructor(message: string) {
    super('DRAIN_TIMEOUT', message);
  }
}

/** The refusal of an end that would count before that of an older job of its entity (I6). */
export function overtakes(jobId: string): StoreRefusedError {
  return new StoreRefusedError(
    `Job ${jobId} can't end before an older one, whose end was refused; both are ended anew.`,
  );
}

/** The refusal of an add that would be answered with a job which the operator's drop may remove. */
export function mayBeDropped(jobId: string): StoreRefusedError {
  return new StoreRefusedError(
    `Job ${jobId} may be among those that are being dropped; nothing was added. Try it again when the drop has ended.`,
  );
}

/**
 * A call before the end of the application's start would wait for jobs that this pod runs: it runs none before all
 * `onApplicationBootstrap` hooks are through, and a hook that waits for the call would wait in vain. Nothing was enqueued.
 */
export class NotStartedError extends NotExecutedError {
  constructor(entityType: string) {
    super(
      'NOT_STARTED',
      `The application is still starting: this pod runs jobs of entity type "${entityType}" only after all onApplicationBootstrap hooks, so a hook that waits for one would wait in vain. Nothing was enqueued. Enqueue without waiting for the result, or wait after app.init().`,
    );
  }
}

/** This module has been shut down. */
export class ClosedError extends AtomicQueuesError {
  constructor(message = 'This pod has shut down; enqueue on another one.') {
    super('CLOSED', message);
  }
}

/** This pod no longer owns the entity (I3): the step changed nothing. Handlers see it when they write through a stale job. */
export class StaleClaimError extends AtomicQueuesError {
  constructor(message: string) {
    super('STALE_CLAIM', message);
  }
}

/** Some jobs of a bulk were not added. `outcomes` tells, in the order given, which were. */
export class BulkEnqueueError extends AtomicQueuesError {
  constructor(
    message: string,
    /** One per job, in the order given: the error, or `undefined` where the job was added. */
    readonly errors: readonly (Error | undefined)[],
  ) {
    super('BULK_ENQUEUE_FAILED', message);
  }
}

/** A job stalled (its pod died while it ran alone) more often than `maxStalledCount`, or its data is gone. */
export class JobAbandonedError extends AtomicQueuesError {
  constructor(message: string) {
    super('JOB_ABANDONED', message);
  }
}

/** A job of a batch that has failed, and why. */
export interface FailedJob {
  /** One of those that the handler got. */
  readonly job: { readonly id?: string | undefined };
  /** As if the handler of this job alone had thrown it: it is tried again, or not, accordingly. */
  readonly error: unknown;
}

/**
 * Thrown by a batch handler to say which jobs of its batch have failed, each for its own reason; all others have completed.
 * What else it throws means that all have failed; so does a BatchFailure that names a job of another batch, or none.
 *
 * @example
 * ```ts
 * const failures = jobs.filter(job => !isValid(job.data)).map(job => ({ job, error: new Error('not valid') }));
 * if (failures.length > 0) throw new BatchFailure(failures);
 * ```
 */
export class BatchFailure extends AtomicQueuesError {
  constructor(readonly failures: readonly FailedJob[]) {
    const [first] = failures;
    super(
      'BATCH_FAILURE',
      first
        ? `${failures.length} jobs of a batch have failed; the first: ${messageOf(readProperty(first, 'error'))}`
        : 'A BatchFailure names no job; so all of its batch count as failed.',
    );
  }

  /** Whether something that was thrown is one: by its code, since this package may be loaded twice, in both of its forms. */
  static is(error: unknown): error is BatchFailure {
    if (codeOf(error) !== 'BATCH_FAILURE') return false;
    const failures = readProperty(error, 'failures');
    return isArray(failures) && lengthOf(failures) > 0;
  }
}

/** A child of the job has failed, or was removed, and the job was to fail with it (`onFailure: 'failParent'`): its handler was not called. */
export class ChildFailedError extends AtomicQueuesError {
  constructor(message: string) {
    super('CHILD_FAILED', message);
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

/** A guard has refused a job. It fails at once, however many tries it has left; `cause` is what the guard has thrown. */
export class JobRefusedError extends AtomicQueuesError {
  constructor(message: string, options?: Caused) {
    super('JOB_REFUSED', message, options);
  }
}

/**
 * A handler took longer than `handlerTimeoutMs`. It is the reason of its signal, and, if the handler does not settle soon after that,
 * the reason of the failed try: the job is tried again as its `attempts` say. The code of the handler may still run.
 */
export class HandlerTimeoutError extends AtomicQueuesError {
  constructor(
    /** What the type allows, in ms. */
    readonly timeoutMs: number,
  ) {
    super(
      'HANDLER_TIMEOUT',
      `The handler did not settle within handlerTimeoutMs (${timeoutMs}), and was told to stop. If it goes on nevertheless, its entity goes on without it, under a newer fencing token.`,
    );
  }
}

/** Calls what may throw before it has a promise to reject; no promise of its own, unlike an async function. */
export function rejecting<T>(call: () => Promise<T>): Promise<T> {
  try {
    return call();
  } catch (error) {
    return Promise.reject(error);
  }
}

/** As {@link rejecting}, of a call that answers each of so many by itself. */
export function rejectingEach<T>(count: number, call: () => readonly Promise<T>[]): readonly Promise<T>[] {
  try {
    return call();
  } catch (error) {
    return Array.from({ length: count }, () => Promise.reject(error));
  }
}
