/**
 * The result of a job is encoded after the run.
 *
 * Owns: the text that is stored, its bounds, and why a result can't be stored.
 * Neighbours: `run-job.ts` and `run-batch.ts` run handlers; `payload.ts` encodes values.
 */
import { MAX_BATCH_RESULT_BYTES } from '../model/bounds.js';
import { messageOf } from '../model/errors.js';
import type { FetchedJob } from '../model/job.js';
import type { PayloadCodec } from '../payload/codec.js';
import { ignoreRejections } from '../payload/ignored-rejections.js';
import { isLargerThan, storedText } from '../payload/payload.js';
import type { PayloadParts } from './open-payload.js';

/** The stored text of a result. `lost` says why `null` is stored instead of the value that the handler returned. */
export interface ResultText {
  readonly value: string;
  readonly lost?: string;
}

/**
 * Encodes a result by the codec of its job. All readers of the result know that codec from the envelope of the job. This function is
 * the only place that encodes results. It never throws: the handler has done its work, so a result that can't be stored fails no job.
 * @param left number of bytes that the results of the batch may still have.
 */
export function resultAsText(
  result: unknown,
  { envelope }: FetchedJob,
  { codecs, type: { maxResultBytes } }: PayloadParts,
  left = Number.POSITIVE_INFINITY,
): ResultText {
  let value: string;
  try {
    // guards: stored-result.resultAsText
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
      : `the bytes that are left of the ${MAX_BATCH_RESULT_BYTES} for all results of a batch`;
  return { value: 'null', lost: `its result has ${bytes} bytes, more than ${bound}` };
}

/** `undefined` and `null` are stored as `null`, whichever codec the job has. */
function encodeResult(codec: PayloadCodec, result: unknown): string {
  // guards: stored-result.encodeResult
  return result === undefined || result === null ? 'null' : storedText(codec, result);
}
