/**
 * The calls of this pod that wait for replies.
 *
 * Owns: which calls wait, how many may, and the one receiver of replies for all of them, which starts with the first call.
 * Neighbours: `pending-call.ts` is one call; `inquiry.ts` asks for the states of their jobs, which `enqueuer.ts` adds; `deadlock.ts`
 * refuses calls that would wait in a circle, and `liveness.ts` asks other pods for it; the store keeps replies until they are read.
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
import { sealedBy } from '../payload/codec.js';
import type { HostLookup } from '../pod/host-lookup.js';
import type { Clock } from '../ports/clock.js';
import type { Received, Replies } from '../ports/replies.js';
import { DeadlockError, TooManyWaitingCallsError, WaitAbortedError } from './call-errors.js';
import { linksTo, pathBetween, refuseCircle, waitingHandler } from './deadlock.js';
import { Inquiry } from './inquiry.js';
import { Liveness } from './liveness.js';
import { type CallRequest, PendingCall } from './pending-call.js';

/** How a caller waits. */
export interface WaitOptions {
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
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
/** How long calls that have timed out ask for the states of their jobs. */
const LAST_QUESTION_MS = 250;
/** Calls that end in one turn of the event loop. */
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
   * @throws InvalidOptionError, TooManyWaitingCallsError, DeadlockError, ClosedError and those of an enqueue: nothing was added
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
    // Before it is sent: the answer may come before that of the enqueue.
    this.calls.set(id, call);
    // They go on for the calls of others.
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

  /** Whoever waits is told so; what he waits for goes on. */
  async close(): Promise<void> {
    this.closed = true;
    this.inquiry.close();
    this.liveness.close();
    await this.inTurns([...this.calls.values()], call =>
      call.onClose(new ClosedError('This pod has shut down, and waits no longer; the job goes on.')),
    );
  }

  private check(request: JobRequest, { timeoutMs, signal, cancelJob = false }: WaitOptions): CallRequest {
    const culprit = `Job "${request.name}"`;
    const entity = entityRef(request.entityType, request.entityId, culprit);
    const waitsMs = timeoutMs ?? this.parts.config.replyTimeoutMs;
    if (waitsMs === undefined) {
      throw new InvalidOptionError(
        `${culprit} is to be waited for, and nothing says for how long; give timeoutMs, or replyTimeoutMs of the module.`,
      );
    }
    if (signal !== undefined && !isKindOf(signal, 'AbortSignal')) {
      throw new InvalidOptionError(`${culprit} is to be waited for with a signal that is no AbortSignal.`);
    }
    if (typeof cancelJob !== 'boolean') throw new InvalidOptionError(`${culprit} has a cancelJob that is no boolean.`);
    const { codec, jobOptions } = this.parts.config.entityType(entity.type);
    return {
      id: this.nextId(),
      entity,
      name: request.name,
      timeoutMs: milliseconds(`timeoutMs of ${culprit}`, waitsMs),
      signal,
      cancelJob,
      mayBeKnown: mayBeKnown({ ...jobOptions, ...request.options }),
      // guards: pending-calls.check
      codec: sealedBy(codec, undefined)?.codec,
      handler: waitingHandler(),
    };
  }

  private nextId(): string {
    return (++this.lastId).toString(36);
  }

  /** Resolves with nothing when the call has ended before its job was sent. */
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
    // All others are sent at once, so that calls of one tick keep their order.
    if (!pathBetween(links, to, from)) return added();
    const isWaiting = (pod: string, id: string) => this.isWaiting(pod, id);
    return refuseCircle(links, { own, target: call.entity, isWaiting }).then(() =>
      this.calls.has(call.id) ? added() : undefined,
    );
  }

  private isWaiting(pod: string, id: string): Promise<boolean> {
    return pod === this.parts.replies.address ? Promise.resolve(this.isHeld(id)) : this.liveness.ask(pod, id);
  }

  /** Whether a call of this pod waits, and its handler runs. */
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
        // The store has logged it. What came meanwhile is still there.
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

  /** Those that time out together ask together, and end in turns. */
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
