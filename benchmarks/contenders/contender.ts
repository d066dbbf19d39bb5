/** A contender: a way to run the jobs of entities, and what it promises. */
import type { Workload } from '../workloads.js';

export interface Contender {
  /** Resolves when it accepts jobs and runs them. */
  start(setup: Setup): Promise<void>;
  /** Resolves when the job is accepted. */
  enqueue(entity: string, payload: Payload): Promise<unknown>;
}

export interface Setup {
  readonly redisUrl: string;
  readonly entities: readonly string[];
  /** The number of this process, and of how many. */
  readonly pod: number;
  readonly pods: number;
  /** The handler of each job. */
  handle(entity: string, payload: Payload): Promise<void>;
}

export interface Payload {
  /** The number of the job. */
  readonly k: number;
  /** The entity, for contenders whose queues do not name it. */
  readonly entity: string;
  readonly padding?: string;
}

export interface ContenderKind {
  readonly name: string;
  /** What it promises. A run that breaks it counts as failed. */
  readonly keeps: { readonly oneAtATime: boolean; readonly order: boolean };
  /** The workloads in which it can take part. Default all. */
  readonly fits?: (workload: Workload) => boolean;
  readonly create: () => Contender;
}

export const ONE_AT_A_TIME_IN_ORDER = { oneAtATime: true, order: true } as const;
