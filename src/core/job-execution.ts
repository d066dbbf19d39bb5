/**
 * Running one job to its end: finds its handler, has its payload opened, runs it, and says how it ended. Never throws.
 * Neighbours: `job-payload.ts` opens payloads and writes results; `batch-execution.ts` does the same for several jobs.
 */
import type { Codecs } from './codec.js';
import type { Propagation } from './context.js';
import { RunningJob, runAsCurrent } from './current-job.js';
import type { HandlerTable } from './dispatch.js';
import { type EntityRef, entityWord } from './entity.js';
import { ChildFailedError, JobAbandonedError, messageOf, stackOf } from './errors.js';
import { OpenedPayload, openJob, resultAsText } from './job-payload.js';
import type { Lease } from './lease.js';
import type { EntityTypeConfig } from './options.js';
import type { FetchedJob, Log, Settlement } from './ports.js';
import { retryDelayMs } from './retry.js';

export interface JobExecution {
  readonly handlers: HandlerTable;
  readonly codecs: Codecs;
  readonly log: Log;
  /** Whether code below a handler can ask for its job. */
  readonly currentJob: boolean;
  /** Brings the context of the code that enqueued a job. */
  readonly propagation?: Propagation | undefined;
}

/** For jobs of one entity type. */
export interface TypedExecution extends JobExecution {
  readonly type: EntityTypeConfig;
}

/** What this pod lacks to run a job, in words; nothing if it can, or if the job is to fail anyhow. */
export function lackFor({ handlers, codecs }: JobExecution, entity: EntityRef, job: FetchedJob): string | undefined {
  if (job.mustFail !== undefined) return undefined;
  if (!handlers.knows(entity, job.name)) return `handler on this pod for job "${job.name}"`;
  const unknown = codecs.unknownOf(job.envelope);
  return unknown === undefined ? undefined : `codec ${JSON.stringify(unknown)} on this pod for job "${job.name}"`;
}

/** @param lease the one under which the job may start now. */
export async function runJob(execution: TypedExecution, job: FetchedJob, lease: Lease): Promise<Settlement> {
  const { handlers, codecs, log, currentJob, propagation } = execution;
  const what = () => `Job ${job.id} ("${job.name}") of ${entityWord(lease.claim.entity)}`;
  try {
    if (job.mustFail !== undefined) {
      throw job.hasFailedChild ? new ChildFailedError(job.mustFail) : new JobAbandonedError(job.mustFail);
    }
    const run = handlers.find(lease.claim.entity, job.name);
    const opening = openJob(execution, job, handlers.validatorOf(run));
    const opened = opening instanceof Promise ? await opening : opening;
    const payload = new OpenedPayload(execution, opened);
    const context = new RunningJob(job, lease, { payload, codecs, contextValues: propagation?.valuesOf(job) });
    const handle = propagation
      ? () => propagation.restore([job], () => run(opened, context))
      : () => run(opened, context);
    const result = await (currentJob ? runAsCurrent(context, handle) : handle());
    return { job, outcome: { kind: 'completed', value: resultAsText(result, execution, { job, what }) } };
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
