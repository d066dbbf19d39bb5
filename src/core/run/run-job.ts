/**
 * Runs one job: finds its handler, opens its payload, calls the handler, and says how the attempt ended. The only error that it throws
 * is `NotStarted`.
 *
 * Owns: the order of these steps, the end of an attempt, and the log lines about it.
 * Neighbours: `handler-table.ts` finds handlers, `open-payload.ts` opens payloads, `stored-result.ts` encodes results, and `retry.ts` decides about
 * further attempts. `run-batch.ts` does the same for several jobs.
 */

import type { HandlerTable } from '../handlers/handler-table.js';
import { didYouMean } from '../model/did-you-mean.js';
import { type EntityRef, entityKey } from '../model/entity.js';
import { asLine, isInstance, quoted, shorten } from '../model/error-text.js';
import { failureTextOf } from '../model/failure-text.js';
import type { FetchedJob, Settlement } from '../model/job.js';
import { ChildFailedError, JobAbandonedError } from '../model/job-errors.js';
import { describeThrown } from '../model/reply.js';
import { framesOf } from '../model/stack-frames.js';
import type { EntityTypeConfig } from '../options/config.js';
import type { Propagation } from '../payload/caller-context.js';
import type { Codecs } from '../payload/codec.js';
import type { Log } from '../ports/log.js';
import { failureOf } from './flow-control.js';
import { type Lease, NotStarted } from './lease.js';
import { isSecret, OpenedPayload, openJob } from './open-payload.js';
import { retryDelayMs } from './retry.js';
import { NO_LIMIT, type RunLimit } from './run-limit.js';
import { RunningJob, runAsCurrent } from './running-job.js';
import { resultAsText } from './stored-result.js';

export interface JobExecution {
  readonly handlers: HandlerTable;
  readonly codecs: Codecs;
  readonly log: Log;
  /** Whether code that a handler calls can read the running job. */
  readonly currentJob: boolean;
  /** Restores the context of the code that enqueued a job. */
  readonly propagation?: Propagation | undefined;
  /** Number of stack frames that are logged for a failed attempt. */
  readonly failureStackFrames: number;
}

/** The execution of jobs of one entity type. */
export interface TypedExecution extends JobExecution {
  readonly type: EntityTypeConfig;
}

/** Maximum length, in a message, of a job id or a codec name that was written outside this pod. */
const MAX_WORD = 256;
/** Maximum length of a reason in the log. The first frames of its stack must fit on the same line. */
const MAX_LOGGED_REASON = 1024;

/** The handler or the codec that this pod lacks to run a job, in words. Undefined if it can run the job, or if the job must fail. */
export function missingCapability(
  { handlers, codecs }: JobExecution,
  entity: EntityRef,
  job: FetchedJob,
): string | undefined {
  if (job.mustFail !== undefined) return undefined;
  if (!handlers.knows(entity, job.name)) return `handler on this pod for job ${quoted(job.name)}`;
  // guards: run-job.missingCapability
  const unknown = codecs.unknownOf(job.envelope);
  return unknown === undefined
    ? undefined
    : `codec ${shorten(JSON.stringify(unknown), MAX_WORD)} on this pod for job ${quoted(job.name)}`;
}

/** Advice about a missing handler or codec, as sentences with a space before each. */
export function remedyFor({ handlers }: JobExecution, entity: EntityRef, { name }: FetchedJob): string {
  if (handlers.knows(entity, name)) return ' Add the codec to readCodecs.';
  return `${didYouMean(name, handlers.namesOf(entity.type))} Add a handler of that name to the providers, or correct the name where the job is enqueued.`;
}

/** Names a job in a message. */
export function jobWord({ id, name }: FetchedJob, entity: EntityRef): string {
  return `Job ${asLine(id, MAX_WORD)} (${quoted(name)}) of ${entityKey(entity)}`;
}

/**
 * Runs a job and returns how it ended.
 * @param lease a lease that was valid just now (I2).
 * @param limit the time limit of the handler.
 * @throws NotStarted if handlers were told to stop before this one had started.
 */
export async function runJob(
  execution: TypedExecution,
  job: FetchedJob,
  lease: Lease,
  limit: RunLimit = NO_LIMIT,
): Promise<Settlement> {
  const { handlers, codecs, currentJob, propagation } = execution;
  const what = () => jobWord(job, lease.claim.entity);
  let context: RunningJob | undefined;
  try {
    if (job.mustFail !== undefined) {
      throw job.hasFailedChild ? new ChildFailedError(job.mustFail) : new JobAbandonedError(job.mustFail);
    }
    const { runner, validator } = handlers.find(lease.claim.entity, job.name);
    const opening = openJob(execution, job, validator);
    const opened = opening instanceof Promise ? await limit.within(() => opening) : opening;
    if (opening instanceof Promise) await lease.untilValid();
    const payload = new OpenedPayload(execution, opened);
    const running = new RunningJob(job, lease, { payload, codecs, contextValues: propagation?.valuesOf(job) });
    context = running;
    const handle = propagation
      ? () => propagation.restore([job], () => runner(opened, running))
      : () => runner(opened, running);
    const returned = await limit.within(
      () => (currentJob ? runAsCurrent(running, handle) : handle()),
      reason => running.abort(reason),
    );
    return completed(job, { returned, what, execution });
  } catch (thrown) {
    if (isInstance(thrown, NotStarted)) throw thrown;
    // guards: run-job.runJob
    const error = failureOf(thrown);
    return failed(job, { error, delayMs: retryDelayMs(job, error), what: what(), execution });
  } finally {
    context?.end();
  }
}

/**
 * The end of an attempt that failed.
 * @param delayMs time until the next attempt; undefined after the last one.
 */
export function failed(
  job: FetchedJob,
  {
    error,
    delayMs,
    what,
    execution,
  }: { error: unknown; delayMs: number | undefined; what: string; execution: TypedExecution },
): Settlement {
  const failure = failureTextOf(error);
  const again =
    delayMs === undefined
      ? ''
      : ` (attempt ${job.attemptsMade + 1} of ${job.options['attempts']}; retry in ${delayMs} ms)`;
  const frames = framesOf(failure, execution.failureStackFrames);
  // guards: run-job.failed
  execution.log.warn(`${what} failed${again}: ${asLine(failure.reason, MAX_LOGGED_REASON)}${frames}`);
  if (delayMs !== undefined) return { job, outcome: { kind: 'retrying', ...failure, delayMs } };
  const before = job.mustFail === undefined ? undefined : job.thrown;
  const thrown = job.envelope.reply && { thrown: before ?? describeThrown(error, isSecret(execution, job)) };
  return { job, outcome: { kind: 'failed', ...failure, ...thrown } };
}

/** The end of an attempt whose handler returned. The work is done, so a result that can't be stored does not fail the job. */
export function completed(
  job: FetchedJob,
  {
    returned,
    what,
    execution,
    left,
  }: {
    returned: unknown;
    what: () => string;
    execution: TypedExecution;
    /** Number of bytes that the results of the batch may still have. */
    left?: number;
  },
): Settlement {
  const { value, lost } = resultAsText(returned, job, execution, left);
  if (lost === undefined) return { job, outcome: { kind: 'completed', value } };
  execution.log.warn(
    `${what()} completed, but ${lost}, so null is stored as its result. Return a value that can be stored, such as an id.`,
  );
  // A caller that waits must not take that null for the result.
  const withheld = `${lost}, so null is stored instead. Return a value that can be stored, such as an id.`;
  // guards: run-job.completed
  return { job, outcome: { kind: 'completed', value, withheld } };
}
