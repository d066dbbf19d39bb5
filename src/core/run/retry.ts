/**
 * Whether a job that has failed is tried again, and when. BullMQ's rules: `attempts`, `backoff`, and errors that are marked
 * as unrecoverable.
 */
import { codeOf, isInstance, isKindOf, readProperty } from '../model/error-text.js';
import { AtomicQueuesError } from '../model/errors.js';
import { type FetchedJob, type JobOptions } from '../model/job.js';
import { MAX_TIMER_MS } from '../ports/clock.js';

/** Stacks of its tries that a job keeps where nothing else is said. */
export const MAX_STACKS = 10;

interface Backoff {
  readonly type: 'fixed' | 'exponential';
  readonly delay?: number;
  readonly jitter?: number;
}

/** In how many ms a job is to be tried again that has failed with `error`, 24 days at most; undefined when it has failed for good. */
export function retryDelayMs(
  { attemptsMade, options }: FetchedJob,
  error: unknown,
  random: () => number = Math.random,
): number | undefined {
  if (isUnrecoverable(error) || attemptsMade + 1 >= Number(options['attempts'] ?? 1)) return undefined;
  const { type, delay = 0, jitter = 0 } = backoffOf(options);
  const longest = type === 'exponential' ? delay * 2 ** attemptsMade : delay;
  const ms = Math.round(longest * (1 - jitter * random()));
  // Options of a job that came past this library are nobody's: what is no time is none.
  return Number.isNaN(ms) ? 0 : Math.min(MAX_TIMER_MS, Math.max(0, ms));
}

function backoffOf({ backoff }: JobOptions): Backoff {
  if (typeof backoff === 'object' && backoff !== null) return backoff as Backoff;
  return { type: 'fixed', delay: Number(backoff ?? 0) };
}

/** The codes of errors of this library that another try would only repeat. */
const FINAL: readonly unknown[] = [
  'CHILD_FAILED',
  'JOB_ABANDONED',
  'HANDLER_NOT_FOUND',
  // guards: retry.FINAL
  'JOB_REFUSED',
  'PAYLOAD_UNREADABLE',
];

/** By the names of classes: this library and BullMQ may be there twice, and what a handler throws may come from another realm. */
function isUnrecoverable(error: unknown): boolean {
  // guards: retry.isUnrecoverable
  if (isKindOf(error, 'UnrecoverableError')) return true;
  if (!isInstance(error, AtomicQueuesError) && !isKindOf(error, 'AtomicQueuesError')) return false;
  const code = codeOf(error);
  // What a handler enqueues may be invalid, too: that is its own matter.
  return FINAL.includes(code) || (code === 'VALIDATION_FAILED' && readProperty(error, 'stage') === 'run');
}
