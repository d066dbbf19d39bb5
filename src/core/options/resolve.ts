/**
 * Resolves the options of the engine, once at start.
 *
 * Owns: defaults, and the checks of options that depend on each other. Neighbours: `options.ts` declares the options, `checks.ts` checks
 * each of them.
 */
import { encodeSegment } from '../model/entity.js';
import { InvalidOptionError } from '../model/errors.js';
import type { JobOptions } from '../model/job.js';
import { MAX_FRAMES } from '../model/stack-frames.js';
import { checkContextOptions } from '../payload/caller-context.js';
import { type CodecRequirement, Codecs, checkCodec, jsonCodec } from '../payload/codec.js';
import {
  checkEntityOptions,
  checkKnown,
  checkStorage,
  checkWorkerDefaults,
  count,
  MAX_AT_ONCE,
  upTo,
} from './checks.js';
import type { EngineConfig, EntityTypeConfig } from './config.js';
import {
  entityWithDurationsInMs,
  MODULE_DURATIONS,
  milliseconds,
  WORKER_DURATIONS,
  withDurationsInMs,
  zeroOrMilliseconds,
} from './durations.js';
import { checkDefaultJobOptions, checkOrder } from './job-options.js';
import type { EngineOptions, EntityOptions } from './options.js';

/** Completed jobs are removed at once. Failed jobs stay for the operator, bounded in number and age (7 days, in seconds). */
const RETENTION: JobOptions = { removeOnComplete: true, removeOnFail: { count: 1000, age: 7 * 24 * 3600 } };

/** Default of `maxSharedReads`. */
const MAX_READS = 16;

const NONE: ReadonlySet<string> = new Set();

const DEFAULT_MAX_BYTES = 256 * 1024;

/**
 * Checks the engine's options and fills in the defaults.
 * @param sharedTypes entity types for which this pod has handlers of shared reads.
 * @throws InvalidOptionError for an unknown name or a value out of range.
 */
export function resolveOptions(given: EngineOptions, sharedTypes: ReadonlySet<string> = NONE): EngineConfig {
  checkWorkerDefaults(given.workerDefaults ?? {});
  const defaults = withDurationsInMs('workerDefaults', given.workerDefaults ?? {}, WORKER_DURATIONS);
  const options = {
    ...withDurationsInMs('AtomicQueuesModule', given, MODULE_DURATIONS),
    workerDefaults: defaults,
  };
  const entities = options.entities ?? {};
  const types = new Map<string, EntityTypeConfig>();
  const configOf = (type: string, entity: EntityOptions): EntityTypeConfig => {
    const config = entityTypeConfig(type, entity, options);
    return sharedTypes.has(type) ? withReads(config, entity) : config;
  };
  for (const [type, entity] of Object.entries(entities)) {
    checkEntityOptions(`entities.${type}`, entity);
    types.set(type, configOf(type, entityWithDurationsInMs(`entities.${type}`, entity)));
  }
  if (options.defaultJobOptions) checkDefaultJobOptions(options.defaultJobOptions, 'defaultJobOptions');
  if (options.context !== undefined) {
    checkContextOptions('context', options.context);
    checkKnown('context', options.context, ['keys', 'get', 'run']);
  }
  if (options.maxWorkersPerPod !== undefined) count('maxWorkersPerPod', options.maxWorkersPerPod);
  checkStorage('AtomicQueuesModule', options);
  if (options.replyTimeoutMs !== undefined) milliseconds('replyTimeoutMs', options.replyTimeoutMs);
  const entityType = (type: string): EntityTypeConfig => {
    let config = types.get(type);
    if (!config) {
      config = configOf(type, {});
      types.set(type, config);
    }
    return config;
  };
  return {
    leaseMs: defaults.heartbeatTtlMs ?? 3000,
    eventLoopBlockLimitMs: defaults.eventLoopBlockLimitMs ?? 30_000,
    sweepMs: defaults.stalledIntervalMs ?? 1000,
    shutdownTimeoutMs: milliseconds('shutdownTimeoutMs', options.shutdownTimeoutMs ?? 10_000),
    currentJob: options.currentJob ?? true,
    failureStackFrames: upTo(MAX_FRAMES, 'failureStackFrames', options.failureStackFrames ?? 3),
    replyTimeoutMs: options.replyTimeoutMs,
    context: options.context,
    producerOnly: options.producerOnly ?? false,
    maxWorkersPerPod: options.maxWorkersPerPod ?? Number.POSITIVE_INFINITY,
    discoveryMs: zeroOrMilliseconds('discoveryIntervalMs', options.discoveryIntervalMs ?? 60_000),
    scaleEveryMs: options.enableCronManager ? (options.cronIntervalMs ?? 5000) : undefined,
    codecs: codecsOf(options, entityType),
    entityType,
  };
}

function entityTypeConfig(type: string, entity: EntityOptions, options: EngineOptions): EntityTypeConfig {
  const worker = { ...options.workerDefaults, ...entity.workerConfig };
  const { queueName, maxWorkersPerEntity: maxWorkers = 1 } = entity;
  const { concurrency = 1 } = worker;
  const maxHandlers = concurrency * maxWorkers;
  if (maxHandlers > MAX_AT_ONCE) {
    throw new InvalidOptionError(
      `entities.${type}: maxWorkersPerEntity times concurrency is ${maxHandlers}; it must be at most ${MAX_AT_ONCE}.`,
    );
  }
  const order = orderOf(type, entity, maxHandlers);
  const jobOptions = { ...RETENTION, ...options.defaultJobOptions, ...entity.defaultJobOptions };
  checkOrder(jobOptions, { type, ordering: order.ordering }, `defaultJobOptions of entity type "${type}"`);
  return {
    type,
    queueName: queueName && (encodedId => checkQueueName(type, queueName(encodedId))),
    workerName: entity.workerName,
    idleTimeoutMs: entity.idleTimeoutMs ?? 15_000,
    defaultEntityId: entity.defaultEntityId,
    lockDurationMs: worker.lockDurationMs ?? 30_000,
    // A fetched job has used up a start of the rate limit. If it were given back, it would use up another one.
    prefetch: entity.rateLimit ? 1 : (worker.prefetch ?? 128),
    mostPerBatch: Math.min(worker.prefetch ?? 128, Math.floor(MAX_AT_ONCE / maxHandlers)),
    maxStalledCount: worker.maxStalledCount ?? 1,
    unknownJobGraceMs: worker.unknownJobGraceMs ?? 600_000,
    slowHandlerWarnMs: worker.slowHandlerWarnMs ?? 30_000,
    handlerTimeoutMs: worker.handlerTimeoutMs ?? 0,
    concurrency,
    maxWorkers,
    maxHandlers,
    handlersAtStart: options.enableCronManager ? concurrency : maxHandlers,
    ...order,
    maxReads: 1,
    maxPending: entity.maxPending,
    rateLimit: entity.rateLimit,
    jobOptions,
    ...codecOf(type, entity, options),
    maxPayloadBytes: entity.maxPayloadBytes ?? options.maxPayloadBytes ?? DEFAULT_MAX_BYTES,
    maxResultBytes: entity.maxResultBytes ?? options.maxResultBytes ?? DEFAULT_MAX_BYTES,
  };
}

/** Adds shared reads to a type that runs one job at a time. For other types they have no meaning. */
function withReads(config: EntityTypeConfig, { maxSharedReads = MAX_READS }: EntityOptions): EntityTypeConfig {
  // guards: resolve.withReads
  if (!config.isOrdered) {
    throw new InvalidOptionError(
      `entities.${config.type}: it has shared reads, which never run alongside a write, but ${config.maxHandlers} jobs of an entity may run at once. Remove maxWorkersPerEntity and concurrency, or shared: true of its handlers.`,
    );
  }
  return { ...config, maxReads: maxSharedReads };
}

/** A secret codec refuses payloads that are not encrypted. */
function codecOf(type: string, entity: EntityOptions, options: EngineOptions): CodecRequirement {
  const codec = entity.codec ?? options.codec ?? jsonCodec;
  // guards: resolve.codecOf
  const requireCodec = entity.requireCodec ?? options.requireCodec ?? codec.isSecret ?? false;
  if (requireCodec && codec === jsonCodec) {
    throw new InvalidOptionError(
      `Entity type "${type}" has requireCodec, but no codec of its own. Give it a codec, or set entities.${type}.requireCodec to false.`,
    );
  }
  return { codec, requireCodec };
}

/** A pod can read all codecs that it writes, for jobs of any type. */
function codecsOf(
  { codec, readCodecs = [], entities = {} }: EngineOptions,
  requirementOf: (entityType: string) => CodecRequirement,
): Codecs {
  if (!Array.isArray(readCodecs))
    throw new InvalidOptionError('AtomicQueuesModule.readCodecs must be a list of codecs.');
  for (const [index, other] of readCodecs.entries()) checkCodec(`AtomicQueuesModule.readCodecs[${index}]`, other);
  const codecs = new Codecs(requirementOf);
  for (const known of [codec, ...readCodecs, ...Object.values(entities).map(entity => entity.codec)])
    if (known) codecs.add(known);
  return codecs;
}

/** The order that a type keeps, and what happens to its jobs without attempts left. */
function orderOf(
  type: string,
  entity: EntityOptions,
  maxHandlers: number,
): Pick<EntityTypeConfig, 'isOrdered' | 'ordering' | 'onExhausted'> {
  const isOrdered = maxHandlers === 1;
  const { ordering = isOrdered ? 'strict' : 'relaxed', onExhausted = 'skip' } = entity;
  const asked = entity.ordering === 'strict' ? 'ordering' : onExhausted === 'block' ? 'onExhausted' : undefined;
  if (asked && !isOrdered) {
    throw new InvalidOptionError(
      `entities.${type}: ${asked} is '${entity[asked]}', but ${maxHandlers} jobs of an entity may run at once. Remove maxWorkersPerEntity and concurrency.`,
    );
  }
  // With lifo other jobs would pass the job that blocks.
  if (onExhausted === 'block' && ordering !== 'strict') {
    throw new InvalidOptionError(
      `entities.${type}: onExhausted is 'block', which needs the order of its jobs. Remove ordering 'relaxed'.`,
    );
  }
  return { isOrdered, ordering, onExhausted };
}

/** A queue name must be one segment of a key: BullMQ refuses `:`, a Cluster reads `{}`, and `$` is reserved for this library. */
function checkQueueName(type: string, name: unknown): string {
  if (typeof name !== 'string' || name === '' || encodeSegment(name.replaceAll('%', '')) !== name.replaceAll('%', '')) {
    throw new InvalidOptionError(
      `entities.${type}.queueName gave ${JSON.stringify(name)}; a queue name must be a non-empty string without ":", "{", "}", "$" and white space.`,
    );
  }
  return name;
}
