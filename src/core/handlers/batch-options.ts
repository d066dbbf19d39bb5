/**
 * The options of batches, and how the jobs of a batch are run.
 * Neighbours: `batch-collector.ts` decides when one starts; `run-batch.ts` runs it.
 */
import { InvalidOptionError } from '../model/errors.js';
import { type EntityContext, type FetchedJob } from '../model/job.js';
import { checkKnown, MAX_AT_ONCE } from '../options/checks.js';
import { MAX_TIMER_MS } from '../ports/clock.js';
import type { SchemaOptions } from './validation.js';

/** Options of `@BatchHandler`. */
export interface BatchOptions extends SchemaOptions {
  /**
   * Maximum number of jobs in one batch, from 1. At most the `prefetch` of its entity type, and 256 over all handlers of an entity at
   * once.
   * @default required
   */
  max: number;
  /**
   * Maximum time that a batch with fewer than `max` jobs waits for more jobs of its name, in ms, counted from the moment at which its
   * first job could have started. It starts at once if the next job has another name. 0: it never waits.
   * @default 0
   */
  maxWaitMs?: number;
}

export interface BatchLimits {
  readonly max: number;
  readonly maxWaitMs: number;
}

/** How the jobs of a name are run together. */
export interface BatchHandling extends BatchLimits {
  /** @param jobs with their data, also that of their native form, as it was given. */
  run(jobs: readonly FetchedJob[], context: EntityContext): unknown;
}

/** @throws InvalidOptionError for an unknown option or a value out of range. */
export function checkBatchOptions(path: string, options: BatchOptions): BatchLimits {
  if (typeof options !== 'object' || options === null) {
    throw new InvalidOptionError(`${path} needs its options: { max, maxWaitMs? }.`);
  }
  checkKnown(path, options, ['max', 'maxWaitMs', 'schema']);
  const { max, maxWaitMs = 0 } = options;
  if (!Number.isInteger(max) || max < 1 || max > MAX_AT_ONCE) {
    throw new InvalidOptionError(`${path}: max must be a whole number from 1 to ${MAX_AT_ONCE}.`);
  }
  if (!Number.isInteger(maxWaitMs) || maxWaitMs < 0 || maxWaitMs > MAX_TIMER_MS) {
    throw new InvalidOptionError(
      `${path}: maxWaitMs must be a whole number of milliseconds from 0 to ${MAX_TIMER_MS}.`,
    );
  }
  return { max, maxWaitMs };
}
