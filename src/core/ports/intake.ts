/** Jobs on their way in, and where they go. Neighbours: `claims.ts`, `work.ts`: an add may bring the claim, or the job itself. */
import type { NewJob } from '../model/job.js';
import type { Claimed } from './claims.js';
import type { Fetched } from './work.js';

/** A job of a flow on its way in. */
export interface FlowJob {
  readonly job: NewJob;
  readonly hint: IntakeHint;
  /** What comes after the id of the flow in the job's id; '' for the root. */
  readonly path: string;
  /** The position of its parent in the flow; none for the root, which is the first. */
  readonly parent: number | undefined;
  /** It has children, and waits until all of them have ended. */
  readonly isParent: boolean;
}

/** Jobs of which some run after others: parents come before their children, and children of one entity in their order. */
export interface NewFlow {
  /** The id of its root. */
  readonly id: string;
  readonly jobs: readonly FlowJob[];
}

/** Where an enqueued job went. */
export type IntakeResult = { readonly jobId: string } & (
  | { readonly route: 'local'; readonly fetched: Fetched }
  | { readonly route: 'claimed'; readonly claimed: Claimed }
  /** Redis says that this pod owns the entity, under a claim that it does not know: an answer was lost (race 26). */
  | { readonly route: 'unknown-claim' /** What was fetched with it is not known here. */; readonly why?: string }
  /** `parent`: it waits for its children. */
  | { readonly route: 'remote' | 'unowned' | 'delayed' | 'parent' }
);

/** What a pod knows of an entity when it enqueues. A hint: the store decides (I1). */
export type IntakeHint =
  /** Fetch if this epoch is the current claim's; claim under it if the entity has no owner and `mayClaim` says so. */
  | {
      readonly epoch: number;
      readonly mayClaim: boolean;
      /** How many jobs this pod runs of the entity at once: it fetches while fewer are active. */
      readonly atOnce: number;
    }
  /** This pod does not work the entity. */
  | 'route-only';

/** A role of the store: `store.ts` says what holds for every method. */
export interface Intake {
  /**
   * Adds a job and routes it, in one step on every path. Rejects with `BacklogFullError` where the entity has as many as its
   * type allows.
   */
  add(job: NewJob, hint: IntakeHint): Promise<IntakeResult>;
  /**
   * As many enters, in one step: where one entity has no room for its jobs, none is added, and all reject with
   * `BacklogFullError`. What is wrong with one job otherwise is its own matter. Never throws.
   */
  addAll(jobs: readonly (readonly [NewJob, IntakeHint])[]): readonly Promise<IntakeResult>[];
  /**
   * Adds all jobs of a flow and routes those that wait for no child, in one step; or none, and all reject with the same error:
   * `BacklogFullError`, `InvalidOptionError` where an id is taken. Where the root is known already, by its id or its idempotency
   * key, nothing is added, and the ids are those of the first time. Never throws.
   *
   * When a job ends for good, or is removed, its parent is told in the same step. One whose last child has ended joins the end
   * of its entity's queue, and its owner is called (I7). An end that comes twice counts once.
   */
  addFlow(flow: NewFlow): readonly Promise<IntakeResult>[];
}
