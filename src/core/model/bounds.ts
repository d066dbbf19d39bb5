/**
 * How much may travel in one step, in bytes, whatever users enqueue, return or ask for (I11): while a step runs, the store does
 * nothing else, and the leases of all pods wait. A step of Redis costs about 10 ms for each megabyte, and 30 µs for each job.
 * Neighbours: `error-text.ts` has the bounds of what is told of a failure, `store/redis/connection/channel.ts` those of a batch of calls.
 */
import type { NewJob } from './job.js';

/** Payloads that are added in one step: of a bulk of a type with `maxPending`, and of a flow. */
export const MAX_STEP_BYTES = 4 * 1024 * 1024;
/** The largest `maxPayloadBytes` and `maxResultBytes`. */
export const MAX_VALUE_BYTES = 8 * 1024 * 1024;
/** The results of a batch together: its ends are one step. */
export const MAX_BATCH_RESULT_BYTES = 4 * 1024 * 1024;
/** From which size on a fetch brings no further job. */
export const MAX_FETCH_BYTES = 1024 * 1024;

/** What a job on its way in weighs: its payload, and what travels with it. */
export function weightOf({ data, envelope }: NewJob): number {
  return Buffer.byteLength(data) + (envelope === undefined ? 0 : Buffer.byteLength(JSON.stringify(envelope)));
}

/** Values of one payload or result: more do not fit into its bytes. A value in several places counts each time: JSON repeats it. */
export const MAX_VALUES = MAX_VALUE_BYTES / 2;
