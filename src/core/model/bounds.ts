/**
 * The bounds of one step of the store, in bytes, for all payloads and results (I11). While a step runs, the store does nothing else, and
 * the leases of all pods wait. A step of Redis takes about 10 ms per megabyte, and 30 µs per job.
 * Neighbours: `error-text.ts` has the bounds of failure texts, `store/redis/connection/channel.ts` those of a batch of calls.
 */
import type { NewJob } from './job.js';

/** Maximum size of all payloads of one step: a bulk of a type with `maxPending`, or a flow. */
export const MAX_STEP_BYTES = 4 * 1024 * 1024;
/** Maximum of `maxPayloadBytes` and `maxResultBytes`. */
export const MAX_VALUE_BYTES = 8 * 1024 * 1024;
/** Maximum size of all results of a batch, since its ends are one step. */
export const MAX_BATCH_RESULT_BYTES = 4 * 1024 * 1024;
/** Size from which on a fetch brings no further job. */
export const MAX_FETCH_BYTES = 1024 * 1024;

/** Size of a new job: its payload, and its envelope. */
export function weightOf({ data, envelope }: NewJob): number {
  return Buffer.byteLength(data) + (envelope === undefined ? 0 : Buffer.byteLength(JSON.stringify(envelope)));
}

/** Maximum number of values in one payload or result. A value in several places counts each time, since JSON repeats it. */
export const MAX_VALUES = MAX_VALUE_BYTES / 2;
