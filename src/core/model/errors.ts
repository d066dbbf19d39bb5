/**
 * The errors of this library that belong to no subject of their own, and their base class.
 *
 * Neighbours: `job-errors.ts`, `payload-errors.ts`, `store-errors.ts` and `../calls/call-errors.ts` have the errors of their subjects;
 * `failure-text.ts` writes what was thrown.
 */
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

/** `drain()` has waited for as long as it was told to, and the entity still has jobs. Nothing was changed. */
export class DrainTimeoutError extends AtomicQueuesError {
  constructor(message: string) {
    super('DRAIN_TIMEOUT', message);
  }
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
