/**
 * The errors of calls that wait for a result.
 *
 * Owns: what such a call tells its caller about the job.
 * Neighbours: `model/errors.ts` has their base classes. `pending-calls.ts`, `pending-call.ts` and `deadlock.ts` throw them.
 */

import { type EntityRef, entityKey } from '../model/entity.js';
import { AtomicQueuesError, type Caused, NotExecutedError } from '../model/errors.js';
import type { Thrown } from '../model/reply.js';
import type { CallState } from '../ports/replies.js';

/** The job of a waiting call, as errors name it. */
export interface AwaitedJob {
  readonly entity: EntityRef;
  readonly name: string;
  /** Undefined until the job is added. */
  readonly jobId: string | undefined;
}

function what({ entity, name, jobId }: AwaitedJob): string {
  return `${jobId === undefined ? 'A job' : `Job ${jobId}`} ("${name}") of ${entityKey(entity)}`;
}

/** The base of the errors that end a wait without the outcome of the job. */
abstract class WaitError extends AtomicQueuesError {
  readonly entityType: string;
  readonly entityId: string;
  /** Undefined if the wait ended before the enqueue was acknowledged. */
  readonly jobId: string | undefined;

  constructor(code: string, job: AwaitedJob, message: string, options?: Caused) {
    super(code, `${what(job)} ${message}`, options);
    this.entityType = job.entity.type;
    this.entityId = job.entity.id;
    this.jobId = job.jobId;
  }
}

/**
 * The handler threw, and the job has no attempts left. `message` is the message of the thrown error, at most 4,096 characters of it.
 * `cause` is an `Error` with the name, the message and the `code` of its cause, and so on. Stacks are not sent to the caller: the stack
 * of the handler is kept with the job, if the job is kept.
 */
export class HandlerError extends AtomicQueuesError {
  readonly jobId: string | undefined;
  /** The `name` of the thrown error, or the name of its class, such as `InsufficientFunds`. */
  readonly originalName: string;
  /** The `code` of the thrown error, if it is a string or a number. */
  readonly originalCode: string | number | undefined;
  /** The first errors within an `AggregateError`, each like `cause`. Together with all causes they are at most five. */
  readonly errors: readonly Error[] | undefined;
  /** The HTTP status of an `HttpException`, from 400 to 599. `HandlerErrorFilter` responds with it. */
  readonly status: number | undefined;
  /** The result of `getResponse()` of an `HttpException`, as JSON; `{ statusCode, message }` if it has more than 8,192 characters. */
  readonly response: unknown;

  constructor({ jobId }: AwaitedJob, { name, message, code, cause, errors, http }: Thrown) {
    super('HANDLER_FAILED', message, cause && { cause: asError(cause) });
    this.jobId = jobId;
    this.originalName = name;
    this.originalCode = code;
    this.errors = errors?.map(asError);
    this.status = http?.status;
    this.response = http?.response;
  }
}

function asError({ name, message, code, cause, errors }: Thrown): Error {
  const error = new Error(message, cause && { cause: asError(cause) });
  return Object.assign(
    error,
    { name, stack: `${name}: ${message}` },
    code !== undefined && { code },
    errors && { errors: errors.map(asError) },
  );
}

/** The maximum number of calls of this pod wait for results already. No job was added. */
export class TooManyWaitingCallsError extends NotExecutedError {
  constructor(
    job: AwaitedJob,
    /** Maximum number of calls of a pod that wait at once. */
    readonly maxWaitingCalls: number,
  ) {
    super(
      'TOO_MANY_WAITING_CALLS',
      `${what(job)} was not enqueued: ${maxWaitingCalls} calls of this pod wait for results already, which is the maximum. Call again later, enqueue without waiting, or call from more pods.`,
    );
  }
}

/** No reply came within `timeoutMs`. The job was not cancelled: it may have run, or may still run. */
export class ReplyTimeoutError extends WaitError {
  constructor(
    job: AwaitedJob,
    readonly timeoutMs: number,
    /** State of the job, or `'unknown'` if Redis did not say. `'blocked'` waits for the operator (`onExhausted: 'block'`). */
    readonly state: CallState | 'unknown',
    /** Whether any live pod had handlers for the entity type at the end of the wait. Undefined if Redis did not say. */
    readonly isHosted?: boolean,
  ) {
    const why =
      isHosted === false ? ' No live pod has handlers for its entity type: start the service that has them.' : '';
    super(
      'REPLY_TIMEOUT',
      job,
      `has not ended within ${timeoutMs} ms (timeoutMs); its state: ${state}.${why} The job was not cancelled and may still run. If it was enqueued with an idempotencyKey, call again with that key to wait further.`,
    );
  }
}

/** The job no longer exists, and left no reply: an operator removed it, or Redis lost it. */
export class JobRemovedError extends WaitError {
  constructor(job: AwaitedJob) {
    super(
      'JOB_REMOVED',
      job,
      'no longer exists and left no reply: an operator removed it, or Redis lost its data. Whether it ran is unknown: check that before you enqueue it again.',
    );
  }
}

/**
 * The enqueue added nothing, since its `jobId` or `idempotencyKey` was known. The job of the earlier enqueue has ended or was removed,
 * and is not kept. Its result was delivered to the original caller. If such jobs are kept (`removeOnComplete: false`), this call gets
 * their result, too.
 */
export class AnswerGivenError extends WaitError {
  constructor(job: AwaitedJob) {
    super(
      'ANSWER_GIVEN',
      job,
      'was enqueued before under the same key and has already finished, so nothing was added. Its result was delivered to the original caller, if that one waited. If repeated calls must get the result, keep ended jobs with removeOnComplete.',
    );
  }
}

/**
 * The job has completed, but its result is unavailable: it is larger than `maxResultBytes`, its codec can't encode it, or this pod can't
 * read it.
 */
export class ResultUnavailableError extends WaitError {
  constructor(job: AwaitedJob, why: string) {
    super('RESULT_UNAVAILABLE', job, `has completed, but ${why}`);
  }
}

/** The `signal` of the caller ended the wait. Its reason is the `cause`. */
export class WaitAbortedError extends WaitError {
  constructor(
    job: AwaitedJob,
    /** Whether the job was removed before it started (`cancelJob`). It is false also if that is unknown. */
    readonly isJobRemoved: boolean,
    reason: unknown,
  ) {
    const left = isJobRemoved
      ? 'The job was removed before it started.'
      : 'The job was not removed: it may have run, or may still run.';
    super('WAIT_ABORTED', job, `is no longer awaited: the signal of the call was aborted. ${left}`, { cause: reason });
  }
}

/**
 * A handler would wait for its own entity, directly or through other handlers that wait for it at this moment. None of them could
 * continue before a timeout. No job was added. Enqueue without waiting, or let one handler do the work of both. A job that fails with
 * this error is retried if it has attempts left: the other handlers may have ended by then.
 */
export class DeadlockError extends AtomicQueuesError {
  constructor(
    /** The entities that wait, each for the next one. The last one is the first again. */
    readonly chain: readonly EntityRef[],
  ) {
    super(
      'DEADLOCK',
      `The job was not enqueued: its caller would wait in a circle (${chain.map(entityKey).join(' → ')}), which ends only by a timeout. Enqueue without waiting, or do the work in one handler.`,
    );
  }
}
