/** New jobs, and their routes. Neighbours: `claims.ts`, `work.ts`: the response to an add may bring a claim, or the job itself. */
import type { NewJob } from '../model/job.js';
import type { Claimed } from './claims.js';
import type { Fetched } from './work.js';

/** A new job of a flow. */
export interface FlowJob {
  readonly job: NewJob;
  readonly hint: IntakeHint;
  /** What follows the flow's id in the job's id; '' for the root. */
  readonly path: string;
  /** The position of its parent in the flow; undefined for the root, which is the first. */
  readonly parent: number | undefined;
  /** It has children, and waits until all of them have ended. */
  readonly isParent: boolean;
}

/** A tree of jobs, in which a parent runs after its children. Parents are listed before their children, and children of one entity in their order. */
export interface NewFlow {
  /** The id of its root. */
  readonly id: string;
  readonly jobs: readonly FlowJob[];
}

/** The route of an enqueued job. */
export type IntakeResult = { readonly jobId: string } & (
  | { readonly route: 'local'; readonly fetched: Fetched }
  | { readonly route: 'claimed'; readonly claimed: Claimed }
  /** By Redis, this pod owns the entity under a claim that the pod does not know: a response was lost (race 26). `why`: why the jobs that came with it are not known here. */
  | { readonly route: 'unknown-claim'; readonly why?: string }
  /** `parent`: it waits for its children. */
  | { readonly route: 'remote' | 'unowned' | 'delayed' | 'parent' }
);

/** What a pod knows of an entity when it enqueues. A hint: the store decides (I1). */
export type IntakeHint =
  /** Fetches if this epoch is the current claim's. Claims with it if the entity has no owner and `mayClaim` is true. */
  | {
      readonly epoch: number;
      readonly mayClaim: boolean;
      /** Maximum number of jobs of the entity that this pod runs at once. The add fetches while fewer are active. */
      readonly atOnce: number;
    }
  /** This pod does not work the entity. */
  | 'route-only';

/** A role of the store: `store.ts` says what holds for every method. */
export interface Intake {
  /**
   * Adds a job and routes it, in one step on every path. Rejects with `BacklogFullError` if the entity has as many jobs as its type
   * allows.
   */
  add(job: NewJob, hint: IntakeHint): Promise<IntakeResult>;
  /**
   * Several adds in one step. If one entity has no capacity for its jobs, none is added, and all reject with `BacklogFullError`. Any
   * other fault of a job rejects that job alone. Never throws.
   */
  addAll(jobs: readonly (readonly [NewJob, IntakeHint])[]): readonly Promise<IntakeResult>[];
  /**
   * Adds all jobs of a flow and routes those that wait for no child, in one step; or none, and all reject with the same error:
   * `BacklogFullError`, or `InvalidOptionError` if an id is taken. If the root is known already, by its id or its idempotency key,
   * nothing is added, and the ids are those of the first time. Never throws.
   *
   * When a job ends or is removed, its parent is told in the same step. A parent whose last child has ended joins the end of its
   * entity's queue, and its owner is called (I7). An end that is sent twice counts once.
   */
  addFlow(flow: NewFlow): readonly Promise<IntakeResult>[];
}
