/**
 * What is measured: so many jobs for so many entities, sent in waves or at a pace. The same for every contender.
 * Job `k` belongs to entity `k % entities`.
 */
export interface Workload {
  readonly name: string;
  readonly entities: number;
  readonly jobs: number;
  /** That many enqueues are under way at once, and the next wave begins when all are acknowledged; or that many a second. */
  readonly load: { readonly wave: number } | { readonly perSecond: number };
  /** What each handler waits for. */
  readonly handlerMs?: number;
  /** Added to each round trip to Redis, on the way back. */
  readonly networkMs?: number;
  /** Processes that work; the first one sends. Default 1. */
  readonly pods?: number;
  readonly payloadBytes?: number;
  /** For how long costs are counted on after the last job: that of idle workers, and of their end. */
  readonly lingerMs?: number;
  /** Redis's `appendfsync`; without it nothing is written to disk. */
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
  // All workers are alive and idle at the end: what one more of them costs in memory.
  { name: 'idle, 20 workers', entities: 20, jobs: 20_000, load: WAVE },
  { name: 'idle, 20,000 workers', entities: 20_000, jobs: 20_000, load: WAVE },
  ...[10, 100, 1000].map(entities => ({
    name: `${entities.toLocaleString('en')} entities`,
    entities,
    jobs: 20_000,
    load: WAVE,
  })),
  // Each has a whole life: claimed, idle, released and gone.
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
