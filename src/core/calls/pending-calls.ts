/**
 * The calls of this pod that wait for replies.
 *
 * Owns: the waiting calls and their maximum number, and one receiver of replies for all of them, which starts with the first call.
 * Neighbours: `pending-call.ts` is one call. `enqueuer.ts` adds the jobs, and `inquiry.ts` polls their states. `deadlock.ts` refuses
 * calls that would wait in a circle, and `liveness.ts` asks other pods about such waits. The store keeps replies until this pod has read them.
 */

import type { EnqueuedJob, JobRequest } from '../enqueue/requests.js';
import { detached } from '../model/detached.js';
import { type EntityRef, entityKey, entityRef } from '../model/entity.js';
import type { Envelope, WaitLink } from '../model/envelope.js';
import { isKindOf } from '../model/error-text.js';
import { ClosedError, InvalidOptionError, rejecting } from '../model/errors.js';
import type { JobOptions } from '../model/job.js';
import { MAX_WAITING_CALLS } from '../model/mailbox.js';
import type { EngineConfig } from '../options/config.js';
import { milliseconds } from '../options/durations.js';
import { mergedJobOptions } from '../options/merged-job-options.js';
import { sealedBy } from '../payload/codec.js';
import type { HostLookup } from '../pod/host-lookup.js';
import type { Clock } from '../ports/clock.js';
import type { Received, Replies } from '../ports/replies.js';
import { DeadlockError, TooManyWaitingCallsError, WaitAbortedError } from './call-errors.js';
import { linksTo, pathBetween, refuseCircle, waitingHandler } from './deadlock.js';
import { Inquiry } from './inquiry.js';
import { Liveness } from './liveness.js';
import { type CallRequest, PendingCall } from './pending-call.js';

/** Options of a call that waits for its result. */
export interface WaitOptions {
  /** Longest wait, in ms. @default `replyTimeoutMs` of the module */
  readonly timeoutMs?: number | undefined;
  /** Ends the wait when it aborts. @default none */
  readonly signal?: AbortSignal | undefined;
  /** Whether an abort also removes the job if it has not started. @default false */
  readonly cancelJob?: boolean | undefined;
}

export interface PendingCallsParts {
  readonly replies: Replies;
  readonly config: EngineConfig;
  readonly clock: Clock;
  readonly hosts: Pick<HostLookup, 'of'>;
  add(request: JobRequest, envelope: Envelope): Promise<EnqueuedJob>;
}

const PAUSE_AFTER_FAILURE_MS = 500;
/** Longest time that timed-out calls spend on asking for the states of their jobs. */
const LAST_QUESTION_MS = 250;
/** Maximum number of calls that end in one turn of the event loop (I11). */
const MAX_ENDS_PER_TURN = 500;

export class PendingCalls {
  private readonly calls = new Map<string, PendingCall>();
  private readonly inquiry: Inquiry;
  private readonly liveness: Liveness;
  private late: PendingCall[] = [];
  private lastId = 0;
  private isListening = false;
  private closed = false;

  constructor(private readonly parts: PendingCallsParts) {
    const { replies, clock } = parts;
    this.liveness = new Liveness({ replies, clock, nextId: () => this.nextId() });
    this.inquiry = new Inquiry({ replies, clock, calls: this.calls, deliver: received => this.deliver(received) });
  }

  /**
   * Enqueues a job and resolves with its result.
   * @throws InvalidOptionError, TooManyWaitingCallsError, DeadlockError, ClosedError: no job was added. The errors of an enqueue may also
   * occur.
   */
  call(request: JobRequest, options: WaitOptions): Promise<unknown> {
    if (this.closed) throw new ClosedError();
    const checked = this.check(request, options);
    const { id, entity, signal } = checked;
    const awaited = { entity, name: request.name, jobId: undefined };
    if (signal?.aborted) throw new WaitAbortedError(awaited, false, signal.reason);
    // guards: pending-calls.call
    if (this.calls.size >= MAX_WAITING_CALLS) throw new TooManyWaitingCallsError(awaited, MAX_WAITING_CALLS);
    const { replies, clock, config } = this.parts;
    const call = new PendingCall(checked, {
      replies,
      clock,
      codecs: config.codecs,
      settled: ({ id }) => this.calls.delete(id),
      timedOut: late => this.onTimedOut(late),
    });
    // The call is registered before its job is sent: the reply may arrive before the response to the enqueue.
    this.calls.set(id, call);
    // Both serve the calls of other callers, too, so they must not keep the context of this one.
    detached(() => {
      this.listen();
      this.inquiry.schedule();
    });
    rejecting(() => this.send(request, call)).then(
      added => {
        if (!added) return;
        call.onAdded(added.jobId);
        if (call.isAttached) void this.inquiry.ask([call]);
      },
      error => call.onNotAdded(error),
    );
    return call.result;
  }

  /** Rejects all waiting calls, since this pod shuts down. Their jobs continue. */
  async close(): Promise<void> {
    this.closed = true;
    this.inquiry.close();
    this.liveness.close();
    await this.inTurns([...this.calls.values()], call =>
      call.onClose(
        new ClosedError('This pod has shut down, so the wait for the result has ended. The job was not cancelled.'),
      ),
    );
  }

  private check(request: JobRequest, { timeoutMs, signal, cancelJob = false }: WaitOptions): CallRequest {
    const culprit = `Job "${request.name}"`;
    const entity = entityRef(request.entityType, request.entityId, culprit);
    const waitsMs = timeoutMs ?? this.parts.config.replyTimeoutMs;
    if (waitsMs === undefined) {
      throw new InvalidOptionError(
        `${culprit} was not enqueued: the call has no timeout. Pass timeoutMs, or set replyTimeoutMs of the module.`,
      );
    }
    if (signal !== undefined && !isKindOf(signal, 'AbortSignal')) {
      throw new InvalidOptionError(`${culprit} was not enqueued: its signal is not an AbortSignal.`);
    }
    if (typeof cancelJob !== 'boolean')
      throw new InvalidOptionError(`${culprit} was not enqueued: its cancelJob is not a boolean.`);
    const type = this.parts.config.entityType(entity.type);
    return {
      id: this.nextId(),
      entity,
      name: request.name,
      timeoutMs: milliseconds(`timeoutMs of ${culprit}`, waitsMs),
      signal,
      cancelJob,
      mayBeKnown: mayBeKnown(mergedJobOptions(type, request.options)),
      // guards: pending-calls.check
      codec: sealedBy(type.codec, undefined)?.codec,
      handler: waitingHandler(),
    };
  }

  private nextId(): string {
    return (++this.lastId).toString(36);
  }

  /** Resolves with undefined if the call ended before its job was sent. */
  private send(request: JobRequest, call: PendingCall): Promise<EnqueuedJob | undefined> {
    const { replies, add } = this.parts;
    const reply = [replies.address, call.id] as const;
    const { handler } = call;
    if (!handler) return add(request, { reply });
    const own: EntityRef = { type: handler.entityType, id: handler.entityId };
    const links = linksTo(handler);
    const [from, to] = [entityKey(own), entityKey(call.entity)];
    if (from === to) throw new DeadlockError([own, own]);
    const link: WaitLink = [from, to, ...reply];
    // guards: pending-calls.send
    const added = () => add(request, { reply, chain: [...links, link] });
    // Only a call that might close a circle waits. All others are sent at once, so that the calls of one tick keep their order.
    if (!pathBetween(links, to, from)) return added();
    const isWaiting = (pod: string, id: string) => this.isWaiting(pod, id);
    return refuseCircle(links, { own, target: call.entity, isWaiting }).then(() =>
      this.calls.has(call.id) ? added() : undefined,
    );
  }

  private isWaiting(pod: string, id: string): Promise<boolean> {
    return pod === this.parts.replies.address ? Promise.resolve(this.isHeld(id)) : this.liveness.ask(pod, id);
  }

  /** Whether a call of this pod is still waiting and its handler is still running. */
  private isHeld(id: string): boolean {
    // guards: pending-calls.isHeld
    return this.calls.get(id)?.handler?.hasEnded === false;
  }

  private listen(): void {
    if (this.isListening) return;
    this.isListening = true;
    void this.hear();
  }

  private async hear(): Promise<void> {
    const { replies, clock } = this.parts;
    while (!this.closed) {
      try {
        this.deliver(await replies.receive());
      } catch {
        // The store has logged the error. Replies that arrive meanwhile stay in the mailbox.
        if (!this.closed) await new Promise<void>(resolve => clock.after(PAUSE_AFTER_FAILURE_MS, resolve));
      }
    }
  }

  private deliver(received: readonly Received[]): void {
    for (const { call, reply } of received) {
      if (reply.kind === 'asked') this.liveness.answer(reply.by, this.isHeld(call));
      // guards: pending-calls.deliver
      else if (reply.kind === 'overflow') for (const other of this.calls.values()) other.onOverflow();
      else if (!this.liveness.onReply(call, reply)) this.calls.get(call)?.onReply(reply);
    }
  }

  /** Calls that time out together ask together, and end in several turns of the event loop. */
  private onTimedOut(call: PendingCall): void {
    if (this.late.push(call) === 1) this.parts.clock.after(0, () => void this.endLate());
  }

  private async endLate(): Promise<void> {
    const late = this.late;
    this.late = [];
    let hosted: ReadonlyMap<string, boolean> = new Map();
    const hosts = this.parts.hosts.of(late.map(({ entity }) => entity.type)).then(known => {
      hosted = known;
    });
    await this.within(LAST_QUESTION_MS, Promise.all([this.inquiry.ask(late), hosts]));
    await this.inTurns(late, call => call.onNoReply(hosted.get(call.entity.type)));
  }

  private async inTurns(calls: readonly PendingCall[], end: (call: PendingCall) => void): Promise<void> {
    for (const [index, call] of calls.entries()) {
      // guards: pending-calls.inTurns
      if (index > 0 && index % MAX_ENDS_PER_TURN === 0)
        await new Promise<void>(resolve => this.parts.clock.after(0, resolve));
      end(call);
    }
  }

  private within(ms: number, promise: Promise<unknown>): Promise<void> {
    return new Promise(resolve => {
      // guards: pending-calls.within
      const timer = this.parts.clock.after(ms, resolve);
      void promise.then(() => {
        timer.cancel();
        resolve();
      });
    });
  }
}

/** Options under which an enqueue may add nothing. */
function mayBeKnown(options: JobOptions): boolean {
  return ['jobId', 'idempotencyKey', 'deduplication'].some(name => options[name] !== undefined);
}
