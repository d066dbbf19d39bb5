/**
 * Errors of calls to the store: whether the call was executed, and whether it may be repeated.
 * Neighbours: `errors.ts` has the base; `connection/` and the stores throw them.
 */
import { AtomicQueuesError, type Caused, InvalidOptionError, NotExecutedError } from './errors.js';

/**
 * One step of the store would have too many bytes: a bulk of a type with `maxPending`, a flow, or data that a handler writes to its job.
 * Redis does nothing else while a step runs. Nothing was written.
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
      `${what} has ${bytes} bytes; one step of Redis may have ${maxBytes}. Nothing was written. To fix it, ${remedy}.`,
    );
    this.bytes = bytes;
    this.maxBytes = maxBytes;
  }
}

/**
 * Redis was not reached within `commandTimeoutMs`, or could not execute the call. Nothing was changed, so the call may be repeated.
 */
export class StoreUnavailableError extends NotExecutedError {
  constructor(message: string, options?: Caused) {
    super('STORE_UNAVAILABLE', message, options);
  }
}

/**
 * The connection broke after the call was sent and before its response came, so the call may or may not have been executed. To enqueue
 * again without a duplicate, use the same `idempotencyKey` or `jobId` in both calls.
 */
export class OutcomeUnknownError extends AtomicQueuesError {
  constructor(message: string, options?: Caused) {
    super('OUTCOME_UNKNOWN', message, options);
  }
}

/** Redis refused the credentials. The start fails at once, since waiting would not help. */
export class AuthenticationError extends AtomicQueuesError {
  constructor(message: string, options?: Caused) {
    super('AUTHENTICATION_FAILED', message, options);
  }
}

/** The store refused the call and changed nothing: Redis is out of memory, a key has a wrong type, a right is missing … */
export class StoreRefusedError extends NotExecutedError {
  constructor(message: string, options?: Caused) {
    super('STORE_REFUSED', message, options);
  }
}

/** An entity has as many jobs as its type allows (`maxPending`). Nothing was added, and no other job of its bulk. Try again later. */
export class BacklogFullError extends NotExecutedError {
  readonly entityType: string;
  readonly entityId: string;

  constructor(
    { type, id }: { readonly type: string; readonly id: string },
    /** Maximum number of jobs of an entity that have not ended. */
    readonly maxPending: number,
  ) {
    super(
      'BACKLOG_FULL',
      `${type} ${JSON.stringify(id)} has no room for another job: at most ${maxPending} of its jobs may wait and run (entities.${type}.maxPending). Nothing was enqueued. Try again later.`,
    );
    this.entityType = type;
    this.entityId = id;
  }
}

/** The id of a job of a flow is taken. Nothing of the flow was added. */
export function idIsTaken({ name, entity: { type, id } }: NamedOf): InvalidOptionError {
  return new InvalidOptionError(
    `There is another job under the id of job "${name}" of ${type} ${JSON.stringify(id)}, perhaps of an earlier flow with that jobId. Nothing was added. Give the flow another jobId.`,
  );
}

interface NamedOf {
  readonly name: string;
  readonly entity: { readonly type: string; readonly id: string };
}

/** Refuses an end that would count before the end of an older job of its entity (I6). */
export function overtakes(jobId: string): StoreRefusedError {
  return new StoreRefusedError(
    `Job ${jobId} can't end before an older one, whose end was refused. Nothing was written; the worker repeats both ends.`,
  );
}

/** Refuses an add whose response would name a job that the operator's drop may remove. */
export function mayBeDropped(jobId: string): StoreRefusedError {
  return new StoreRefusedError(
    `Job ${jobId} may be among the jobs of a running drop(). Nothing was added. Try again when the drop has ended.`,
  );
}
