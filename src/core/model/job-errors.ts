/** Errors with which a job fails, and errors that its handler gets. Neighbour: `errors.ts` has the base. */
import type { Claim } from './claim.js';
import { codeOf, isArray, lengthOf, readProperty } from './error-text.js';
import { AtomicQueuesError, type Caused } from './errors.js';
import { messageOf } from './failure-text.js';

/** No pod had a handler for the job for `unknownJobGraceMs`. The job fails, without further attempts. */
export class HandlerNotFoundError extends AtomicQueuesError {
  constructor(message: string) {
    super('HANDLER_NOT_FOUND', message);
  }
}

/** This pod no longer owns the entity (I3), so the step changed nothing. A handler gets it when it writes to its job. */
export class StaleClaimError extends AtomicQueuesError {
  constructor(message: string) {
    super('STALE_CLAIM', message);
  }
}

/** Refuses a step under a stale claim. */
export function noLongerOwned({ entity, token }: Claim): StaleClaimError {
  return new StaleClaimError(
    `This pod no longer owns ${entity.type} ${JSON.stringify(entity.id)} (token ${token}); nothing was changed.`,
  );
}

/** A job lost its pod while it ran alone more often than `maxStalledCount`, or its data is gone. It fails, without further attempts. */
export class JobAbandonedError extends AtomicQueuesError {
  constructor(message: string) {
    super('JOB_ABANDONED', message);
  }
}

/** A failed job of a batch and its error. */
export interface FailedJob {
  /** One of the jobs of the batch. */
  readonly job: { readonly id?: string | undefined };
  /** Counts as if the handler of this job alone had thrown it, also for retries. */
  readonly error: unknown;
}

/**
 * Thrown by a batch handler to name the jobs of its batch that have failed, each with its own error. All others have completed. With any
 * other error all jobs have failed, and so they have with a BatchFailure that names no job, or one of another batch.
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
        : 'A BatchFailure names no job, so all jobs of its batch count as failed.',
    );
  }

  /** Whether a thrown value is a BatchFailure. Decides by its code, since both forms of this package may be loaded. */
  static is(error: unknown): error is BatchFailure {
    if (codeOf(error) !== 'BATCH_FAILURE') return false;
    const failures = readProperty(error, 'failures');
    return isArray(failures) && lengthOf(failures) > 0;
  }
}

/** A child with `onFailure: 'failParent'` has failed or was removed, so its parent fails. The parent's handler was not called. */
export class ChildFailedError extends AtomicQueuesError {
  constructor(message: string) {
    super('CHILD_FAILED', message);
  }
}

/** A guard has refused a job. The job fails without further attempts. `cause` is the error of the guard. */
export class JobRefusedError extends AtomicQueuesError {
  constructor(message: string, options?: Caused) {
    super('JOB_REFUSED', message, options);
  }
}

/**
 * A handler took longer than `handlerTimeoutMs`. This is the reason of its signal. If the handler does not settle within a second after
 * that, it is also the reason of the failed attempt, and `attempts` apply. The code of the handler may still run.
 */
export class HandlerTimeoutError extends AtomicQueuesError {
  constructor(
    /** The limit of the type, in ms. */
    readonly timeoutMs: number,
  ) {
    super(
      'HANDLER_TIMEOUT',
      `The handler did not settle within handlerTimeoutMs (${timeoutMs}), so its signal was aborted. If it still runs, its entity continues without it, under a newer fencing token.`,
    );
  }
}
