/** Checks the options of a job before anything is sent. Neighbours: `merged-job-options.ts` merges them; `payload.ts` checks the payload. */
import { didYouMean } from '../model/did-you-mean.js';
import { entityKey, MAX_ID_LENGTH } from '../model/entity.js';
import { quoted } from '../model/error-text.js';
import { InvalidOptionError, UnsupportedError } from '../model/errors.js';
import type { JobOptions, NewJob } from '../model/job.js';
import { MAX_TIMER_MS } from '../ports/clock.js';

/** Job options of BullMQ that this library honours. */
const HONOURED = new Set([
  'jobId',
  'delay',
  'timestamp',
  'removeOnComplete',
  'removeOnFail',
  'stackTraceLimit',
  'keepLogs',
  'sizeLimit',
  'deduplication',
  'telemetry',
  'attempts',
  'backoff',
  'priority',
  'lifo',
]);

/** Names for the hint about a misspelled option. {@link withIdempotency} has converted these options before the check. */
const OF_IDEMPOTENCY = ['idempotencyKey', 'idempotencyTtlMs'];

/** Options that give up the order of an entity's jobs. */
const REORDERING = ['priority', 'lifo'];

const ON_FAILURE = 'use onFailure of a child in QueueBus.enqueueFlow()';

/** Options of BullMQ that are refused here, and their alternatives. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  repeat: 'use QueueBus.schedule()',
  parent: 'use QueueBus.enqueueFlow()',
  failParentOnFailure: ON_FAILURE,
  ignoreDependencyOnFailure: ON_FAILURE,
  removeDependencyOnFailure: ON_FAILURE,
  continueParentOnFailure: ON_FAILURE,
};

const DAY_MS = 24 * 3600 * 1000;

/**
 * Converts `idempotencyKey` to BullMQ's terms: a deduplication that outlives the job.
 * @throws InvalidOptionError
 */
export function withIdempotency(options: JobOptions, culprit: string): JobOptions {
  const { idempotencyKey: id, idempotencyTtlMs: ttl, ...others } = options;
  if (id === undefined && ttl === undefined) return options;
  if (typeof id !== 'string' || id === '') {
    throw new InvalidOptionError(`${culprit} has an idempotencyKey that is no string or empty. Nothing was enqueued.`);
  }
  if (ttl !== undefined && !isLifetime(ttl)) {
    throw new InvalidOptionError(
      `${culprit} has an idempotencyTtlMs that is no whole number of milliseconds from 1 to ${MAX_LIFETIME_MS}. Nothing was enqueued.`,
    );
  }
  if (others['deduplication'] !== undefined) {
    throw new InvalidOptionError(
      `${culprit} has an idempotencyKey and a deduplication. Nothing was enqueued. Pass one of them.`,
    );
  }
  return { ...others, deduplication: { id, ttl: ttl ?? DAY_MS } };
}

/** As in BullMQ, a delay below 0 is none, as of `delay: at - Date.now()` for a past time. */
export function dueNow(options: JobOptions): JobOptions {
  const { delay } = options;
  return typeof delay === 'number' && delay < 0 && Number.isFinite(delay) ? { ...options, delay: 0 } : options;
}

/** Options of one job only: a second job of the entity with the same value is a duplicate and is not added. */
const OF_ONE_JOB = ['jobId', 'deduplication'];

/**
 * Checks the default job options of a type.
 * @throws InvalidOptionError for options that would make each job of an entity a duplicate of its first one.
 */
export function checkDefaultJobOptions(options: JobOptions, culprit: string): void {
  checkJobOptions(options, culprit);
  const name = OF_ONE_JOB.find(option => options[option] !== undefined);
  // guards: job-options.checkJobOptions
  if (name === undefined) return;
  throw new InvalidOptionError(
    `${culprit} has the job option "${name}", which belongs to one job: all other jobs would be dropped as duplicates. Pass it with the enqueue.`,
  );
}

/**
 * Refuses a bulk in which a job would be dropped as the duplicate of another one.
 * @throws InvalidOptionError
 */
export function duplicateCheck(): (job: NewJob) => NewJob {
  const seen = new Set<string>();
  return job => {
    const { entity, name, options } = job;
    for (const option of OF_ONE_JOB) {
      if (options[option] === undefined) continue;
      // guards: job-options.duplicateCheck
      const key = JSON.stringify([option, entity.type, entity.id, idOf(options[option])]);
      if (seen.has(key)) {
        throw new InvalidOptionError(
          `Job "${name}" of ${entityKey(entity)} has the ${option === 'jobId' ? 'jobId' : 'deduplication or idempotencyKey'} of another job of its bulk, and would be dropped as its duplicate. Nothing was enqueued. Give each command its own: enqueueBulk(commands, command => options).`,
        );
      }
      seen.add(key);
    }
    return job;
  };
}

/** The id of a `jobId` or a `deduplication`. */
function idOf(option: unknown): string {
  return typeof option === 'object' && option !== null ? String((option as { id?: unknown }).id) : String(option);
}

/** @throws InvalidOptionError for unknown or invalid options, UnsupportedError for options of BullMQ that are refused here. */
export function checkJobOptions(options: JobOptions, culprit: string): void {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    const elsewhere = ELSEWHERE[name];
    if (elsewhere !== undefined)
      throw new UnsupportedError(
        `${culprit} has the job option "${name}", which is not supported. Nothing was enqueued. Instead, ${elsewhere}.`,
      );
    if (!HONOURED.has(name)) {
      const hint = didYouMean(name, [...HONOURED, ...OF_IDEMPOTENCY]);
      throw new InvalidOptionError(
        `${culprit} has the unknown job option ${quoted(name)}. Nothing was enqueued.${hint}`,
      );
    }
  }
  for (const name of NUMBERS) {
    if (options[name] !== undefined && !isCount(options[name])) {
      throw new InvalidOptionError(`${culprit} has the job option "${name}", which must be a number from 0.`);
    }
  }
  for (const name of ['removeOnComplete', 'removeOnFail']) {
    if (options[name] !== undefined && !isRetention(options[name])) {
      throw new InvalidOptionError(`${culprit} has "${name}", which must be a boolean, a number or { count?, age? }.`);
    }
  }
  if (options['deduplication'] !== undefined && !isDeduplication(options['deduplication'])) {
    throw new InvalidOptionError(
      `${culprit} has a deduplication that is not { id, ttl? }: a non-empty string, and milliseconds from 1 to ${MAX_LIFETIME_MS}.`,
    );
  }
  const half = ['jobId', 'deduplication'].find(name => hasHalf(options[name]));
  if (half !== undefined) {
    throw new InvalidOptionError(
      `${culprit} has a ${half} with half a surrogate pair, as in a text that was cut within an emoji. Redis cannot distinguish such names. Nothing was enqueued.`,
    );
  }
  if (keepsForLater(options['deduplication'])) {
    throw new UnsupportedError(
      `${culprit} has a deduplication with keepLastIfActive: the job that BullMQ adds later would lose its codec, its context and its waiting caller. Nothing was enqueued. Use replace with a delay, or enqueue without it.`,
    );
  }
  checkIdLength(options['jobId'], 'jobId', culprit);
  checkIdLength((options['deduplication'] as { id?: unknown } | undefined)?.id, 'key', culprit);
  const fault = options['backoff'] === undefined ? undefined : faultOfBackoff(options['backoff']);
  if (fault !== undefined) throw new InvalidOptionError(`${culprit} has a backoff that ${fault}.`);
  if (options['lifo'] !== undefined && typeof options['lifo'] !== 'boolean') {
    throw new InvalidOptionError(`${culprit} has the job option "lifo", which must be a boolean.`);
  }
}

function checkIdLength(id: unknown, name: string, culprit: string): void {
  // guards: job-options.checkIdLength
  if (typeof id !== 'string' || id.length <= MAX_ID_LENGTH) return;
  throw new InvalidOptionError(
    `${culprit} has a ${name} of ${id.length} characters; at most ${MAX_ID_LENGTH} are allowed. Nothing was enqueued. Use a hash of it.`,
  );
}

/** @throws InvalidOptionError when options would change the order of a type with `ordering: 'strict'`. */
export function checkOrder(
  options: JobOptions,
  { type, ordering }: { readonly type: string; readonly ordering: string },
  culprit: string,
): void {
  const name = ordering === 'strict' && REORDERING.find(name => options[name]);
  if (!name) return;
  throw new InvalidOptionError(
    `${culprit} has the job option "${name}", but an entity of type "${type}" runs its jobs in the order of their enqueues. ` +
      `Remove the option, or give up the order: entities.${type}.ordering 'relaxed'.`,
  );
}

/** A hundred years: Redis stores the expiry of a key in ms since 1970, and refuses larger values. */
const MAX_LIFETIME_MS = 100 * 365 * DAY_MS;

function isLifetime(ms: unknown): boolean {
  return Number.isInteger(ms) && Number(ms) >= 1 && Number(ms) <= MAX_LIFETIME_MS;
}

function isDeduplication(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { id, ttl } = value as { id?: unknown; ttl?: unknown };
  return typeof id === 'string' && id !== '' && (ttl === undefined || isLifetime(ttl));
}

/** Whether a name, or the `id` of an object, has half a surrogate pair. */
function hasHalf(value: unknown): boolean {
  const name = typeof value === 'object' && value !== null ? (value as { id?: unknown }).id : value;
  return typeof name === 'string' && !name.isWellFormed();
}

function keepsForLater(deduplication: unknown): boolean {
  return Boolean((deduplication as { keepLastIfActive?: unknown } | undefined)?.keepLastIfActive);
}

const NUMBERS = ['attempts', 'delay', 'priority', 'timestamp', 'stackTraceLimit', 'keepLogs', 'sizeLimit'];

function isCount(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

function isRetention(value: unknown): boolean {
  if (typeof value === 'boolean' || Number.isInteger(value)) return true;
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).every(([name, n]) => ['count', 'age', 'limit'].includes(name) && Number.isInteger(n));
}

/** The fault of a `backoff`; undefined if it is valid. */
function faultOfBackoff(backoff: unknown): string | undefined {
  if (isDelay(backoff)) return undefined;
  if (typeof backoff !== 'object' || backoff === null)
    return 'must be milliseconds from 0, or { type, delay, jitter? }';
  const { type, delay = 0, jitter = 0, ...others } = backoff as Partial<Record<string, unknown>>;
  if (type !== 'fixed' && type !== 'exponential')
    return `has the type ${JSON.stringify(type)}; known are "fixed" and "exponential"`;
  if (!isDelay(delay)) return 'has a delay that is no number of milliseconds from 0';
  if (typeof jitter !== 'number' || !(jitter >= 0 && jitter <= 1)) return 'has a jitter that is no number from 0 to 1';
  const [unknown] = Object.keys(others);
  return unknown === undefined ? undefined : `has the unknown property "${unknown}"`;
}

function isDelay(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value <= MAX_TIMER_MS;
}
