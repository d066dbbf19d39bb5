/**
 * One call that waits for the reply to its job. It settles once: by the reply, by the state in which its job is found, by its timeout,
 * by its signal, or because the pod shuts down.
 *
 * Owns: the result that the caller gets, the timeout, and the listener of the signal.
 * Neighbours: `pending-calls.ts` delivers replies, `inquiry.ts` reports the states of jobs, and `call-errors.ts` has the errors.
 */

import type { EntityRef } from '../model/entity.js';
import { messageOf } from '../model/errors.js';
import { MAX_UNREAD } from '../model/mailbox.js';
import type { Reply } from '../model/reply.js';
import { OutcomeUnknownError } from '../model/store-errors.js';
import type { Codecs } from '../payload/codec.js';
import { readResult } from '../payload/payload.js';
import type { Clock, Timer } from '../ports/clock.js';
import type { CallState, FoundJob, Replies } from '../ports/replies.js';
import type { RunningEntity } from '../run/running-job.js';
import {
  AnswerGivenError,
  HandlerError,
  JobRemovedError,
  ReplyTimeoutError,
  ResultUnavailableError,
  WaitAbortedError,
} from './call-errors.js';

/** The request of a caller, after its checks. */
export interface CallRequest {
  readonly id: string;
  readonly entity: EntityRef;
  readonly name: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** Whether an abort of the signal also removes the job. */
  readonly cancelJob: boolean;
  /** Whether an earlier enqueue may have added the job. */
  readonly mayBeKnown: boolean;
  /** The name of the codec with which the job is written; undefined for plain JSON. */
  readonly codec: unknown;
  /** The handler that waits and holds its entity meanwhile; undefined outside of handlers. */
  readonly handler: RunningEntity | undefined;
}

export interface CallParts {
  readonly replies: Replies;
  readonly clock: Clock;
  readonly codecs: Codecs;
  settled(call: PendingCall): void;
  /** The call has timed out. It must ask for the state of its job, and then end. */
  timedOut(call: PendingCall): void;
}

const REPLY_DROPPED = `its reply may have been dropped, since the mailbox of this pod held ${MAX_UNREAD} unread replies; or the job was removed. Check the outcome in your own data. Let fewer calls wait at once, and keep the event loop free.`;

export class PendingCall {
  jobId: string | undefined;
  /** When its job was last polled, in ms of the monotonic clock. */
  askedAtMs: number;
  /** Whether another enqueue has, or may have, added the job. Its reply does not come to this call, so the call polls. */
  isAttached: boolean;
  /** Set if it is unknown whether the job was added. A reply would settle that. */
  private unsure: OutcomeUnknownError | undefined;
  private state: CallState | 'unknown' = 'unknown';
  /** Whether its reply may have been dropped. */
  private mayBeDropped = false;
  private isSettled = false;
  private timer: Timer;
  private resolve: (result: unknown) => void = () => {};
  private reject: (error: Error) => void = () => {};
  readonly result = new Promise<unknown>((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });
  private readonly added: Promise<void>;
  private onSent: () => void = () => {};

  constructor(
    private readonly request: CallRequest,
    private readonly parts: CallParts,
  ) {
    this.askedAtMs = parts.clock.monotonicMs();
    // guards: pending-call.constructor
    this.isAttached = request.mayBeKnown;
    this.added = new Promise(resolve => {
      this.onSent = resolve;
    });
    this.timer = parts.clock.after(request.timeoutMs, () => {
      this.state = 'unknown';
      parts.timedOut(this);
    });
    request.signal?.addEventListener('abort', this.onAbort);
  }

  get id(): string {
    return this.request.id;
  }

  get entity(): EntityRef {
    return this.request.entity;
  }

  get handler(): RunningEntity | undefined {
    return this.request.handler;
  }

  onAdded(jobId: string): void {
    this.jobId = jobId;
    this.onSent();
  }

  onNotAdded(error: Error): void {
    this.onSent();
    // If the outcome is unknown, the job may have been added after all. Then its reply settles the call (race 1).
    // guards: pending-call.onNotAdded
    if (error instanceof OutcomeUnknownError) this.unsure = error;
    else this.fail(error);
  }

  /** The reply to the job that this call has added. */
  onReply(reply: Reply): void {
    this.conclude(reply, this.request.codec);
  }

  /** The state in which the store has found the job, after the mailbox was read. */
  onFound({ state, isOwn, reply, codec }: FoundJob): void {
    // guards: pending-call.onFound
    if (reply) this.conclude(reply, isOwn ? this.request.codec : codec);
    else if (state === 'gone') {
      this.fail(this.whyGone());
    } else {
      this.state = state;
      this.isAttached = !isOwn;
    }
  }

  /** The mailbox of this pod was full, so the reply to this call may have been dropped. */
  onOverflow(): void {
    this.mayBeDropped = true;
  }

  /** The call has timed out, and has asked for the state of its job. */
  onNoReply(isHosted: boolean | undefined): void {
    this.fail(this.unsure ?? new ReplyTimeoutError(this.awaited, this.request.timeoutMs, this.state, isHosted));
  }

  onClose(error: Error): void {
    this.fail(error);
  }

  private get awaited() {
    const { entity, name } = this.request;
    return { entity, name, jobId: this.jobId };
  }

  private whyGone(): Error {
    if (this.isAttached) return new AnswerGivenError(this.awaited);
    return this.mayBeDropped
      ? new ResultUnavailableError(this.awaited, REPLY_DROPPED)
      : new JobRemovedError(this.awaited);
  }

  private readonly onAbort = async (): Promise<void> => {
    let isJobRemoved = false;
    if (this.request.cancelJob) {
      await this.added;
      isJobRemoved = await this.cancelJob();
    }
    this.fail(new WaitAbortedError(this.awaited, isJobRemoved, this.request.signal?.reason));
  };

  private async cancelJob(): Promise<boolean> {
    if (this.jobId === undefined || this.isSettled) return false;
    try {
      return await this.parts.replies.cancel({ entity: this.entity, jobId: this.jobId, call: this.id });
    } catch {
      return false;
    }
  }

  private conclude(reply: Reply, codec: unknown): void {
    if (reply.kind === 'failed') this.fail(new HandlerError(this.awaited, reply.thrown));
    else if (reply.kind === 'withheld') this.fail(new ResultUnavailableError(this.awaited, reply.why));
    else this.succeed(reply.value, codec);
  }

  private succeed(value: string, codec: unknown): void {
    try {
      const result = readResult(this.parts.codecs, { entityType: this.entity.type, codec }, value);
      if (this.settle()) this.resolve(result);
    } catch (error) {
      this.fail(new ResultUnavailableError(this.awaited, `its result can't be read: ${messageOf(error)}`));
    }
  }

  private fail(error: Error): void {
    if (this.settle()) this.reject(error);
  }

  /** @returns whether the call had not settled before. */
  private settle(): boolean {
    if (this.isSettled) return false;
    this.isSettled = true;
    // guards: pending-call.settle
    this.timer.cancel();
    this.request.signal?.removeEventListener('abort', this.onAbort);
    this.parts.settled(this);
    return true;
  }
}
