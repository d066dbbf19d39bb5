/** Errors that a job ends with, or that its handler is given. Neighbour: `errors.ts` has the base. */
import type { Claim } from './claim.js';
import { codeOf, isArray, lengthOf, readProperty } from './error-text.js';
import { AtomicQueuesError, type Caused } from './errors.js';
import { messageOf } from './failure-text.js';

/** No handler on the pod that works the entity knows the job's name; the job is failed with this reason. */
export class HandlerNotFoundError extends AtomicQueuesError {
  constructor(message: string) {
    super('HANDLER_NOT_FOUND', message);
  }
}

/** This pod no longer owns the entity (I3): the step changed nothing. Handlers see it when they write through a stale job. */
export class StaleClaimError extends AtomicQueuesError {
  constructor(message: string) {
    super('STALE_CLAIM', message);
  }
}

/** The refusal of a step that a stale claim guards. */
export function noLongerOwned({ entity, token }: Claim): StaleClaimError {
  return new StaleClaimError(
    `This pod no longer owns ${entity.type} ${JSON.stringify(entity.id)} (token ${token}); nothing was changed.`,
  );
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
