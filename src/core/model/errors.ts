/**
 * The errors of this library that belong to no subject of their own, and their base class.
 *
 * Neighbours: `job-errors.ts`, `payload-errors.ts`, `store-errors.ts` and `../calls/call-errors.ts` have the errors of their subjects;
 * `failure-text.ts` writes what was thrown.
 */
export { messageOf, stackOf } from './failure-text.js';

/** The cause of an error. TypeScript's own type of it is in no `lib` before ES2022. */
export interface Caused {
  readonly cause?: unknown;
}

/** The base of all errors of this library. Compare `code`: it is stable, and the message is not. */
export class AtomicQueuesError extends Error {
  /** A stable identifier such as `INVALID_ENTITY`. */
  readonly code: string;

  constructor(code: string, message: string, options?: Caused) {
    super(message, options);
    this.code = code;
    this.name = new.target.name;
  }
}

/** The base of errors after which it is certain that the store has changed nothing. */
export abstract class NotExecutedError extends AtomicQueuesError {}

/** An entity type or id is missing, empty, of a wrong kind or too long. Nothing was enqueued. */
export class InvalidEntityError extends AtomicQueuesError {
  constructor(message: string) {
    super('INVALID_ENTITY', message);
  }
}

/** A command cannot be routed, or its decorators contradict each other. Nothing was enqueued. */
export class InvalidCommandError extends AtomicQueuesError {
  constructor(message: string) {
    super('INVALID_COMMAND', message);
  }
}

/** An option of the module or of a job is unknown, of a wrong kind or out of range. Nothing was enqueued. */
export class InvalidOptionError extends NotExecutedError {
  constructor(message: string) {
    super('INVALID_OPTION', message);
  }
}

/**
 * The call asks for something that this library does not support. Nothing was enqueued. A job fails with it if its handler throws an
 * error that controls BullMQ's own worker (`RateLimitError`, `DelayedError` …).
 */
export class UnsupportedError extends AtomicQueuesError {
  constructor(message: string, options?: Caused) {
    super('UNSUPPORTED', message, options);
  }
}

/** Decorators contradict each other, such as two handlers for one job name. Thrown at start. */
export class HandlerConflictError extends AtomicQueuesError {
  constructor(message: string) {
    super('HANDLER_CONFLICT', message);
  }
}

/** The entity still has jobs after the `timeoutMs` of `drain()`. Nothing was changed. */
export class DrainTimeoutError extends AtomicQueuesError {
  constructor(message: string) {
    super('DRAIN_TIMEOUT', message);
  }
}

/**
 * A call during the start of the application would wait for jobs that this pod runs. It runs none before all `onApplicationBootstrap`
 * hooks have finished, so a hook that waits for the call would wait in vain. Nothing was enqueued.
 */
export class NotStartedError extends NotExecutedError {
  constructor(entityType: string) {
    super(
      'NOT_STARTED',
      `The application is still starting: this pod runs jobs of entity type "${entityType}" only after all onApplicationBootstrap hooks, so a hook that waits for a job would wait in vain. Nothing was enqueued. Enqueue without waiting for the result, or wait after app.init().`,
    );
  }
}

/** This pod has shut down. An enqueue has written nothing. A job that a call waited for continues. */
export class ClosedError extends AtomicQueuesError {
  constructor(message = 'This pod has shut down. Enqueue on another one.') {
    super('CLOSED', message);
  }
}

/** Some jobs of a bulk were not added. `errors` tells which. */
export class BulkEnqueueError extends AtomicQueuesError {
  constructor(
    message: string,
    /** One entry per job, in the given order: its error, or `undefined` if the job was added. */
    readonly errors: readonly (Error | undefined)[],
  ) {
    super('BULK_ENQUEUE_FAILED', message);
  }
}

/** Turns an error that a call throws at once into a rejection. Unlike an async function it creates no promise of its own. */
export function rejecting<T>(call: () => Promise<T>): Promise<T> {
  try {
    return call();
  } catch (error) {
    return Promise.reject(error);
  }
}

/** Like {@link rejecting}, for a call that returns `count` promises. */
export function rejectingEach<T>(count: number, call: () => readonly Promise<T>[]): readonly Promise<T>[] {
  try {
    return call();
  } catch (error) {
    return Array.from({ length: count }, () => Promise.reject(error));
  }
}
