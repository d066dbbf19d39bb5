/**
 * The payload and the result of a job, for its handler: read and checked before the run, written after it.
 *
 * Neighbours: `payload.ts` turns values into text and back, `validation.ts` has the verdict on them; `run-job.ts` and
 * `run-batch.ts` run handlers.
 */

import { type Validator, validBeforeRun } from '../handlers/validation.js';
import { MAX_BATCH_RESULT_BYTES } from '../model/bounds.js';
import { messageOf } from '../model/errors.js';
import type { FetchedJob, HandlerPayload } from '../model/job.js';
import { PayloadUnreadableError } from '../model/payload-errors.js';
import type { EntityTypeConfig } from '../options/config.js';
import type { Codecs, PayloadCodec } from '../payload/codec.js';
import { ignoreRejections } from '../payload/ignored-rejections.js';
import { checkSize, decodePayload, encodePayload, isLargerThan, storedText } from '../payload/payload.js';

/** What reading and writing needs, for jobs of one entity type. */
export interface PayloadParts {
  readonly codecs: Codecs;
  readonly type: EntityTypeConfig;
}

/**
 * A job with its data as the handler is to see it: at once, unless a validator takes its time. One that is plain JSON, and whose
 * handler wants nothing of it, is the job itself.
 * @throws PayloadUnreadableError, ValidationError: it fails without further tries, which would find the same.
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

/** A codec that is secret writes no null, which would be read without it. */
function checkRequired({ codecs, type }: PayloadParts, { envelope, data }: FetchedJob): void {
  codecs.checkRequired(type.type, envelope, 'the payload');
  // guards: open-payload.checkRequired
  if (data === null && codecs.of(envelope).isSecret) {
    throw new PayloadUnreadableError('The payload is null, which no codec has written; it is not read.');
  }
}

async function validJob(parts: PayloadParts, job: FetchedJob, validator: Validator): Promise<FetchedJob> {
  const culprit = `Job "${job.name}"`;
  const data = await validBeforeRun(job.data, { validator, culprit, isSecret: isSecret(parts, job) });
  return { ...job, data };
}

/** Whether nothing of the payload of a job may be told. */
export function isSecret({ codecs, type }: PayloadParts, { envelope }: FetchedJob): boolean {
  return type.codec.isSecret || !codecs.knows(envelope) || codecs.of(envelope).isSecret || false;
}

/** What a handler writes to its job is encoded as what it has read. */
export class OpenedPayload implements HandlerPayload {
  /** @param job what {@link openJob} has made of it. */
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

/** What is stored of a result; `lost` says why that is null, and not what the handler has returned. */
export interface ResultText {
  readonly value: string;
  readonly lost?: string;
}

/**
 * The one place where a result becomes text: by the codec of its job, which whoever reads it knows from the same envelope.
 * The handler has done its work: a result that can't be stored is no reason to fail the job.
 * @param left how many bytes the results of its batch may still have.
 */
export function resultAsText(
  result: unknown,
  { envelope }: FetchedJob,
  { codecs, type: { maxResultBytes } }: PayloadParts,
  left = Number.POSITIVE_INFINITY,
): ResultText {
  let value: string;
  try {
    // guards: open-payload.resultAsText
    value = encodeResult(codecs.of(envelope), result);
  } catch (error) {
    return { value: 'null', lost: `its result can't be stored (${messageOf(error)})` };
  }
  if (!isLargerThan(value, Math.min(maxResultBytes, left))) return { value };
  ignoreRejections(result);
  const bytes = Buffer.byteLength(value);
  const bound =
    bytes > maxResultBytes
      ? `maxResultBytes (${maxResultBytes})`
      : `what is left of the ${MAX_BATCH_RESULT_BYTES} that all results of a batch may have together`;
  return { value: 'null', lost: `its result has ${bytes} bytes, more than ${bound}` };
}

/** Nothing is null under every codec. */
function encodeResult(codec: PayloadCodec, result: unknown): string {
  // guards: open-payload.encodeResult
  return result === undefined || result === null ? 'null' : storedText(codec, result);
}
