/**
 * Running a batch to its end: one call of its handler, and an end for each of its jobs. Never throws.
 * Neighbour: `job-execution.ts` does the same for one job.
 */
import type { BatchHandling } from './batch.js';
import { RunningEntity, runAsCurrent } from './current-job.js';
import { entityWord } from './entity.js';
import { BatchFailure, InvalidCommandError } from './errors.js';
import { completed, failed, type JobExecution } from './job-execution.js';
import type { Lease } from './lease.js';
import type { Ordering } from './options.js';
import type { FetchedJob, Settlement } from './ports.js';
import { retryDelayMs } from './retry.js';

export interface Batch {
  /** Consecutive jobs of one name, in their order. */
  readonly jobs: readonly FetchedJob[];
  readonly handling: BatchHandling;
  readonly ordering: Ordering;
}

/** @param lease the one under which the batch may start now. */
export async function runBatch(execution: JobExecution, batch: Batch, lease: Lease): Promise<Settlement[]> {
  const { jobs, handling } = batch;
  const context = new RunningEntity(lease, jobs);
  try {
    const { propagation } = execution;
    const handle = () => handling.run(jobs, context);
    const run = propagation ? () => propagation.restore(jobs, handle) : handle;
    const result = await (execution.currentJob ? runAsCurrent(context, run) : run());
    context.hasEnded = true;
    return allCompleted(execution, jobs, result, lease);
  } catch (error) {
    context.hasEnded = true;
    return settleFailures(execution, batch, failuresIn(error, jobs), lease);
  }
}

/** Each job has its own result, or none has one. */
function allCompleted(
  execution: JobExecution,
  jobs: readonly FetchedJob[],
  result: unknown,
  lease: Lease,
): Settlement[] {
  const results = Array.isArray(result) && result.length === jobs.length ? result : [];
  if (result !== undefined && results.length === 0) {
    execution.log.warn(
      `A batch of ${jobs.length} jobs "${jobs[0]?.name}" of ${entityWord(lease.claim.entity)} completed, but its handler returned something else than nothing, or an array with a result for each; null is stored.`,
    );
  }
  return jobs.map((job, index) =>
    completed(job, { returned: results[index], what: () => whatOf(job, lease), execution }),
  );
}

/** Those that have failed, and why. What can't be told apart has failed as a whole: nothing counts as done that may not be. */
function failuresIn(error: unknown, jobs: readonly FetchedJob[]): ReadonlyMap<FetchedJob, unknown> {
  const all = (why: unknown) => new Map(jobs.map(job => [job, why]));
  if (!BatchFailure.is(error)) return all(error);
  const failures = new Map<FetchedJob, unknown>();
  for (const { job: named, error: why } of error.failures) {
    const job = jobs.find(({ id }) => id === named?.id);
    if (!job) {
      return all(
        new InvalidCommandError(
          `A BatchFailure names job ${JSON.stringify(named?.id)}, which is not one of its batch; so all of them count as failed.`,
        ),
      );
    }
    failures.set(job, why);
  }
  return failures;
}

/** Each failure is a try of its own job. In strict order those that are tried again are so together, when all their backoffs are over. */
function settleFailures(
  { log }: JobExecution,
  { jobs, ordering }: Batch,
  failures: ReadonlyMap<FetchedJob, unknown>,
  lease: Lease,
): Settlement[] {
  const delays = new Map([...failures].map(([job, error]) => [job, retryDelayMs(job, error)]));
  const longestMs = Math.max(...[...delays.values()].map(ms => ms ?? 0));
  return jobs.map(job => {
    if (!failures.has(job)) return { job, outcome: { kind: 'completed', value: 'null' } };
    const ownMs = delays.get(job);
    const delayMs = ownMs !== undefined && ordering === 'strict' ? longestMs : ownMs;
    return failed(job, { error: failures.get(job), delayMs, what: whatOf(job, lease), log });
  });
}

function whatOf({ id, name }: FetchedJob, { claim }: Lease): string {
  return `Job ${id} ("${name}") of ${entityWord(claim.entity)}`;
}
