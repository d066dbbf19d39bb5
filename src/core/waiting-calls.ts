/**
 * The calls of this pod that wait for answers.
 *
 * Owns who waits, the one ear for all of them, which is opened with the first, and the slow question after jobs of which no
 * answer tells: removed by a person, forgotten by Redis, added by an earlier enqueue; it also finds an answer that the ear
 * has missed. Neighbours: `waiting-call.ts` is one of them, `enqueue.ts` adds their jobs, the store keeps answers until they
 * are read.
 */
import { WaitAbortedError } from './answer-errors.js';
import type { Answers } from './answers-port.js';
import { sealedBy } from './codec.js';
import { chainTo } from './deadlock.js';
import { detached } from './detached.js';
import type { EnqueuedJob, JobRequest } from './enqueue.js';
import { entityRef } from './entity.js';
import type { Envelope } from './envelope.js';
import { ClosedError, InvalidOptionError, rejecting } from './errors.js';
import type { JobOptions } from './jobs.js';
import { milliseconds } from './option-checks.js';
import type { EngineConfig } from './options.js';
import type { Clock, Timer } from './ports.js';
import { type CallRequest, WaitingCall } from './waiting-call.js';

/** How a caller waits. */
export interface WaitOptions {
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly cancelJob?: boolean | undefined;
}

export interface WaitingCallsParts {
  readonly answers: Answers;
  readonly config: EngineConfig;
  readonly clock: Clock;
  add(request: JobRequest, envelope: Envelope): Promise<EnqueuedJob>;
}

/** How often a job is asked after … */
const POLL_MS = 3000;
/** … and one whose answer does not come here; it is looked that often whom to ask after. */
const ATTACHED_POLL_MS = 250;
const MOST_ASKED_AT_ONCE = 100;
const PAUSE_AFTER_FAILURE_MS = 500;

export class WaitingCalls {
  private readonly calls = new Map<string, WaitingCall>();
  private lastId = 0;
  private isListening = false;
  private closed = false;
  private pollTimer: Timer | undefined;

  constructor(private readonly parts: WaitingCallsParts) {}

  /**
   * Enqueues a job and resolves with its result.
   * @throws InvalidOptionError, DeadlockError, ClosedError and those of an enqueue: nothing was added
   */
  call(request: JobRequest, options: WaitOptions): Promise<unknown> {
    if (this.closed) throw new ClosedError();
    const checked = this.check(request, options);
    const { id, entity, timeoutMs, signal } = checked;
    if (signal?.aborted) {
      throw new WaitAbortedError({ entity, name: request.name, jobId: undefined }, false, signal.reason);
    }
    const nowMs = this.parts.clock.wallMs();
    const chain = chainTo(entity, nowMs + timeoutMs, nowMs);
    const { answers, clock, config, add } = this.parts;
    const { codecs } = config;
    const call = new WaitingCall(checked, { answers, clock, codecs, settled: ({ id }) => this.calls.delete(id) });
    // Before it is sent: the answer may come before that of the enqueue.
    this.calls.set(id, call);
    // They go on for the calls of others.
    detached(() => {
      this.listen();
      this.schedulePoll();
    });
    rejecting(() => add(request, { reply: [answers.address, id], ...(chain && { chain }) })).then(
      ({ jobId }) => {
        call.onAdded(jobId);
        if (call.isAttached) void this.ask([call]);
      },
      error => call.onNotAdded(error),
    );
    return call.result;
  }

  /** Whoever waits is told so; what he waits for goes on. */
  close(): void {
    this.closed = true;
    this.pollTimer?.cancel();
    for (const call of [...this.calls.values()]) {
      call.onClose(new ClosedError('This pod has shut down, and waits no longer; the job goes on.'));
    }
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
    if (signal !== undefined && !(signal instanceof AbortSignal)) {
      throw new InvalidOptionError(`${culprit} is to be waited for with a signal that is no AbortSignal.`);
    }
    if (typeof cancelJob !== 'boolean') throw new InvalidOptionError(`${culprit} has a cancelJob that is no boolean.`);
    const { codec, jobOptions } = this.parts.config.entityType(entity.type);
    return {
      id: (++this.lastId).toString(36),
      entity,
      name: request.name,
      timeoutMs: milliseconds(`timeoutMs of ${culprit}`, waitsMs),
      signal,
      cancelJob,
      mayBeKnown: mayBeKnown({ ...jobOptions, ...request.options }),
      codec: sealedBy(codec, undefined)?.codec,
    };
  }

  private listen(): void {
    if (this.isListening) return;
    this.isListening = true;
    void this.hear();
  }

  private async hear(): Promise<void> {
    const { answers, clock } = this.parts;
    while (!this.closed) {
      try {
        for (const { call, answer } of await answers.receive()) this.calls.get(call)?.onAnswer(answer);
      } catch {
        // The store has logged it. What came meanwhile is still there.
        if (!this.closed) await new Promise<void>(resolve => clock.after(PAUSE_AFTER_FAILURE_MS, resolve));
      }
    }
  }

  /** One timer while anybody waits. */
  private schedulePoll(): void {
    if (this.pollTimer || this.closed || this.calls.size === 0) return;
    this.pollTimer = this.parts.clock.after(ATTACHED_POLL_MS, () => void this.poll());
  }

  private async poll(): Promise<void> {
    const now = this.parts.clock.monotonicMs();
    const due = [...this.calls.values()].filter(
      ({ askedAtMs, isAttached }) => now - askedAtMs >= (isAttached ? ATTACHED_POLL_MS : POLL_MS),
    );
    for (let from = 0; from < due.length; from += MOST_ASKED_AT_ONCE) {
      await this.ask(due.slice(from, from + MOST_ASKED_AT_ONCE));
    }
    this.pollTimer = undefined;
    this.schedulePoll();
  }

  private async ask(calls: readonly WaitingCall[]): Promise<void> {
    const known = calls.flatMap(call => (call.jobId === undefined ? [] : [{ call, jobId: call.jobId }]));
    for (const { call } of known) call.askedAtMs = this.parts.clock.monotonicMs();
    if (known.length === 0) return;
    try {
      const found = await this.parts.answers.find(
        known.map(({ call: { id, entity }, jobId }) => ({ entity, jobId, call: id })),
      );
      for (const [index, { call }] of known.entries()) {
        const one = found[index];
        if (one && this.calls.has(call.id)) call.onFound(one);
      }
    } catch {
      // Asked again with the next poll.
    }
  }
}

/** Options under which an enqueue may add nothing. */
function mayBeKnown(options: JobOptions): boolean {
  return ['jobId', 'idempotencyKey', 'deduplication'].some(name => options[name] !== undefined);
}
