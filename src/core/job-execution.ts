/**
 * Running one job to its end: finds its handler, runs it, and says how it ended. Never throws.
 */
import { describeThrown } from './answer.js';
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
  /** Of a larger result whoever waits for it is not told. */
  readonly maxResultBytes: number;
  /** Brings the context of the code that enqueued a job. */
  readonly propagation?: Propagation;
}

/** @param lease the one under which the job may start now. */
export async function runJob(execution: JobExecution, job: FetchedJob, lease: Lease): Promise<Settlement> {
  const { handlers, log, currentJob, propagation } = execution;
  const { entity } = lease.claim;
  const what = () => `Job ${job.id} ("${job.name}") of ${entityWord(entity)}`;
  const context = new RunningJob(job, lease, propagation?.valuesOf(job));
  try {
    if (job.mustFail !== undefined) {
      throw job.hasFailedChild ? new ChildFailedError(job.mustFail) : new JobAbandonedError(job.mustFail);
    }
    const run = handlers.find(entity, job.name);
    const handle = propagation ? () => propagation.restore([job], () => run(job, context)) : () => run(job, context);
    const returned = await (currentJob ? runAsCurrent(context, handle) : handle());
    context.hasEnded = true;
    return completed(job, { returned, what, execution });
  } catch (error) {
    context.hasEnded = true;
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
  if (delayMs !== undefined) return { job, outcome: { kind: 'retrying', ...failure, delayMs } };
  const thrown = job.envelope.reply && { thrown: describeThrown(error) };
  return { job, outcome: { kind: 'failed', ...failure, ...thrown } };
}

/** What a handler leads to that has returned: its work is done, and a result that JSON can't carry is no reason to fail the job. */
export function completed(
  job: FetchedJob,
  { returned, what, execution }: { returned: unknown; what: () => string; execution: JobExecution },
): Settlement {
  const result = resultAsJson(returned);
  if ('lost' in result) execution.log.warn(`${what()} completed, but ${result.lost}; null is stored.`);
  const value = 'lost' in result ? 'null' : result.value;
  // Most jobs have nobody who waits: nothing is made for them.
  const withheld = job.envelope.reply && withheldFrom(result, execution.maxResultBytes);
  return { job, outcome: withheld ? { kind: 'completed', value, withheld } : { kind: 'completed', value } };
}

type Result = { readonly value: string } | { readonly lost: string };

function resultAsJson(returned: unknown): Result {
  try {
    return { value: JSON.stringify(returned) ?? 'null' };
  } catch (error) {
    return { lost: `its result can't be stored as JSON (${messageOf(error)})` };
  }
}

/** Why whoever waits is not told the result; undefined where he is. */
function withheldFrom(result: Result, maxBytes: number): string | undefined {
  if ('lost' in result) return `${result.lost}.`;
  const bytes = Buffer.byteLength(result.value);
  if (bytes <= maxBytes) return undefined;
  return `its result has ${bytes} bytes as JSON, more than maxResultBytes (${maxBytes}). Store it, and answer with where it is.`;
}
