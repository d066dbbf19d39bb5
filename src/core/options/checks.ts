/**
 * Refuses invalid options: ranges, kinds and unknown names.
 * Neighbours: `options.ts` declares the options, `resolve.ts` fills in the defaults.
 */

import { MAX_VALUE_BYTES } from '../model/bounds.js';
import { didYouMean } from '../model/did-you-mean.js';
import { asLine } from '../model/error-text.js';
import { InvalidOptionError } from '../model/errors.js';
import { checkCodec } from '../payload/codec.js';
import {
  aliasInMs,
  entityWithDurationsInMs,
  milliseconds,
  WORKER_DURATIONS,
  withDurationsInMs,
  zeroOrMilliseconds,
} from './durations.js';
import { checkDefaultJobOptions } from './job-options.js';
import type { EntityOptions, OnExhausted, RateLimit, WorkerOptions } from './options.js';

/** Maximum number of fetched jobs and of handlers at once: all of them must fit into one call of a resync. */
export const MAX_AT_ONCE = 256;

const ON_EXHAUSTED: readonly unknown[] = ['skip', 'block', 'deadLetter'] satisfies OnExhausted[];

const WORKER_CONFIG_KEYS = [
  'concurrency',
  'lockDuration',
  'lockDurationMs',
  'prefetch',
  'maxStalledCount',
  'unknownJobGraceMs',
  'slowHandlerWarnMs',
  'handlerTimeoutMs',
];
const WORKER_KEYS = [
  ...WORKER_CONFIG_KEYS,
  'stalledInterval',
  'stalledIntervalMs',
  'heartbeatTTL',
  'heartbeatTtlMs',
  'eventLoopBlockLimitMs',
];
/** Names of the module's options that the engine reads. */
export const ENGINE_KEYS: readonly string[] = [
  'enableCronManager',
  'cronInterval',
  'cronIntervalMs',
  'workerDefaults',
  'entities',
  'defaultJobOptions',
  'shutdownTimeoutMs',
  'currentJob',
  'failureStackFrames',
  'replyTimeoutMs',
  'context',
  'producerOnly',
  'maxWorkersPerPod',
  'discoveryIntervalMs',
  'codec',
  'readCodecs',
  'requireCodec',
  'maxPayloadBytes',
  'maxResultBytes',
];
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
  'idleTimeoutMs',
  'defaultEntityId',
  'workerConfig',
  'defaultJobOptions',
  'codec',
  'requireCodec',
  'maxPayloadBytes',
  'maxResultBytes',
];

/** A place of options, and their names. */
export interface OptionPlace {
  readonly path: string;
  readonly names: readonly string[];
}

const OF_MODULE: OptionPlace = { path: 'AtomicQueuesModule', names: ENGINE_KEYS };
const OF_WORKERS: OptionPlace = { path: 'workerDefaults', names: WORKER_KEYS };
const OF_ENTITIES: OptionPlace = { path: 'entities.<type>', names: ENTITY_KEYS };
/** Places of options that may have been written at the top level of the module's by mistake. */
export const BELOW_MODULE: readonly OptionPlace[] = [OF_WORKERS, OF_ENTITIES];

/**
 * Checks the options of one entity type. `path` names their place for messages.
 * @throws InvalidOptionError
 */
export function checkEntityOptions(path: string, entity: EntityOptions): void {
  if (typeof entity !== 'object' || entity === null)
    throw new InvalidOptionError(`${path} must be an object of options.`);
  const ofWorker = { path: `${path}.workerConfig`, names: WORKER_CONFIG_KEYS };
  checkKnown(path, entity, ENTITY_KEYS, [ofWorker, OF_WORKERS, OF_MODULE]);
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
  if (entity.workerConfig !== undefined)
    checkWorkerOptions(ofWorker, entity.workerConfig, [{ path, names: ENTITY_KEYS }, OF_WORKERS, OF_MODULE]);
  entityWithDurationsInMs(path, entity);
}

function checkRateLimit(path: string, rateLimit: RateLimit): void {
  if (typeof rateLimit !== 'object' || rateLimit === null) {
    throw new InvalidOptionError(`${path} must be { max, durationMs }.`);
  }
  checkKnown(path, rateLimit, ['max', 'durationMs']);
  count(`${path}.max`, rateLimit.max);
  milliseconds(`${path}.durationMs`, rateLimit.durationMs);
}

/** @throws InvalidOptionError */
export function checkWorkerDefaults(worker: WorkerOptions): void {
  checkWorkerOptions(OF_WORKERS, worker, [OF_ENTITIES, OF_MODULE]);
}

function checkWorkerOptions(
  { path, names }: OptionPlace,
  worker: WorkerOptions,
  elsewhere: readonly OptionPlace[],
): void {
  checkKnown(path, worker, names, elsewhere);
  if (worker.concurrency !== undefined) count(`${path}.concurrency`, worker.concurrency);
  withDurationsInMs(path, worker, WORKER_DURATIONS);
  const { eventLoopBlockLimitMs, prefetch, unknownJobGraceMs } = worker;
  if (unknownJobGraceMs !== undefined) zeroOrMilliseconds(`${path}.unknownJobGraceMs`, unknownJobGraceMs);
  for (const name of ['slowHandlerWarnMs', 'handlerTimeoutMs'] as const)
    if (worker[name] !== undefined) zeroOrMilliseconds(`${path}.${name}`, worker[name]);
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
  if (Number.isInteger(value) && value >= 1 && value <= MAX_AT_ONCE) return;
  throw new InvalidOptionError(`${path} must be a whole number from 1 to ${MAX_AT_ONCE}.`);
}

/** A count that may be 0. @throws InvalidOptionError */
export function upTo(max: number, path: string, value: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= max) return value;
  throw new InvalidOptionError(`${path} must be a whole number from 0 to ${max}.`);
}

/** Longest quotation of an unknown option's name. */
const MAX_NAME_LENGTH = 128;

/** Options of BullMQ that have another name here. */
const BULLMQ_NAMES: ReadonlyMap<string, string> = new Map([
  ['connection', 'redis'],
  ['prefix', 'keyPrefix'],
  ['limiter', 'rateLimit'],
]);

/**
 * @param elsewhere other places that may be meant, the most probable first.
 * @throws InvalidOptionError that names the unknown option, the known ones, and the one that was probably meant.
 */
export function checkKnown(
  path: string,
  options: object,
  known: readonly string[],
  elsewhere: readonly OptionPlace[] = [],
): void {
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const hint = hintFor(name, [{ path, names: known }, ...elsewhere]);
    throw new InvalidOptionError(
      `Unknown option ${path}.${asLine(name, MAX_NAME_LENGTH)}; known here: ${known.join(', ')}.${hint}`,
    );
  }
}

/** The same name in another place takes precedence over a similar one here. */
function hintFor(name: string, places: readonly OptionPlace[]): string {
  const meant = (BULLMQ_NAMES.get(name) ?? name).toLowerCase();
  for (const { path, names } of places) {
    const same = names.find(known => known.toLowerCase() === meant);
    if (same !== undefined) return ` Did you mean ${path}.${same}?`;
  }
  for (const { path, names } of places) {
    const hint = didYouMean(name, names, near => withAlias(path, near));
    if (hint !== '') return hint;
  }
  return '';
}

/** Names both units, since a misspelt name does not tell the unit of its value. */
function withAlias(path: string, name: string): string {
  const alias = aliasInMs(name);
  return alias ? `${path}.${alias.name} (in seconds) or ${path}.${alias.inMs} (in milliseconds)` : `${path}.${name}`;
}

/** Checks the options for stored payloads, which the module and each entity type have. */
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
    `${path} must be at most ${MAX_VALUE_BYTES}: Redis does nothing else while it writes a value, and leases could run out. Store the data elsewhere and send a link.`,
  );
}
