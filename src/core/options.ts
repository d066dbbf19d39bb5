/**
 * The options of the engine, resolved once at start: what a user wrote becomes what the core reads.
 *
 * Owns: defaults, ranges, and the error for what is unknown. Neighbour: `nest/options.ts` types
 * what a user writes and hands it over here.
 */
import { Codecs, checkCodec, jsonCodec, type PayloadCodec } from './codec.js';
import { type ContextOptions, checkContextOptions } from './context.js';
import { encodeSegment } from './entity.js';
import { InvalidOptionError } from './errors.js';
import { checkJobOptions, checkOrder } from './job-data.js';
import { type JobOptions, LONGEST_TIMER_MS } from './ports.js';

/** Options of how an entity type is worked. All are optional. */
export interface WorkerOptions {
  /** Jobs of one entity at once in one of its workers. Default 1; more gives up the order of its jobs. */
  concurrency?: number;
  /** How often ownerless entities are looked for, in ms. Default 1000. */
  stalledInterval?: number;
  /** How long BullMQ's own lock of a running job lasts, in ms; kept alive while the job runs. Default 30000. */
  lockDuration?: number;
  /** How long a claim lives without renewal, in **seconds**; renewed every third of it. Default 3. */
  heartbeatTTL?: number;
  /**
   * How long a handler may block the event loop, by computing say, in ms; after that its process counts as hung and loses
   * its entities. Meanwhile all of them wait. Default 30000. A thread sees to it: some 23 MB of memory, and 0.3 s of CPU when
   * the pod starts; throughput is the same within the spread of runs. 0: no thread; a block of two thirds of `heartbeatTTL`
   * may then be too long.
   */
  eventLoopBlockLimitMs?: number;
  /** How often a job may lose its pod while it runs alone before it is failed. Default 1. */
  maxStalledCount?: number;
  /** Most jobs of one entity that are fetched ahead while it is busy. Default 128, at most 256. */
  prefetch?: number;
  /**
   * How long a job of a name that no handler here knows is left for pods that do, in ms, while its entity waits; after
   * that it fails. Default 600000 (10 minutes, a rolling deploy); 0 fails it at once.
   */
  unknownJobGraceMs?: number;
}

/** Whether a job that fails keeps its place until it is through. */
export type Ordering = 'strict' | 'relaxed';

/** What becomes of a job that has used up its tries. */
export type OnExhausted = 'skip' | 'block' | 'deadLetter';
const ON_EXHAUSTED: readonly unknown[] = ['skip', 'block', 'deadLetter'] satisfies OnExhausted[];

/** At most `max` starts in each span of `durationMs`, in ms, which begins with the first of them. */
export interface RateLimit {
  readonly max: number;
  readonly durationMs: number;
}

/** Options of one entity type. All are optional. */
export interface EntityOptions {
  /** The name of the entity's BullMQ queue. Default `{keyPrefix}:{type}:{id}:queue`. Gets the id as it stands in keys. */
  queueName?: (entityId: string) => string;
  /** The name recorded as `processedBy` on the jobs. Default: the pod's. */
  workerName?: (entityId: string) => string;
  /**
   * How many jobs an entity may have that have not ended, those for later among them; an enqueue beyond that rejects with
   * `BacklogFullError`. Default: as many as Redis can hold.
   */
  maxPending?: number;
  /** How many jobs of one entity start within a time; the others wait for the next. Default: as many as there are. */
  rateLimit?: RateLimit;
  /**
   * Workers of one entity at once, each of them with `concurrency` handlers, all on the pod that owns the entity, under
   * its one claim and fencing token. Default 1; more gives up the order of its jobs. Times `concurrency` at most 256.
   */
  maxWorkersPerEntity?: number;
  /**
   * How many shared reads of one entity (`shared: true` of `@QueueEntity` or `@JobHandler`) run beside each other at most. Default
   * 16, at most 256.
   */
  maxSharedReads?: number;
  /**
   * What becomes of the jobs behind one that has failed and has tries left (`attempts`). `'strict'`: they wait, through its
   * backoff too, and the job keeps its place. `'relaxed'`: they go on, as with BullMQ; then `priority` and `lifo` may be
   * used. Default `'strict'`; `'relaxed'` where several handlers run at once, which can't keep an order.
   */
  ordering?: Ordering;
  /**
   * What becomes of a job that has used up its tries. `'skip'`: it goes to the failed ones, and the next runs. `'block'`: the
   * entity waits until a person decides, see `EntityQueues.of`. `'deadLetter'`: it goes, with its history, to the dead letters of
   * the type, and the next runs; see `EntityQueues.deadLetters`. Default `'skip'`.
   */
  onExhausted?: OnExhausted;
  /** How long a worker outlives its last job, in seconds. Default 15. */
  idleTimeoutSeconds?: number;
  /** The property of a command that holds the entity id when no `@QueueEntityId` says so. */
  defaultEntityId?: string;
  /** Overrides of `workerDefaults` for this type. */
  workerConfig?: Pick<
    WorkerOptions,
    'concurrency' | 'lockDuration' | 'prefetch' | 'maxStalledCount' | 'unknownJobGraceMs'
  >;
  /** BullMQ options of every job of this type; options given to `enqueue` win. */
  defaultJobOptions?: JobOptions;
  /** How payloads and results of this type are stored. Default: the codec of the module. */
  codec?: PayloadCodec;
  /** As that of the module, for this type. */
  maxPayloadBytes?: number;
  /** As that of the module, for this type. */
  maxResultBytes?: number;
}

/** What the engine is given. */
export interface EngineOptions {
  workerDefaults?: WorkerOptions;
  entities?: Readonly<Record<string, EntityOptions>>;
  defaultJobOptions?: JobOptions;
  /** How long shutdown waits for running jobs, in ms. Default 10000. */
  shutdownTimeoutMs?: number;
  /**
   * Whether `currentJob()` and `currentEntity()` work below handlers. Default true. Up to Node 22 it costs about a tenth of the throughput of
   * handlers that do nothing, and from Node 24 on next to nothing.
   */
  currentJob?: boolean;
  /** How long `enqueueAndWait` waits where its call does not say, in ms. Default: each call must say. */
  replyTimeoutMs?: number;
  /** Values of the code that enqueues, a tenant's id say, which its handler finds again. Default: none. */
  context?: ContextOptions;
  /** This pod only enqueues: it works no entity, whatever handlers it has. Default false. */
  producerOnly?: boolean;
  /**
   * Most entities that this pod works at once, idle ones included: the one that has been idle longest gives way, and a busy
   * one after a while. Default: no limit (an idle worker costs memory only).
   */
  maxWorkersPerPod?: number;
  /**
   * How often all queues are searched for work that came past this library (Bull Board's retry, a plain `Queue.add`), in
   * ms. One pod of all searches, in small steps. Default 60000; 0 never.
   */
  discoveryIntervalMs?: number;
  /** Scales the workers of an entity with its backlog, from 1 to `maxWorkersPerEntity`. Without it they are as many at once. Default false. */
  enableCronManager?: boolean;
  /** How often `enableCronManager` looks, in ms. Default 5000. */
  cronInterval?: number;
  /**
   * How payloads and results are stored. Default: as plain JSON (`jsonCodec`), which refuses what it can't carry. Each job
   * carries the name of its codec, and is read by that one, whatever codec its type has by then.
   */
  codec?: PayloadCodec;
  /**
   * Codecs that are read beside those that are written here: the former ones, or those of other services. In a rolling change,
   * first let all pods read the new codec, then write it. A job whose codec a pod does not know is left for those that do, as one
   * of an unknown name: see `unknownJobGraceMs`.
   */
  readCodecs?: readonly PayloadCodec[];
  /** The most bytes that a payload may have as it is stored; above it an enqueue rejects with `PayloadTooLargeError`. Default 262144. */
  maxPayloadBytes?: number;
  /**
   * The most bytes that the result of a job may have as it is stored. One that has more completes all the same, since its work is
   * done; null is stored, a warning logged, and whoever waits for it gets a `ResultUnavailableError`. Default 262144.
   */
  maxResultBytes?: number;
}

/** An entity type as the core reads it. */
export interface EntityTypeConfig {
  readonly type: string;
  readonly queueName: ((encodedId: string) => string) | undefined;
  readonly workerName: ((entityId: string) => string) | undefined;
  readonly idleTimeoutMs: number;
  readonly defaultEntityId: string | undefined;
  readonly lockDurationMs: number;
  readonly prefetch: number;
  /** Most jobs of one batch: what is fetched, or runs, must fit into one call. */
  readonly mostPerBatch: number;
  readonly maxStalledCount: number;
  readonly unknownJobGraceMs: number;
  readonly concurrency: number;
  readonly maxWorkers: number;
  /** How many handlers of an entity run at once at most: those of all its workers. */
  readonly maxHandlers: number;
  /** How many handlers a new worker runs at once. */
  readonly handlersAtStart: number;
  /** One job after the other, in order; shared reads beside each other. */
  readonly isOrdered: boolean;
  /** How many shared reads run at once at most; 1 where no handler of this pod is one of them. */
  readonly maxReads: number;
  readonly ordering: Ordering;
  readonly onExhausted: OnExhausted;
  readonly maxPending: number | undefined;
  readonly rateLimit: RateLimit | undefined;
  readonly jobOptions: JobOptions;
  readonly codec: PayloadCodec;
  readonly maxPayloadBytes: number;
  readonly maxResultBytes: number;
}

/** All options as the core reads them. */
export interface EngineConfig {
  readonly leaseMs: number;
  readonly eventLoopBlockLimitMs: number;
  readonly sweepMs: number;
  readonly shutdownTimeoutMs: number;
  readonly currentJob: boolean;
  readonly replyTimeoutMs: number | undefined;
  readonly context: ContextOptions | undefined;
  readonly producerOnly: boolean;
  readonly maxWorkersPerPod: number;
  /** 0 for never. */
  readonly discoveryMs: number;
  /** How often the workers of entities are scaled; not at all without. */
  readonly scaleEveryMs: number | undefined;
  /** All that this pod can read. */
  readonly codecs: Codecs;
  entityType(type: string): EntityTypeConfig;
}

/** Completed jobs leave at once; failed ones stay for a person to see, bounded in number and age (7 days, in seconds). */
const RETENTION: JobOptions = { removeOnComplete: true, removeOnFail: { count: 1000, age: 7 * 24 * 3600 } };

const DEFAULT_MAX_BYTES = 256 * 1024;

/** What is fetched, or runs, must fit into one call when a worker begins anew. */
export const MOST_AT_ONCE = 256;

/** Shared reads of an entity at once, where nothing else is said. */
const MAX_READS = 16;
const NONE: ReadonlySet<string> = new Set();

const WORKER_CONFIG_KEYS = ['concurrency', 'lockDuration', 'prefetch', 'maxStalledCount', 'unknownJobGraceMs'];
const WORKER_KEYS = [...WORKER_CONFIG_KEYS, 'stalledInterval', 'heartbeatTTL', 'eventLoopBlockLimitMs'];
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
  'maxPayloadBytes',
  'maxResultBytes',
];

/**
 * Checks and completes the engine's options.
 * @param sharedTypes entity types that this pod has handlers of shared reads for.
 * @throws InvalidOptionError for an unknown name or a value out of range.
 */
export function resolveOptions(options: EngineOptions, sharedTypes: ReadonlySet<string> = NONE): EngineConfig {
  const defaults = options.workerDefaults ?? {};
  const entities = options.entities ?? {};
  checkWorkerOptions('workerDefaults', defaults, WORKER_KEYS);
  const types = new Map<string, EntityTypeConfig>();
  const configOf = (type: string, entity: EntityOptions): EntityTypeConfig => {
    const config = entityTypeConfig(type, entity, options);
    return sharedTypes.has(type) ? withReads(config, entity) : config;
  };
  for (const [type, entity] of Object.entries(entities)) {
    checkEntityOptions(`entities.${type}`, entity);
    types.set(type, configOf(type, entity));
  }
  if (options.defaultJobOptions) checkJobOptions(options.defaultJobOptions, 'defaultJobOptions');
  if (options.context !== undefined) {
    checkContextOptions('context', options.context);
    checkKnown('context', options.context, ['keys', 'get', 'run']);
  }
  if (options.maxWorkersPerPod !== undefined) count('maxWorkersPerPod', options.maxWorkersPerPod);
  checkStorage('AtomicQueuesModule', options);
  if (options.replyTimeoutMs !== undefined) milliseconds('replyTimeoutMs', options.replyTimeoutMs);
  const scaleEveryMs = milliseconds('cronInterval', options.cronInterval ?? 5000);
  return {
    leaseMs: Math.round((defaults.heartbeatTTL ?? 3) * 1000),
    eventLoopBlockLimitMs: defaults.eventLoopBlockLimitMs ?? 30_000,
    sweepMs: defaults.stalledInterval ?? 1000,
    shutdownTimeoutMs: milliseconds('shutdownTimeoutMs', options.shutdownTimeoutMs ?? 10_000),
    currentJob: options.currentJob ?? true,
    replyTimeoutMs: options.replyTimeoutMs,
    context: options.context,
    producerOnly: options.producerOnly ?? false,
    maxWorkersPerPod: options.maxWorkersPerPod ?? Number.POSITIVE_INFINITY,
    discoveryMs: zeroOrMilliseconds('discoveryIntervalMs', options.discoveryIntervalMs ?? 60_000),
    scaleEveryMs: options.enableCronManager ? scaleEveryMs : undefined,
    codecs: codecsOf(options),
    entityType(type) {
      let config = types.get(type);
      if (!config) {
        config = configOf(type, {});
        types.set(type, config);
      }
      return config;
    },
  };
}

function entityTypeConfig(type: string, entity: EntityOptions, options: EngineOptions): EntityTypeConfig {
  const worker = { ...options.workerDefaults, ...entity.workerConfig };
  const { queueName, maxWorkersPerEntity: maxWorkers = 1 } = entity;
  const { concurrency = 1 } = worker;
  const maxHandlers = concurrency * maxWorkers;
  if (maxHandlers > MOST_AT_ONCE) {
    throw new InvalidOptionError(
      `entities.${type}: maxWorkersPerEntity times concurrency is ${maxHandlers}; it must be at most ${MOST_AT_ONCE}.`,
    );
  }
  const order = orderOf(type, entity, maxHandlers);
  const jobOptions = { ...RETENTION, ...options.defaultJobOptions, ...entity.defaultJobOptions };
  checkOrder(jobOptions, { type, ordering: order.ordering }, `defaultJobOptions of entity type "${type}"`);
  return {
    type,
    queueName: queueName && (encodedId => checkQueueName(type, queueName(encodedId))),
    workerName: entity.workerName,
    idleTimeoutMs: (entity.idleTimeoutSeconds ?? 15) * 1000,
    defaultEntityId: entity.defaultEntityId,
    lockDurationMs: worker.lockDuration ?? 30_000,
    // What is fetched has had its turn: it would have it again, were it given back.
    prefetch: entity.rateLimit ? 1 : (worker.prefetch ?? 128),
    mostPerBatch: Math.min(worker.prefetch ?? 128, Math.floor(MOST_AT_ONCE / maxHandlers)),
    maxStalledCount: worker.maxStalledCount ?? 1,
    unknownJobGraceMs: worker.unknownJobGraceMs ?? 600_000,
    concurrency,
    maxWorkers,
    maxHandlers,
    handlersAtStart: options.enableCronManager ? concurrency : maxHandlers,
    ...order,
    maxReads: 1,
    maxPending: entity.maxPending,
    rateLimit: entity.rateLimit,
    jobOptions,
    codec: entity.codec ?? options.codec ?? jsonCodec,
    maxPayloadBytes: entity.maxPayloadBytes ?? options.maxPayloadBytes ?? DEFAULT_MAX_BYTES,
    maxResultBytes: entity.maxResultBytes ?? options.maxResultBytes ?? DEFAULT_MAX_BYTES,
  };
}

/** A type with shared reads: an exception from one at a time, which is no use, and no promise, where that does not hold. */
function withReads(config: EntityTypeConfig, { maxSharedReads = MAX_READS }: EntityOptions): EntityTypeConfig {
  if (!config.isOrdered) {
    throw new InvalidOptionError(
      `entities.${config.type}: it has shared reads, which run beside no other job, but ${config.maxHandlers} jobs of an entity may run at once; leave out maxWorkersPerEntity and concurrency, or shared: true of its handlers.`,
    );
  }
  return { ...config, maxReads: maxSharedReads };
}

/** What a pod writes it can read, whatever type a job is of. */
function codecsOf({ codec, readCodecs = [], entities = {} }: EngineOptions): Codecs {
  if (!Array.isArray(readCodecs))
    throw new InvalidOptionError('AtomicQueuesModule.readCodecs must be a list of codecs.');
  for (const [index, other] of readCodecs.entries()) checkCodec(`AtomicQueuesModule.readCodecs[${index}]`, other);
  const codecs = new Codecs();
  for (const known of [codec, ...readCodecs, ...Object.values(entities).map(entity => entity.codec)])
    if (known) codecs.add(known);
  return codecs;
}

/** How payloads are stored: what the module says, and an entity type may say otherwise. */
function checkStorage(path: string, { codec, maxPayloadBytes, maxResultBytes }: EntityOptions): void {
  if (codec !== undefined) checkCodec(`${path}.codec`, codec);
  if (maxPayloadBytes !== undefined) count(`${path}.maxPayloadBytes`, maxPayloadBytes);
  if (maxResultBytes !== undefined) count(`${path}.maxResultBytes`, maxResultBytes);
}

/** Which order a type keeps, and what it does with jobs that have used up their tries. */
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
      `entities.${type}: ${asked} is '${entity[asked]}', but ${maxHandlers} jobs of an entity may run at once; leave out maxWorkersPerEntity and concurrency.`,
    );
  }
  // With lifo others would walk past the job that blocks.
  if (onExhausted === 'block' && ordering !== 'strict') {
    throw new InvalidOptionError(
      `entities.${type}: onExhausted is 'block', which needs the order of its jobs; leave out ordering 'relaxed'.`,
    );
  }
  return { isOrdered, ordering, onExhausted };
}

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
  if (entity.defaultJobOptions) checkJobOptions(entity.defaultJobOptions, `${path}.defaultJobOptions`);
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

function checkWorkerOptions(path: string, worker: WorkerOptions, known: readonly string[]): void {
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

function count(path: string, value: number): void {
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
function zeroOrMilliseconds(path: string, value: unknown): number {
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

/** A queue name must be one segment of a key: BullMQ refuses `:`, a Cluster reads `{}`, and `$` is the system's. */
function checkQueueName(type: string, name: unknown): string {
  if (typeof name !== 'string' || name === '' || encodeSegment(name.replaceAll('%', '')) !== name.replaceAll('%', '')) {
    throw new InvalidOptionError(
      `entities.${type}.queueName gave ${JSON.stringify(name)}; a queue name must be a non-empty string without ":", "{", "}", "$" and white space.`,
    );
  }
  return name;
}
