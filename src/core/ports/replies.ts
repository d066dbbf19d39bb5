/** What calls that wait for their jobs need of a store. Neighbour: `calls/pending-calls.ts` asks. */
import type { EntityRef } from '../model/entity.js';
import type { Notice, Reply } from '../model/reply.js';

/** A job that a call of this pod waits for. */
export interface AskedJob {
  readonly entity: EntityRef;
  readonly jobId: string;
  /** As in the `reply` of the job's envelope, if this call has added the job. */
  readonly call: string;
}

/** The state of a job that a call waits for. `'blocked'`: it has used up its attempts and waits for the operator. */
export type CallState = 'waiting' | 'active' | 'delayed' | 'blocked' | 'waiting-children';

/** The fate of a job that was asked for. */
export interface FoundJob {
  /** `'gone'`: it has ended, or was removed. Its reply, if it has one, is in the mailbox by then, or was read. */
  readonly state: CallState | 'gone';
  /** Whether its reply goes to the call that asks: the enqueue of that call has added the job. */
  readonly isOwn: boolean;
  /** For a job that has ended and is kept. */
  readonly reply?: Reply;
  /** The codec of its result, if the job still exists; undefined for plain JSON. */
  readonly codec?: unknown;
}

/** An entry of a mailbox. */
export interface Received {
  readonly call: string;
  readonly reply: Reply | Notice;
}

/**
 * Replies to jobs with a `reply` in their envelope. Each is written in the step that ends its job, and by no other. It is kept until
 * the pod that waits has read it, or for some minutes. A mailbox is bounded, see `model/mailbox.ts`.
 */
export interface Replies {
  /** The address of this pod, for envelopes. */
  readonly address: string;
  /**
   * Waits for replies to this pod, and resolves with some of them; empty if none came within the store's own bound. The next call of
   * this confirms what the last one brought: if it is lost, the same replies come again.
   */
  receive(): Promise<readonly Received[]>;
  /** All unread replies in the mailbox, page by page. Does not wait. `receive` may bring the same replies again. */
  unread(): AsyncIterable<readonly Received[]>;
  /** Finds what has become of jobs. A job that has ended before is gone, and its reply comes with the next `unread` if it was not read. */
  find(jobs: readonly AskedJob[]): Promise<readonly FoundJob[]>;
  /** Writes a reply to a call of a pod into the pod's mailbox. */
  tell(pod: string, call: string, reply: Reply | Notice): Promise<void>;
  /** Removes a job that was not fetched, if its reply goes to that call. @returns whether it did. */
  cancel(job: AskedJob): Promise<boolean>;
}
