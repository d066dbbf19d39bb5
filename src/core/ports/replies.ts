/** What calls that wait for their jobs need of a store. Neighbour: `pending-calls.ts` asks. */

import type { EntityRef } from '../model/entity.js';
import type { Notice, Reply } from '../model/reply.js';

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
  /** `'gone'`: it has ended, or was removed. Its answer, if it has one, is in the mailbox by then, or was read. */
  readonly state: CallState | 'gone';
  /** Its answer goes to the call that has asked: its enqueue has added the job. */
  readonly isOwn: boolean;
  /** Of one that has ended and is kept. */
  readonly reply?: Reply;
  /** The codec of its result, where the job is there or kept; none for plain JSON. */
  readonly codec?: unknown;
}

/** An entry of a mailbox. */
export interface Received {
  readonly call: string;
  readonly reply: Reply | Notice;
}

/**
 * Answers to jobs with a `reply` in their envelope. Each is written in the step that ends its job for good, and kept until the
 * pod that waits has read it, or for some minutes; whoever waits is told by that step and no other. A mailbox is bounded, see
 * `mailbox.ts`.
 */
export interface Replies {
  /** Of this pod, for envelopes. */
  readonly address: string;
  /**
   * Waits for answers to this pod, and resolves with some of them; empty when none came within the store's own bound. What a
   * call of this has brought counts as read with the next one: where that is lost, it comes again.
   */
  receive(): Promise<readonly Received[]>;
  /** All that is in the mailbox and was not read, page by page. Does not wait; what it brings may come again with `receive`. */
  unread(): AsyncIterable<readonly Received[]>;
  /** What has become of jobs. One that has ended before is gone, and its answer comes with the next `unread`, if it was not read. */
  find(jobs: readonly AskedJob[]): Promise<readonly FoundJob[]>;
  /** Puts into the mailbox of a pod what is for one of its calls. */
  tell(pod: string, call: string, answer: Reply | Notice): Promise<void>;
  /** Removes a job that has not started, nor been fetched, if its answer goes to that call. @returns whether it did. */
  cancel(job: AskedJob): Promise<boolean>;
}
