/**
 * The payload of a job is decoded and validated before the run.
 *
 * Owns: the checks of payloads that only the pod with the handler can make.
 * Neighbours: `payload.ts` encodes and decodes values, and `validation.ts` calls validators. `run-job.ts` and `run-batch.ts` run
 * handlers; `stored-result.ts` encodes their results.
 */

import { type Validator, validBeforeRun } from '../handlers/validation.js';
import type { FetchedJob, HandlerPayload } from '../model/job.js';
import { PayloadUnreadableError } from '../model/payload-errors.js';
import type { EntityTypeConfig } from '../options/config.js';
import type { Codecs } from '../payload/codec.js';
import { checkSize, decodePayload, encodePayload } from '../payload/payload.js';

/** What it takes to read payloads and to write results of one entity type. */
export interface PayloadParts {
  readonly codecs: Codecs;
  readonly type: EntityTypeConfig;
}

/**
 * Decodes and validates the payload of a job. Returns a promise only if the handler has a validator. A job whose payload is plain JSON
 * and has no validator is returned as it is.
 * @throws PayloadUnreadableError, ValidationError: the job fails without further attempts, since each would fail in the same way.
 */
export function openJob(
  parts: PayloadParts,
  job: FetchedJob,
  validator: Validator | undefined,
): FetchedJob | Promise<FetchedJob> {
  // guards: open-payload.openJob
  if (parts.type.requireCodec) checkRequired(parts, job);
  else if (job.envelope.codec === undefined && !validator) return job;
  const data = decodePayload(parts.codecs, job.envelope, job.data);
  return validator ? validJob(parts, { ...job, data }, validator) : { ...job, data };
}

/** A secret codec never writes `null`. Accepting it would let a job in that the codec has not written. */
function checkRequired({ codecs, type }: PayloadParts, { envelope, data }: FetchedJob): void {
  codecs.checkRequired(type.type, envelope, 'the payload');
  // guards: open-payload.checkRequired
  if (data === null && codecs.of(envelope).isSecret) {
    throw new PayloadUnreadableError(
      'The payload is null, and the required codec never writes null. The job was not added by a caller with that codec, so it fails and its handler does not run.',
    );
  }
}

async function validJob(parts: PayloadParts, job: FetchedJob, validator: Validator): Promise<FetchedJob> {
  const culprit = `Job "${job.name}"`;
  const data = await validBeforeRun(job.data, { validator, culprit, isSecret: isSecret(parts, job) });
  return { ...job, data };
}

/** Whether error messages and logs must not quote the payload of a job. */
export function isSecret({ codecs, type }: PayloadParts, { envelope }: FetchedJob): boolean {
  return type.codec.isSecret || !codecs.knows(envelope) || codecs.of(envelope).isSecret || false;
}

/** The payload as the handler reads and rewrites it. A rewrite uses the codec that the job was written with. */
export class OpenedPayload implements HandlerPayload {
  /** @param job the job that {@link openJob} has returned. */
  constructor(
    private readonly parts: PayloadParts,
    private readonly job: FetchedJob,
  ) {}

  get data(): unknown {
    return this.job.data;
  }

  encode(data: unknown): string {
    const culprit = `Job "${this.job.name}"`;
    const { codecs, type } = this.parts;
    const text = encodePayload(codecs.of(this.job.envelope), data, culprit);
    checkSize(text, { sizeLimit: this.job.options['sizeLimit'], maxPayloadBytes: type.maxPayloadBytes }, culprit);
    return text;
  }
}
