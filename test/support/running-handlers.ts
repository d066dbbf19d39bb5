/** What tests of engines in memory see of handlers that run, and how they let them end. */
import type { Validator } from '../../src/core/handlers/validation.js';
import type { EntityContext, FetchedJob, JobContext } from '../../src/core/model/job.js';

/** A handler that is running and waits for the test. */
export interface Running {
  readonly pod: string;
  readonly entityId: string;
  readonly n: number;
  /** A shared read. */
  readonly isRead: boolean;
  readonly context: JobContext;
  /** Lets it return. */
  end(): Promise<void>;
  /** Lets it throw. */
  fail(thrown?: unknown): Promise<void>;
}

/** A batch handler that is running and waits for the test. */
export interface RunningBatch {
  readonly pod: string;
  readonly entityId: string;
  readonly ns: readonly number[];
  readonly jobs: readonly FetchedJob[];
  readonly context: EntityContext;
  /** Lets it return. */
  end(result?: unknown): Promise<void>;
  /** Lets it throw; given numbers of jobs and what is wrong with each, a BatchFailure. */
  fail(thrown?: unknown): Promise<void>;
  failSome(failures: Readonly<Record<number, unknown>>): Promise<void>;
}

/** Which jobs are handled in batches, and how. */
export type Batches = Readonly<
  Record<string, { readonly max: number; readonly maxWaitMs?: number; readonly validator?: Validator }>
>;
