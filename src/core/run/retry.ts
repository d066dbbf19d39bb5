/**
 * Decides whether and when a failed job has another attempt. The rules are BullMQ's: `attempts`, `backoff` and unrecoverable errors.
 *
 * Owns: the backoff of an attempt, and the list of this library's errors that are final.
 * Neighbours: `run-job.ts` and `run-batch.ts` ask it after each failure. `options/job-options.ts` checks the options when a job is
 * enqueued.
 */
import { codeOf, isInstance, isKindOf, readProperty } from '../model/error-text.js';
import { AtomicQueuesError } from '../model/errors.js';
import { type FetchedJob, type JobOptions } from '../model/job.js';
import { MAX_TIMER_MS } from '../ports/clock.js';

/** Maximum number of stacks of failed attempts that a job keeps, unless its option `stackTraceLimit` says otherwise. */
export const MAX_STACKS = 10;

interface Backoff {
  readonly type: 'fixed' | 'exponential';
  readonly delay?: number;
  readonly jitter?: number;
}

/** Time in ms until the next attempt of a job that failed with `error`: at most 24 days. Undefined if there is no further attempt. */
export function retryDelayMs(
  { attemptsMade, options }: FetchedJob,
  error: unknown,
  random: () => number = Math.random,
): number | undefined {
  if (isUnrecoverable(error) || attemptsMade + 1 >= Number(options['attempts'] ?? 1)) return undefined;
  const { type, delay = 0, jitter = 0 } = backoffOf(options);
  const longest = type === 'exponential' ? delay * 2 ** attemptsMade : delay;
  const ms = Math.round(longest * (1 - jitter * random()));
  // No code has checked the options of jobs that were added outside this library. A backoff that is no number counts as 0.
  return Number.isNaN(ms) ? 0 : Math.min(MAX_TIMER_MS, Math.max(0, ms));
}

function backoffOf({ backoff }: JobOptions): Backoff {
  if (typeof backoff === 'object' && backoff !== null) return backoff as Backoff;
  return { type: 'fixed', delay: Number(backoff ?? 0) };
}

/** Codes of this library's errors that another attempt would only repeat. */
const FINAL: readonly unknown[] = [
  'CHILD_FAILED',
  'JOB_ABANDONED',
  'HANDLER_NOT_FOUND',
  // guards: retry.FINAL
  'JOB_REFUSED',
  'PAYLOAD_UNREADABLE',
];

/** Compares names of classes: the process may have loaded this library or BullMQ twice, and errors may come from another realm. */
function isUnrecoverable(error: unknown): boolean {
  // guards: retry.isUnrecoverable
  if (isKindOf(error, 'UnrecoverableError')) return true;
  if (!isInstance(error, AtomicQueuesError) && !isKindOf(error, 'AtomicQueuesError')) return false;
  const code = codeOf(error);
  // The same code says that a handler has tried to enqueue an invalid payload. Such an error may be retried.
  return FINAL.includes(code) || (code === 'VALIDATION_FAILED' && readProperty(error, 'stage') === 'run');
}
