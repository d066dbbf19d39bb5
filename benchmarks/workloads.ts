/** What is measured: so many jobs for so many entities, sent in waves. The same for every contender. */
export interface Workload {
  readonly name: string;
  readonly entities: number;
  readonly jobs: number;
  /** Enqueues under way at once. */
  readonly wave: number;
}

export const WORKLOADS: readonly Workload[] = [
  { name: '20 entities × 615', entities: 20, jobs: 12_300, wave: 200 },
  { name: '1,000 entities × 10', entities: 1000, jobs: 10_000, wave: 200 },
];

/** A way to run jobs, one at a time and in order per entity. */
export interface Contender {
  /** Resolves when it can be enqueued to; each job calls `handle`. */
  start(handle: Handler): Promise<void>;
  enqueue(entityId: string, n: number): Promise<unknown>;
  stop(): Promise<void>;
}

export type Handler = (entityId: string, n: number) => Promise<void>;
