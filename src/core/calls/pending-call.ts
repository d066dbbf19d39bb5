/**
 * One call that waits for the answer to its job. It settles once: by the answer, by what is found out about the job, by its
 * timeout, by its signal, or because the pod closes.
 *
 * Owns its one timer and its ear at the signal. Neighbour: `pending-calls.ts` brings it what comes.
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

/** What a caller asks for, checked. */
export interface CallRequest {
  readonly id: string;
  readonly entity: EntityRef;
  readonly name: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** What is done with the job when the signal fires. */
  readonly cancelJob: boolean;
  /** The enqueue may find that its job was added by an earlier one. */
  readonly mayBeKnown: boolean;
  /** The name of the codec that its enqueue writes with; none for plain JSON. */
  readonly codec: unknown;
  /** What waits, and holds its entity meanwhile; nothing outside of handlers. */
  readonly handler: RunningEntity | undefined;
}

export interface CallParts {
  readonly replies: Replies;
  readonly clock: Clock;
  readonly codecs: Codecs;
  settled(call: PendingCall): void;
  /** Its time is over: it is to ask for the state of its job, and then to end. */
  timedOut(call: PendingCall): void;
}

const REPLY_DROPPED = `or was removed: its answer was dropped, since ${MAX_UNREAD} others had not been read by this pod.`;

export class PendingCall {
  jobId: string | undefined;
  /** When it was last asked after its job, on the monotonic clock. */
  askedAtMs: number;
  /** Its job is, or may be, that of another enqueue: the answer does not come here, it is looked for. */
  isAttached: boolean;
  /** Nobody knows whether the job was added; the answer would tell. */
  private unsure: OutcomeUnknownError | undefined;
  private state: CallState | 'unknown' = 'unknown';
  /** Its answer may have been dropped. */
  private isUnheard = false;
  private isSettled = false;
  private timer: Timer;
  private resolve: (result: unknown) => void = () => {};
  private reject: (error: Error) => void = () => {};
  readonly result = new Promise<unknown>((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });
  private readonly added: Promise<void>;
  private onEntered: () => void = () => {};

  constructor(
    private readonly request: CallRequest,
    private readonly parts: CallParts,
  ) {
    this.askedAtMs = parts.clock.monotonicMs();
    // guards: pending-call.constructor
    this.isAttached = request.mayBeKnown;
    this.added = new Promise(resolve => {
      this.onEntered = resolve;
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
    this.onEntered();
  }

  onNotAdded(error: Error): void {
    this.onEntered();
    // If it was added after all, it will be answered: that settles what the broken connection has left open.
    // guards: pending-call.onNotAdded
    if (error instanceof OutcomeUnknownError) this.unsure = error;
    else this.fail(error);
  }

  /** The answer to the job that this call has added. */
  onReply(answer: Reply): void {
    this.conclude(answer, this.request.codec);
  }

  /** What the store knows of the job, in one step with whether an answer has come that was not read. */
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

  /** Answers that would have come from now on may have been dropped. */
  onOverflow(): void {
    this.isUnheard = true;
  }

  /** Its time is over, and its job was asked after. */
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
    return this.isUnheard ? new ResultUnavailableError(this.awaited, REPLY_DROPPED) : new JobRemovedError(this.awaited);
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

  private conclude(answer: Reply, codec: unknown): void {
    if (answer.kind === 'failed') this.fail(new HandlerError(this.awaited, answer.thrown));
    else if (answer.kind === 'withheld') this.fail(new ResultUnavailableError(this.awaited, answer.why));
    else this.succeed(answer.value, codec);
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

  /** @returns whether it was not before. */
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
