/**
 * Running a batch to its end: one call of its handler, and an end for each of its jobs. Throws nothing but NotStarted.
 * A job whose payload can't be read, or is invalid, fails by itself; the handler gets the others.
 * Neighbour: `run-job.ts` does the same for one job.
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

/** By the ids of jobs. */
type Failures = Map<string, unknown>;

/**
 * @param lease the one under which the batch may start now.
 * @param limit how long its handler may run.
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
  // All end together: whoever waits for one that the handler does not get waits for it, too.
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

/** Those that the handler is to get, in their order; why the others are not among them is put down. */
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

/** The job as its handler is to see it, also in the store's own form. */
function handed(execution: TypedExecution, job: FetchedJob, opened: FetchedJob): FetchedJob {
  const payload = new OpenedPayload(execution, opened);
  return { ...opened, native: () => job.native(payload) };
}

function run({ currentJob, propagation }: TypedExecution, { jobs, handling }: Batch, context: RunningEntity): unknown {
  const handle = () => handling.run(jobs, context);
  const inContext = propagation ? () => propagation.restore(jobs, handle) : handle;
  return currentJob ? runAsCurrent(context, inContext) : inContext();
}

/** Each job has its own result, or none has one. */
function resultsOf(
  { log }: TypedExecution,
  jobs: readonly FetchedJob[],
  result: unknown,
  { claim }: Lease,
): readonly unknown[] {
  if (isArray(result) && lengthOf(result) === jobs.length) return jobs.map((_, at) => readProperty(result, at));
  if (result !== undefined) {
    log.warn(
      `A batch of ${jobs.length} jobs ${quoted(jobs[0]?.name ?? '')} of ${entityKey(claim.entity)} completed, but its handler returned something else than nothing, or an array with a result for each; null is stored.`,
    );
    ignoreRejections(result);
  }
  return [];
}

/** Those that have failed, and why. What can't be told apart has failed as a whole: nothing counts as done that may not be. */
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
          `A BatchFailure names job ${named === undefined ? named : quoted(messageOf(named))}, which is not one of its batch; so all of them count as failed.`,
        ),
      );
    }
    failures.set(job.id, readProperty(entry, 'error'));
  }
  return failures;
}

/** How each has ended. In strict order those that are tried again are so together, when all their backoffs are over. */
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
