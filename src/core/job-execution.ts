/**
 * Running one job to its end: finds its handler, runs it, and says how it ended. Never throws.
 */
import type { Propagation } from './context.js';
import { RunningJob, runAsCurrent } from './current-job.js';
import type { HandlerTable } from './dispatch.js';
import { entityWord } from './entity.js';
import { ChildFailedError, JobAbandonedError, messageOf, stackOf } from './errors.js';
import type { Lease } from './lease.js';
import type { FetchedJob, Log, Settlement } from './ports.js';
import { retryDelayMs } from './retry.js';

export interface JobExecution {
  readonly handlers: HandlerTable;
  readonly log: Log;
  /** Whether code below a handler can ask for its job. */
  readonly currentJob: boolean;
  /** Brings the context of the code that enqueued a job. */
  readonly propagation?: Propagation;
}

/** @param lease the one under which the job may start now. */
export async function runJob(
  { handlers, log, currentJob, propagation }: JobExecution,
  job: FetchedJob,
  lease: Lease,
): Promise<Settlement> {
  const { entity } = lease.claim;
  const what = () => `Job ${job.id} ("${job.name}") of ${entityWord(entity)}`;
  try {
    if (job.mustFail !== undefined) {
      throw job.hasFailedChild ? new ChildFailedError(job.mustFail) : new JobAbandonedError(job.mustFail);
    }
    const run = handlers.find(entity, job.name);
    const context = new RunningJob(job, lease, propagation?.valuesOf(job));
    const handle = propagation ? () => propagation.restore([job], () => run(job, context)) : () => run(job, context);
    const result = await (currentJob ? runAsCurrent(context, handle) : handle());
    return { job, outcome: { kind: 'completed', value: resultAsJson(result, what, log) } };
  } catch (error) {
    return failed(job, { error, delayMs: retryDelayMs(job, error), what: what(), log });
  }
}

/** What a try that failed leads to. Without `delayMs` it was the last one. */
export function failed(
  job: FetchedJob,
  { error, delayMs, what, log }: { error: unknown; delayMs: number | undefined; what: string; log: Log },
): Settlement {
  const reason = messageOf(error);
  const again =
    delayMs === undefined ? '' : ` (try ${job.attemptsMade + 1} of ${job.options['attempts']}; again in ${delayMs} ms)`;
  log.warn(`${what} failed${again}: ${reason}`);
  const failure = { reason, stack: stackOf(error) };
  return {
    job,
    outcome: delayMs === undefined ? { kind: 'failed', ...failure } : { kind: 'retrying', ...failure, delayMs },
  };
}

/** The handler has done its work: a result that JSON can't carry is no reason to fail the job. */
export function resultAsJson(result: unknown, what: () => string, log: Log): string {
  try {
    return JSON.stringify(result) ?? 'null';
  } catch (error) {
    log.warn(`${what()} completed, but its result can't be stored as JSON (${messageOf(error)}); null is stored.`);
    return 'null';
  }
}
