/**
 * Running one job to its end: finds its handler, reads and checks its payload, runs it, and says how it ended. Never throws.
 */
import { type Codecs, jsonCodec, type PayloadCodec } from './codec.js';
import { RunningJob, runAsCurrent } from './current-job.js';
import type { HandlerTable } from './dispatch.js';
import { type EntityRef, entityWord } from './entity.js';
import { JobAbandonedError, messageOf, stackOf } from './errors.js';
import type { Lease } from './lease.js';
import type { EntityTypeConfig } from './options.js';
import { checkSize, decodePayload, encodePayload, isLargerThan } from './payload.js';
import type { FetchedJob, HandlerPayload, Log, Settlement } from './ports.js';
import { retryDelayMs } from './retry.js';
import { type Validator, validBeforeRun } from './validation.js';

export interface JobExecution {
  readonly handlers: HandlerTable;
  readonly codecs: Codecs;
  readonly log: Log;
  /** Whether code below a handler can ask for its job. */
  readonly currentJob: boolean;
}

/** For jobs of one entity type. */
export interface TypedExecution extends JobExecution {
  readonly type: EntityTypeConfig;
}

/** What this pod lacks to run a job, in words; nothing if it can, or if the job is to fail anyhow. */
export function lackFor({ handlers, codecs }: JobExecution, entity: EntityRef, job: FetchedJob): string | undefined {
  if (job.mustFail !== undefined) return undefined;
  if (!handlers.knows(entity, job.name)) return `handler on this pod for job "${job.name}"`;
  if (!codecs.knows(job.envelope))
    return `codec ${JSON.stringify(job.envelope.codec)} on this pod for job "${job.name}"`;
  return undefined;
}

/** @param lease the one under which the job may start now. */
export async function runJob(execution: TypedExecution, job: FetchedJob, lease: Lease): Promise<Settlement> {
  const { handlers, log, currentJob } = execution;
  const what = () => `Job ${job.id} ("${job.name}") of ${entityWord(lease.claim.entity)}`;
  try {
    if (job.mustFail !== undefined) throw new JobAbandonedError(job.mustFail);
    const run = handlers.find(lease.claim.entity, job.name);
    const validator = handlers.validatorOf(run);
    const isAsStored = job.envelope.codec === undefined && validator === undefined;
    const opened = isAsStored ? job : await open(execution, job, validator);
    const context = new RunningJob(job, lease, new OpenedPayload(execution, opened));
    const result = await (currentJob ? runAsCurrent(context, () => run(opened, context)) : run(opened, context));
    return { job, outcome: { kind: 'completed', value: resultAsText(result, execution, { job, what }) } };
  } catch (error) {
    const reason = messageOf(error);
    const delayMs = retryDelayMs(job, error);
    const again =
      delayMs === undefined
        ? ''
        : ` (try ${job.attemptsMade + 1} of ${job.options['attempts']}; again in ${delayMs} ms)`;
    log.warn(`${what()} failed${again}: ${reason}`);
    const failure = { reason, stack: stackOf(error) };
    return {
      job,
      outcome: delayMs === undefined ? { kind: 'failed', ...failure } : { kind: 'retrying', ...failure, delayMs },
    };
  }
}

/** @throws PayloadUnreadableError, ValidationError: it fails without further tries, which would find the same. */
async function open({ codecs, type }: TypedExecution, job: FetchedJob, validator?: Validator): Promise<FetchedJob> {
  const data = decodePayload(codecs, job.envelope, job.data);
  if (!validator) return { ...job, data };
  const isSecret = (codecs.of(job.envelope).isSecret || type.codec.isSecret) ?? false;
  const valid = await validBeforeRun(data, { validator, culprit: `Job "${job.name}"`, isSecret });
  return { ...job, data: valid };
}

/** What a handler writes to its job is encoded as what it has read. */
class OpenedPayload implements HandlerPayload {
  constructor(
    private readonly execution: TypedExecution,
    private readonly job: FetchedJob,
  ) {}

  get data(): unknown {
    return this.job.data;
  }

  encode(data: unknown): string {
    const culprit = `Job "${this.job.name}"`;
    const { codecs, type } = this.execution;
    const text = encodePayload(codecs.of(this.job.envelope), data, culprit);
    checkSize(text, { sizeLimit: this.job.options['sizeLimit'], maxPayloadBytes: type.maxPayloadBytes }, culprit);
    return text;
  }
}

/**
 * The one place where a result becomes text: by the codec of its job, which whoever reads it knows from the same envelope.
 * The handler has done its work: a result that can't be stored is no reason to fail the job.
 */
function resultAsText(
  result: unknown,
  { codecs, type: { maxResultBytes }, log }: TypedExecution,
  { job, what }: { readonly job: FetchedJob; readonly what: () => string },
): string {
  let text: string;
  try {
    text = encodeResult(codecs.of(job.envelope), result);
  } catch (error) {
    log.warn(`${what()} completed, but its result can't be stored (${messageOf(error)}); null is stored.`);
    return 'null';
  }
  if (!isLargerThan(text, maxResultBytes)) return text;
  log.warn(
    `${what()} completed, but its result has ${Buffer.byteLength(text)} bytes, more than maxResultBytes, ${maxResultBytes}; null is stored.`,
  );
  return 'null';
}

function encodeResult(codec: PayloadCodec, result: unknown): string {
  if (codec === jsonCodec) return JSON.stringify(result) ?? 'null';
  return result === undefined ? 'null' : encodePayload(codec, result, 'Its result');
}
