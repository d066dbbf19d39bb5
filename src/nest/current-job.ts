/** The running job, with the types of BullMQ. Neighbour: `core/current-job.ts` keeps it. */
import type { Job } from 'bullmq';
import { runningJob } from '../core/current-job.js';
import type { JobContext as CoreJobContext } from '../core/ports.js';

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
 * const { fencingToken } = currentJob() ?? {};
 * ```
 */
export function currentJob(): JobContext | undefined {
  return runningJob() as JobContext | undefined;
}
