/**
 * Errors of calls to the store: what became of the call, and whether it may be made again.
 * Neighbours: `errors.ts` has the base; `connection/` and the stores throw them.
 */
import { AtomicQueuesError, type Caused, InvalidOptionError, NotExecutedError } from './errors.js';

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

/** The refusal of an end that would count before that of an older job of its entity (I6). */
export function overtakes(jobId: string): StoreRefusedError {
  return new StoreRefusedError(
    `Job ${jobId} can't end before an older one, whose end was refused; both are ended again.`,
  );
}

/** The refusal of an add that would be answered with a job which the operator's drop may remove. */
export function mayBeDropped(jobId: string): StoreRefusedError {
  return new StoreRefusedError(
    `Job ${jobId} may be among those that are being dropped; nothing was added. Try it again when the drop has ended.`,
  );
}
