/** `currentJob()` and `currentEntity()`, with BullMQ's types. Neighbour: `core/run/running-job.ts` keeps the running job. */
import type { Job } from 'bullmq';
import { UnsupportedError } from '../core/model/errors.js';
import type { JobContext as CoreJobContext, EntityContext } from '../core/model/job.js';
import { runningEntity, runningJob } from '../core/run/running-job.js';

/**
 * The context of a running job: the handler's third argument, the result of {@link currentJob}, and `REQUEST` in request-scoped
 * providers.
 */
export type JobContext = CoreJobContext<Job>;

/**
 * Returns the context of the running job, anywhere below its handler, such as in a repository. Undefined outside of one.
 *
 * @example
 * ```ts
 * const { attempt } = currentJob() ?? {};
 * ```
 * @throws UnsupportedError below a batch handler, which has several jobs. {@link currentEntity} works below both.
 */
export function currentJob(): JobContext | undefined {
  const job = runningJob();
  if (job || !runningEntity()) return job as JobContext | undefined;
  throw new UnsupportedError(
    'currentJob() was called below a @BatchHandler, which has several jobs. Call currentEntity() for their entity, fencing token and signal.',
  );
}

/**
 * Returns the entity of the running job or batch, with its fencing token and signal, anywhere below the handler. Undefined outside of
 * one.
 *
 * @example
 * ```ts
 * const { fencingToken } = currentEntity() ?? {};
 * ```
 */
export function currentEntity(): EntityContext | undefined {
  return runningEntity();
}
