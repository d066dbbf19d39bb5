/**
 * What can't be an option: ranges, kinds, and the error for what is unknown.
 * Neighbours: `engine-options.ts` says what may be written, `options.ts` completes it.
 */

import { MAX_VALUE_BYTES } from './bounds.js';
import { checkCodec } from './codec.js';
import type { EntityOptions, OnExhausted, RateLimit, WorkerOptions } from './engine-options.js';
import { InvalidOptionError } from './errors.js';
import { checkDefaultJobOptions } from './job-data.js';
import { LONGEST_TIMER_MS } from './ports.js';

/** What is fetched, or runs, must fit into one call when a worker begins anew. */
export const MOST_AT_ONCE = 256;

const ON_EXHAUSTED: readonly unknown[] = ['skip', 'block', 'deadLetter'] satisfies OnExhausted[];

const WORKER_CONFIG_KEYS = ['concurrency', 'lockDuration', 'prefetch', 'maxStalledCount', 'unknownJobGraceMs'];
export const WORKER_KEYS = [...WORKER_CONFIG_KEYS, 'stalledInterval', 'heartbeatTTL', 'eventLoopBlockLimitMs'];
const ENTITY_KEYS = [
  'queueName',
  'maxPending',
  'rateLimit',
  'workerName',
  'maxWorkersPerEntity',
  'maxSharedReads',
  'ordering',
  'onExhausted',
  'idleTimeoutSeconds',
  'defaultEntityId',
  'workerConfig',
  'defaultJobOptions',
  'codec',
  'requireCodec',
  'maxPayloadBytes',
  'maxResultBytes',
];

/**
 * Checks the options of one entity type; `path` says where they were written.
 * @throws InvalidOptionError
 */
export function checkEntityOptions(path: string, entity: EntityOptions): void {
  if (typeof entity !== 'object' || entity === null)
    throw new InvalidOptionError(`${path} must be an object of options.`);
  checkKnown(path, entity, ENTITY_KEYS);
  for (const name of ['queueName', 'workerName'] as const) {
    if (entity[name] !== undefined && typeof entity[name] !== 'function') {
      throw new InvalidOptionError(`${path}.${name} must be a function from an entity id to a name.`);
    }
  }
  if (entity.defaultEntityId !== undefined && typeof entity.defaultEntityId !== 'string') {
    throw new InvalidOptionError(`${path}.defaultEntityId must be the name of a property.`);
  }
  if (entity.defaultJobOptions) checkDefaultJobOptions(entity.defaultJobOptions, `${path}.defaultJobOptions`);
  if (entity.ordering !== undefined && entity.ordering !== 'strict' && entity.ordering !== 'relaxed') {
    throw new InvalidOptionError(`${path}.ordering must be 'strict' or 'relaxed'.`);
  }
  if (entity.onExhausted !== undefined && !ON_EXHAUSTED.includes(entity.onExhausted)) {
    throw new InvalidOptionError(`${path}.onExhausted must be 'skip', 'block' or 'deadLetter'.`);
  }
  if (entity.rateLimit !== undefined) checkRateLimit(`${path}.rateLimit`, entity.rateLimit);
  checkStorage(path, entity);
  if (entity.maxPending !== undefined) count(`${path}.maxPending`, entity.maxPending);
  if (entity.maxWorkersPerEntity !== undefined) count(`${path}.maxWorkersPerEntity`, entity.maxWorkersPerEntity);
  if (entity.maxSharedReads !== undefined) countAtOnce(`${path}.maxSharedReads`, entity.maxSharedReads);
  if (entity.idleTimeoutSeconds !== undefined) positive(`${path}.idleTimeoutSeconds`, entity.idleTimeoutSeconds);
  if (entity.workerConfig !== undefined)
    checkWorkerOptions(`${path}.workerConfig`, entity.workerConfig, WORKER_CONFIG_KEYS);
}

function checkRateLimit(path: string, rateLimit: RateLimit): void {
  if (typeof rateLimit !== 'object' || rateLimit === null) {
    throw new InvalidOptionError(`${path} must be { max, durationMs }.`);
  }
  checkKnown(path, rateLimit, ['max', 'durationMs']);
  count(`${path}.max`, rateLimit.max);
  milliseconds(`${path}.durationMs`, rateLimit.durationMs);
}

export function checkWorkerOptions(path: string, worker: WorkerOptions, known: readonly string[]): void {
  checkKnown(path, worker, known);
  if (worker.concurrency !== undefined) count(`${path}.concurrency`, worker.concurrency);
  const { stalledInterval, lockDuration, heartbeatTTL, eventLoopBlockLimitMs, prefetch, unknownJobGraceMs } = worker;
  if (stalledInterval !== undefined) milliseconds(`${path}.stalledInterval`, stalledInterval);
  if (lockDuration !== undefined) milliseconds(`${path}.lockDuration`, lockDuration);
  if (unknownJobGraceMs !== undefined) zeroOrMilliseconds(`${path}.unknownJobGraceMs`, unknownJobGraceMs);
  if (heartbeatTTL !== undefined) milliseconds(`${path}.heartbeatTTL`, heartbeatTTL, 1000);
  if (eventLoopBlockLimitMs !== undefined) zeroOrMilliseconds(`${path}.eventLoopBlockLimitMs`, eventLoopBlockLimitMs);
  if (prefetch !== undefined) countAtOnce(`${path}.prefetch`, prefetch);
  if (worker.maxStalledCount !== undefined && !(worker.maxStalledCount >= 0)) {
    throw new InvalidOptionError(`${path}.maxStalledCount must be 0 or more.`);
  }
}

export function count(path: string, value: number): void {
  if (!Number.isInteger(value) || value < 1) throw new InvalidOptionError(`${path} must be a whole number from 1.`);
}

function countAtOnce(path: string, value: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= MOST_AT_ONCE) return;
  throw new InvalidOptionError(`${path} must be a whole number from 1 to ${MOST_AT_ONCE}.`);
}

function positive(path: string, value: number): number {
  if (typeof value !== 'number' || !(value > 0)) throw new InvalidOptionError(`${path} must be a number above 0.`);
  return value;
}

/**
 * A duration that a timer may be set to: whole milliseconds, or seconds and parts of them (`unitMs` 1000).
 * @throws InvalidOptionError
 */
export function milliseconds(path: string, value: unknown, unitMs = 1): number {
  const longest = Math.floor(LONGEST_TIMER_MS / unitMs);
  const isWhole = unitMs !== 1 || Number.isInteger(value);
  if (typeof value === 'number' && value > 0 && value <= longest && isWhole) return value;
  const unit = unitMs === 1 ? 'whole number of milliseconds' : 'number of seconds';
  throw new InvalidOptionError(`${path} must be a ${unit} above 0, at most ${longest}.`);
}

/** As {@link milliseconds}, where 0 switches something off. */
export function zeroOrMilliseconds(path: string, value: unknown): number {
  return value === 0 ? 0 : milliseconds(path, value);
}

/** @throws InvalidOptionError that names the unknown option and the known ones. */
export function checkKnown(path: string, options: object, known: readonly string[]): void {
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) {
      throw new InvalidOptionError(`Unknown option ${path}.${name}; known here: ${known.join(', ')}.`);
    }
  }
}

/** How payloads are stored: what the module says, and an entity type may say otherwise. */
export function checkStorage(
  path: string,
  { codec, requireCodec, maxPayloadBytes, maxResultBytes }: EntityOptions,
): void {
  if (codec !== undefined) checkCodec(`${path}.codec`, codec);
  if (requireCodec !== undefined && typeof requireCodec !== 'boolean')
    throw new InvalidOptionError(`${path}.requireCodec must be a boolean.`);
  if (maxPayloadBytes !== undefined) bytes(`${path}.maxPayloadBytes`, maxPayloadBytes);
  if (maxResultBytes !== undefined) bytes(`${path}.maxResultBytes`, maxResultBytes);
}

function bytes(path: string, value: number): void {
  count(path, value);
  if (value <= MAX_VALUE_BYTES) return;
  throw new InvalidOptionError(
    `${path} must be at most ${MAX_VALUE_BYTES}: while more is written, Redis does nothing else, and leases run out; store the data elsewhere and send a link.`,
  );
}
