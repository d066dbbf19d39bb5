/** A way to run the jobs of entities, and what its makers promise. */
import type { Workload } from '../workloads.js';

export interface Contender {
  /** Resolves when it can be enqueued to and works. */
  start(setup: Setup): Promise<void>;
  /** Resolves when the job is accepted. */
  enqueue(entity: string, payload: Payload): Promise<unknown>;
}

export interface Setup {
  readonly redisUrl: string;
  readonly entities: readonly string[];
  /** This process, of how many. */
  readonly pod: number;
  readonly pods: number;
  /** What each job does. */
  handle(entity: string, payload: Payload): Promise<void>;
}

export interface Payload {
  /** The number of the job. */
  readonly k: number;
  /** The entity again, for contenders whose queues don't say it. */
  readonly entity: string;
  readonly padding?: string;
}

export interface ContenderKind {
  readonly name: string;
  /** What it is expected to keep; a run that breaks it counts as failed. */
  readonly keeps: { readonly oneAtATime: boolean; readonly order: boolean };
  /** Where it can take part. Default everywhere. */
  readonly fits?: (workload: Workload) => boolean;
  readonly create: () => Contender;
}

export const ONE_AT_A_TIME_IN_ORDER = { oneAtATime: true, order: true } as const;
