/**
 * The workloads, the same for every contender: a number of jobs for a number of entities, enqueued in waves or at a fixed rate.
 * Job `k` belongs to entity `k % entities`.
 */
export interface Workload {
  readonly name: string;
  readonly entities: number;
  readonly jobs: number;
  /** The number of enqueues in a wave, which begins when all of the last one are acknowledged; or the number per second. */
  readonly load: { readonly wave: number } | { readonly perSecond: number };
  /** How long each handler waits. */
  readonly handlerMs?: number;
  /** By how much each response of Redis is delayed. */
  readonly networkMs?: number;
  /** The number of processes that run jobs; the first one enqueues. Default 1. */
  readonly pods?: number;
  readonly payloadBytes?: number;
  /** How long costs are counted after the last job, to include those of idle workers and of their end. */
  readonly lingerMs?: number;
  /** Redis's `appendfsync`. By default Redis writes nothing to disk. */
  readonly persistence?: 'everysec' | 'always';
}

const WAVE = { wave: 200 };

const HOT: Workload = { name: 'hot', entities: 1, jobs: 5000, load: WAVE };
const SEED: Workload = { name: 'seed', entities: 20, jobs: 12_300, load: WAVE };
const MANY: Workload = { name: 'many', entities: 1000, jobs: 10_000, load: WAVE };
const COLD: Workload = { name: 'cold', entities: 5000, jobs: 5000, load: WAVE };

/** `npm run bench` */
const PEERS: readonly Workload[] = [
  HOT,
  SEED,
  MANY,
  COLD,
  { name: 'paced', entities: 200, jobs: 4000, load: { perSecond: 200 } },
  { name: 'wide', entities: 200, jobs: 2000, load: WAVE, handlerMs: 10 },
  { name: 'deep', entities: 20, jobs: 2000, load: WAVE, handlerMs: 10 },
  { ...HOT, name: 'hot, 1 ms network', networkMs: 1 },
  { ...SEED, name: 'seed, 1 ms network', networkMs: 1 },
  { ...SEED, name: 'seed, 5 pods', pods: 5 },
];

/** `npm run bench -- --quick` */
const QUICK: readonly Workload[] = [
  HOT,
  { ...SEED, jobs: 6000 },
  { ...MANY, entities: 500, jobs: 5000 },
  { ...COLD, entities: 1000, jobs: 1000 },
];

/** `npm run bench -- --growth`: how the cost of a job grows. */
const GROWTH: readonly Workload[] = [
  // All workers are alive and idle at the end: this gives the memory of one more worker.
  { name: 'idle, 20 workers', entities: 20, jobs: 20_000, load: WAVE },
  { name: 'idle, 20,000 workers', entities: 20_000, jobs: 20_000, load: WAVE },
  ...[10, 100, 1000].map(entities => ({
    name: `${entities.toLocaleString('en')} entities`,
    entities,
    jobs: 20_000,
    load: WAVE,
  })),
  // Each worker has a whole life: claimed, idle, released and gone.
  ...[1000, 10_000, 100_000].map(entities => ({
    name: `${entities.toLocaleString('en')} lives`,
    entities,
    jobs: entities,
    load: WAVE,
    lingerMs: 20_000,
  })),
  ...[1, 2, 4, 8].map(pods => ({ ...SEED, name: `${pods} pods`, pods })),
  ...[100, 1000, 10_000, 100_000].map(payloadBytes => ({
    ...SEED,
    name: `${payloadBytes.toLocaleString('en')} bytes`,
    jobs: 4000,
    payloadBytes,
  })),
  SEED,
  { ...SEED, name: 'seed, AOF everysec', persistence: 'everysec' },
  { ...SEED, name: 'seed, AOF always', persistence: 'always' },
];

export const SUITES = { peers: PEERS, quick: QUICK, growth: GROWTH } as const;
