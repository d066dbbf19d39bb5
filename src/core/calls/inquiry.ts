/**
 * Polls the jobs for which no reply may arrive: an operator removed the job, Redis lost it, or an earlier enqueue added it. It also reads
 * the mailbox, in case its reader has missed a reply.
 *
 * Owns: one timer for all calls, and the bounds of a round. A round begins with the calls that were polled longest ago.
 * Neighbours: `pending-calls.ts` has the calls, and `pending-call.ts` concludes from what was found.
 */

import type { Clock, Timer } from '../ports/clock.js';
import type { FoundJob, Received, Replies } from '../ports/replies.js';
import type { PendingCall } from './pending-call.js';

export interface InquiryParts {
  readonly replies: Replies;
  readonly clock: Clock;
  readonly calls: Map<string, PendingCall>;
  deliver(received: readonly Received[]): void;
}

/** Time between two polls of one job. */
const POLL_MS = 3000;
/** The same for a job of another enqueue, whose reply does not come to this call. Also the time between two rounds. */
const ATTACHED_POLL_MS = 250;
/** Maximum number of calls in one round. 4,000 calls a second cost Redis a twentieth of its time. */
const MAX_PER_ROUND = 1000;
/** Maximum number of calls that one script looks up. */
const MAX_AT_ONCE = 100;

/** A call whose job was added, as far as this pod knows. */
interface Asked {
  readonly call: PendingCall;
  readonly jobId: string;
}

export class Inquiry {
  private timer: Timer | undefined;
  private closed = false;

  constructor(private readonly parts: InquiryParts) {}

  /** Starts the timer if a call waits. */
  schedule(): void {
    if (this.timer || this.closed || this.parts.calls.size === 0) return;
    this.timer = this.parts.clock.after(ATTACHED_POLL_MS, () => void this.round());
  }

  close(): void {
    this.closed = true;
    this.timer?.cancel();
  }

  /** Polls the jobs of these calls now. If Redis does not respond, a later round polls them again. Never rejects. */
  async ask(calls: readonly PendingCall[]): Promise<void> {
    const gone: (readonly [PendingCall, FoundJob])[] = [];
    for (let from = 0; from < calls.length; from += MAX_AT_ONCE) {
      gone.push(...(await this.askPage(calls.slice(from, from + MAX_AT_ONCE))));
    }
    if (gone.length === 0) return;
    try {
      // guards: inquiry.ask
      for await (const page of this.parts.replies.unread()) this.parts.deliver(page);
    } catch {
      return;
    }
    for (const [call, found] of gone) if (this.isWaiting(call)) call.onFound(found);
  }

  private async round(): Promise<void> {
    // guards: inquiry.round
    await this.ask(this.due());
    this.timer = undefined;
    this.schedule();
  }

  private due(): readonly PendingCall[] {
    const now = this.parts.clock.monotonicMs();
    const due: PendingCall[] = [];
    for (const call of this.parts.calls.values()) {
      const isDue = now - call.askedAtMs >= (call.isAttached ? ATTACHED_POLL_MS : POLL_MS);
      // guards: inquiry.due
      if (isDue && call.jobId !== undefined && due.push(call) === MAX_PER_ROUND) break;
    }
    return due;
  }

  /** @returns the calls whose jobs are gone. If such a job has a reply, it is in the mailbox, or was read. */
  private async askPage(calls: readonly PendingCall[]): Promise<readonly (readonly [PendingCall, FoundJob])[]> {
    const known = calls.flatMap((call): Asked[] =>
      this.isWaiting(call) && call.jobId !== undefined ? [{ call, jobId: call.jobId }] : [],
    );
    if (known.length === 0) return [];
    for (const { call } of known) this.putLast(call);
    try {
      const found = await this.parts.replies.find(
        known.map(({ call: { id, entity }, jobId }) => ({ entity, jobId, call: id })),
      );
      return known.flatMap(({ call }, index) => {
        const one = found[index];
        if (!one || !this.isWaiting(call)) return [];
        if (one.state === 'gone') return [[call, one] as const];
        call.onFound(one);
        return [];
      });
    } catch {
      // Redis did not respond. The store logs that.
      return [];
    }
  }

  private putLast(call: PendingCall): void {
    const { calls, clock } = this.parts;
    call.askedAtMs = clock.monotonicMs();
    // guards: inquiry.putLast
    calls.delete(call.id);
    calls.set(call.id, call);
  }

  private isWaiting({ id }: PendingCall): boolean {
    return this.parts.calls.has(id);
  }
}
