/**
 * Runs a batch: one call of its handler, and an end for each of its jobs. A job whose payload is unreadable or invalid fails by itself;
 * the handler gets the others. The only error that it throws is `NotStarted`.
 *
 * Owns: which jobs of a batch have failed, and the results of the others.
 * Neighbours: `run-job.ts` does the same for one job. `handlers/batch-options.ts` has the options of batches.
 */
import type { BatchHandling } from '../handlers/batch-options.js';
import { MAX_BATCH_RESULT_BYTES } from '../model/bounds.js';
import { type EntityRef, entityKey } from '../model/entity.js';
import { isArray, isInstance, lengthOf, quoted, readProperty } from '../model/error-text.js';
import { InvalidCommandError, messageOf } from '../model/errors.js';
import type { FetchedJob, Settlement } from '../model/job.js';
import { BatchFailure } from '../model/job-errors.js';
import { ignoreRejections } from '../payload/ignored-rejections.js';
import { failureOf } from './flow-control.js';
import { type Lease, NotStarted } from './lease.js';
import { OpenedPayload, openJob } from './open-payload.js';
import { retryDelayMs } from './retry.js';
import { completed, failed, jobWord, type TypedExecution } from './run-job.js';
import { NO_LIMIT, type RunLimit } from './run-limit.js';
import { RunningEntity, runAsCurrent } from './running-job.js';

export interface Batch {
  /** Consecutive jobs of one name, in their order. */
  readonly jobs: readonly FetchedJob[];
  readonly handling: BatchHandling;
}

/** The reasons of failures, by job id. */
type Failures = Map<string, unknown>;

/**
 * Runs a batch and returns how each of its jobs ended, in their order.
 * @param lease a lease that was valid just now (I2).
 * @param limit the time limit of the handler.
 * @throws NotStarted if handlers were told to stop before this one had started.
 */
export async function runBatch(
  execution: TypedExecution,
  batch: Batch,
  lease: Lease,
  limit: RunLimit = NO_LIMIT,
): Promise<Settlement[]> {
  const failures: Failures = new Map();
  const results = new Map<string, unknown>();
  const opened = await openAll(execution, batch, { entity: lease.claim.entity, failures, limit });
  // All jobs end together. So a caller that waits for a job which failed before the handler ran also waits for the handler.
  // guards: run-batch.runBatch
  const context = new RunningEntity(lease, batch.jobs);
  try {
    if (opened.length > 0) {
      await lease.untilValid();
      const returned = await limit.within(
        () => run(execution, { ...batch, jobs: opened }, context),
        reason => context.abort(reason),
      );
      const all = resultsOf(execution, opened, returned, lease);
      for (const [index, { id }] of opened.entries()) results.set(id, all[index]);
    }
  } catch (error) {
    if (isInstance(error, NotStarted)) throw error;
    for (const [id, why] of failuresIn(error, opened)) failures.set(id, failureOf(why));
  } finally {
    context.end();
  }
  return settle(execution, batch.jobs, { failures, results, lease });
}

/** Opens all payloads. Returns the jobs that the handler gets, in their order, and notes the failures of the others. */
async function openAll(
  execution: TypedExecution,
  { jobs }: Batch,
  { entity, failures, limit }: { entity: EntityRef; failures: Failures; limit: RunLimit },
): Promise<readonly FetchedJob[]> {
  const validator = execution.handlers.validatorOf(entity.type, jobs[0]?.name ?? '');
  const opening = await Promise.allSettled(
    jobs.map(async job => {
      const opened = openJob(execution, job, validator);
      return opened instanceof Promise ? limit.within(() => opened) : opened;
    }),
  );
  return jobs.flatMap((job, index) => {
    const end = opening[index] as PromiseSettledResult<FetchedJob>;
    if (end.status === 'fulfilled') return [handed(execution, job, end.value)];
    // guards: run-batch.openAll
    failures.set(job.id, end.reason);
    return [];
  });
}

/** The job that the handler gets: with the decoded payload, also in BullMQ's `Job`. */
function handed(execution: TypedExecution, job: FetchedJob, opened: FetchedJob): FetchedJob {
  const payload = new OpenedPayload(execution, opened);
  return { ...opened, native: () => job.native(payload) };
}

function run({ currentJob, propagation }: TypedExecution, { jobs, handling }: Batch, context: RunningEntity): unknown {
  const handle = () => handling.run(jobs, context);
  const inContext = propagation ? () => propagation.restore(jobs, handle) : handle;
  return currentJob ? runAsCurrent(context, inContext) : inContext();
}

/** The results of the jobs, in their order. Unless the handler returned one for each job, no job has a result. */
function resultsOf(
  { log }: TypedExecution,
  jobs: readonly FetchedJob[],
  result: unknown,
  { claim }: Lease,
): readonly unknown[] {
  if (isArray(result) && lengthOf(result) === jobs.length) return jobs.map((_, at) => readProperty(result, at));
  if (result !== undefined) {
    log.warn(
      `A batch of ${jobs.length} jobs ${quoted(jobs[0]?.name ?? '')} of ${entityKey(claim.entity)} completed, but its handler did not return an array with one result for each job, so null is stored as the result of each. Return such an array, or nothing.`,
    );
    ignoreRejections(result);
  }
  return [];
}

/** The failed jobs with their reasons. If the error does not say which jobs failed, all of them count as failed. */
function failuresIn(error: unknown, jobs: readonly FetchedJob[]): Failures {
  const all = (why: unknown) => new Map(jobs.map(({ id }) => [id, why]));
  if (!BatchFailure.is(error)) return all(error);
  const failures: Failures = new Map();
  const entries = readProperty(error, 'failures');
  for (let at = 0; at < lengthOf(entries); at++) {
    const entry = readProperty(entries, at);
    const named = readProperty(readProperty(entry, 'job'), 'id');
    const job = jobs.find(({ id }) => id === named);
    // guards: run-batch.failuresIn
    if (!job) {
      return all(
        new InvalidCommandError(
          `A BatchFailure names job ${named === undefined ? named : quoted(messageOf(named))}, which is not part of its batch, so all jobs of the batch count as failed. Throw a BatchFailure that names only jobs of the batch.`,
        ),
      );
    }
    failures.set(job.id, readProperty(entry, 'error'));
  }
  return failures;
}

/** Settles each job. In strict order all retries of a batch start together, when the longest of their backoffs has passed. */
function settle(
  execution: TypedExecution,
  jobs: readonly FetchedJob[],
  { failures, results, lease }: { failures: Failures; results: ReadonlyMap<string, unknown>; lease: Lease },
): Settlement[] {
  const { type } = execution;
  const delays = new Map(
    jobs.flatMap(job => (failures.has(job.id) ? [[job.id, retryDelayMs(job, failures.get(job.id))]] : [])),
  );
  const longestMs = Math.max(...[...delays.values()].map(ms => ms ?? 0));
  let left = MAX_BATCH_RESULT_BYTES;
  return jobs.map(job => {
    const what = () => jobWord(job, lease.claim.entity);
    if (!failures.has(job.id)) {
      const end = completed(job, { returned: results.get(job.id), what, execution, left });
      // guards: run-batch.settle
      if (end.outcome.kind === 'completed') left -= Buffer.byteLength(end.outcome.value);
      return end;
    }
    const ownMs = delays.get(job.id);
    const delayMs = ownMs !== undefined && type.ordering === 'strict' ? longestMs : ownMs;
    return failed(job, { error: failures.get(job.id), delayMs, what: what(), execution });
  });
}
