/** What calls that wait for their jobs need of a store. Neighbour: `waiting-calls.ts` asks. */
import type { Answer } from './answer.js';
import type { EntityRef } from './entity.js';

/** A job that a call of this pod waits for. */
export interface AskedJob {
  readonly entity: EntityRef;
  readonly jobId: string;
  /** As in the `reply` of its envelope, if it is this call's. */
  readonly call: string;
}

/** Where a job may be that somebody waits for: `'blocked'` is one that has used up its tries and waits for a person. */
export type CallState = 'waiting' | 'active' | 'delayed' | 'blocked' | 'waiting-children';

/** What has become of a job. */
export interface FoundJob {
  /** `'gone'`: it has ended, or was removed. */
  readonly state: CallState | 'gone';
  /** Its answer goes to the call that has asked: its enqueue has added the job. */
  readonly isOwn: boolean;
  /** Of one that has ended, where that was told and not been read yet, or the job is kept. */
  readonly answer?: Answer;
  /** The codec of its result, where the job is there or kept; none for plain JSON. */
  readonly codec?: unknown;
}

/**
 * Answers to jobs with a `reply` in their envelope. Each is written in the step that ends its job for good, and kept until the
 * pod that waits has read it, or for some minutes; whoever waits is told by that step and no other.
 */
export interface Answers {
  /** Of this pod, for envelopes. */
  readonly address: string;
  /**
   * Waits for answers to this pod; empty when none came within the store's own bound. What a call of this has brought counts
   * as read with the next one: where that is lost, it comes again.
   */
  receive(): Promise<readonly { readonly call: string; readonly answer: Answer }[]>;
  /** What has become of jobs: each together with whether its answer has come, in one step, so that none is between the two. */
  find(jobs: readonly AskedJob[]): Promise<readonly FoundJob[]>;
  /** Removes a job that has not started, nor been fetched, if its answer goes to that call. @returns whether it did. */
  cancel(job: AskedJob): Promise<boolean>;
}
