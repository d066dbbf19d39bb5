/** What runs, with the types of BullMQ. Neighbour: `core/run/running-job.ts` keeps it. */
import type { Job } from 'bullmq';
import { UnsupportedError } from '../core/model/errors.js';
import type { JobContext as CoreJobContext, EntityContext } from '../core/model/job.js';
import { runningEntity, runningJob } from '../core/run/running-job.js';

/**
 * What a handler may know of its job and its entity: its third argument, {@link currentJob} below it, and `REQUEST` in what is
 * request-scoped.
 */
export type JobContext = CoreJobContext<Job>;

/**
 * The job that is running, wherever this is called below its handler (a repository, say); `undefined` outside of one.
 *
 * @example
 * ```ts
 * const { attempt } = currentJob() ?? {};
 * ```
 * @throws UnsupportedError below a batch handler, where there are several jobs: {@link currentEntity} serves both.
 */
export function currentJob(): JobContext | undefined {
  const job = runningJob();
  if (job || !runningEntity()) return job as JobContext | undefined;
  throw new UnsupportedError(
    'currentJob() was called below a @BatchHandler, which has several jobs; currentEntity() gives their entity, fencing token and signal.',
  );
}

/**
 * The entity whose job or batch is running, with its fencing token and signal, wherever this is called below the handler;
 * `undefined` outside of one.
 *
 * @example
 * ```ts
 * const { fencingToken } = currentEntity() ?? {};
 * ```
 */
export function currentEntity(): EntityContext | undefined {
  return runningEntity();
}
