/** The errors of waiting for an answer. Neighbours: `errors.ts` has their base; `pending-calls.ts` throws them. */

import { type EntityRef, entityKey } from '../model/entity.js';
import { AtomicQueuesError, type Caused, NotExecutedError } from '../model/errors.js';
import type { Thrown } from '../model/reply.js';
import type { CallState } from '../ports/replies.js';

/** A job that somebody waits for, as errors name it. */
export interface AwaitedJob {
  readonly entity: EntityRef;
  readonly name: string;
  /** Not known before the queue has it. */
  readonly jobId: string | undefined;
}

function what({ entity, name, jobId }: AwaitedJob): string {
  return `${jobId === undefined ? 'A job' : `Job ${jobId}`} ("${name}") of ${entityKey(entity)}`;
}

/** The base of what says that a wait has ended and not what became of its job. */
abstract class WaitError extends AtomicQueuesError {
  readonly entityType: string;
  readonly entityId: string;
  /** Undefined where the queue had not answered yet. */
  readonly jobId: string | undefined;

  constructor(code: string, job: AwaitedJob, message: string, options?: Caused) {
    super(code, `${what(job)} ${message}`, options);
    this.entityType = job.entity.type;
    this.entityId = job.entity.id;
    this.jobId = job.jobId;
  }
}

/**
 * The handler has thrown, and no try is left. `message` is that of what it has thrown, its first 4,096 characters; `cause` is an `Error` with the
 * name, message and `code` of its cause, and so on. Stacks don't travel: that of the handler is kept with the job, if it is.
 */
export class HandlerError extends AtomicQueuesError {
  readonly jobId: string | undefined;
  /** The `name` of what the handler has thrown, or that of its class, such as `InsufficientFunds`. */
  readonly originalName: string;
  /** Its `code`, if that was a text or a number. */
  readonly originalCode: string | number | undefined;
  /** The first errors that it holds, as an `AggregateError` does, each like `cause`. With all causes they are five at most. */
  readonly errors: readonly Error[] | undefined;
  /** The HTTP status of an `HttpException`, from 400 to 599; `HandlerErrorFilter` answers with it. */
  readonly status: number | undefined;
  /** What `getResponse()` of an `HttpException` gave, as JSON; `{ statusCode, message }` if that has more than 8,192 characters. */
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

/** As many calls of this pod wait for results as may at once. Nothing was enqueued. */
export class TooManyWaitingCallsError extends NotExecutedError {
  constructor(
    job: AwaitedJob,
    /** How many calls of a pod may wait at once. */
    readonly maxWaitingCalls: number,
  ) {
    super(
      'TOO_MANY_WAITING_CALLS',
      `${what(job)} was not enqueued: ${maxWaitingCalls} calls of this pod wait for results, and no more may. Try again later, enqueue without waiting, or call from more pods.`,
    );
  }
}

/** No answer has come within `timeoutMs`. The job goes on; it may have run, or run yet. */
export class ReplyTimeoutError extends WaitError {
  constructor(
    job: AwaitedJob,
    readonly timeoutMs: number,
    /** What the job is doing, as far as Redis could be asked: `'blocked'` waits for a person (`onExhausted: 'block'`). */
    readonly state: CallState | 'unknown',
    /** Whether any live pod had handlers for the entity type at the end of the wait; undefined where Redis did not say. */
    readonly isHosted?: boolean,
  ) {
    const why = isHosted === false ? ' No live pod has handlers for its entity type at this moment.' : '';
    super(
      'REPLY_TIMEOUT',
      job,
      `has not been answered within ${timeoutMs} ms; its state: ${state}.${why} It was not cancelled.`,
    );
  }
}

/** The job is no longer there, and has left no answer: somebody has removed it, or Redis has forgotten it. */
export class JobRemovedError extends WaitError {
  constructor(job: AwaitedJob) {
    super(
      'JOB_REMOVED',
      job,
      'is gone, and has left no answer: somebody has removed it, or Redis has lost what it had.',
    );
  }
}

/**
 * The enqueue added nothing, since its `jobId` or `idempotencyKey` was known, and the job of that earlier enqueue is gone: it
 * has ended, or was removed. Its answer went to the first caller. Jobs that are kept (`removeOnComplete: false`) can be
 * asked.
 */
export class AnswerGivenError extends WaitError {
  constructor(job: AwaitedJob) {
    super(
      'ANSWER_GIVEN',
      job,
      'was enqueued before, and is through; its answer went to whoever waited then, if anybody.',
    );
  }
}

/** The job has completed, and its result can't be told: it is larger than `maxResultBytes`, nothing that its codec can carry, or not to be read here. */
export class ResultUnavailableError extends WaitError {
  constructor(job: AwaitedJob, why: string) {
    super('RESULT_UNAVAILABLE', job, `has completed; ${why}`);
  }
}

/** The wait was given up by its `signal`, whose reason is the `cause`. */
export class WaitAbortedError extends WaitError {
  constructor(
    job: AwaitedJob,
    /** Whether the job was removed before it started (`cancelJob`); false also where nobody knows. */
    readonly isJobRemoved: boolean,
    reason: unknown,
  ) {
    const left = isJobRemoved ? 'It was removed.' : 'The job goes on.';
    super('WAIT_ABORTED', job, `is no longer waited for. ${left}`, { cause: reason });
  }
}

/**
 * A handler would wait for its own entity, directly or through others that wait for it at this moment: none of them could go
 * on before a timeout. Nothing was enqueued. Enqueue without waiting, or let one handler do the work of both. A job that fails
 * with it is tried again, if it has tries left: the others may have given up by then.
 */
export class DeadlockError extends AtomicQueuesError {
  constructor(
    /** Who waits for whom; the last one is the first again. */
    readonly chain: readonly EntityRef[],
  ) {
    super(
      'DEADLOCK',
      `Waiting would never end: ${chain.map(entityKey).join(' → ')}. Enqueue without waiting, or do it in one handler.`,
    );
  }
}
