/**
 * Whether a call of another pod still waits: one question, and one reply, through the pods' mailboxes.
 *
 * Owns: the questions without a reply, and how long each is waited for.
 * Neighbours: `deadlock.ts` needs to know it, `pending-calls.ts` answers for this pod and hands over the replies.
 */

import type { Reply } from '../model/reply.js';
import type { Clock } from '../ports/clock.js';
import type { Replies } from '../ports/replies.js';

/** A pod that has not answered by then counts as one whose call does not wait. */
const LIVENESS_MS = 500;

export interface LivenessParts {
  readonly replies: Replies;
  readonly clock: Clock;
  /** An id that no call of this pod has. */
  nextId(): string;
}

export class Liveness {
  private readonly questions = new Map<string, (isWaiting: boolean) => void>();

  constructor(private readonly parts: LivenessParts) {}

  ask(pod: string, call: string): Promise<boolean> {
    const { replies, clock } = this.parts;
    const question = this.parts.nextId();
    return new Promise(resolve => {
      const answered = (isWaiting: boolean) => {
        timer.cancel();
        this.questions.delete(question);
        resolve(isWaiting);
      };
      // guards: liveness.ask
      const timer = clock.after(LIVENESS_MS, () => answered(false));
      this.questions.set(question, answered);
      replies.tell(pod, call, { kind: 'asked', by: [replies.address, question] }).catch(() => answered(false));
    });
  }

  /** Answers the question of another pod, which counts silence as no. */
  answer([pod, question]: readonly [pod: string, question: string], isWaiting: boolean): void {
    this.parts.replies.tell(pod, question, { kind: 'completed', value: String(isWaiting) }).catch(() => {});
  }

  /** @returns whether the reply was to a question. */
  onReply(id: string, reply: Reply): boolean {
    const answered = reply.kind === 'completed' ? this.questions.get(id) : undefined;
    if (!answered || reply.kind !== 'completed') return false;
    answered(reply.value === 'true');
    return true;
  }

  /** No question is waited for any more. */
  close(): void {
    for (const answered of this.questions.values()) answered(false);
  }
}
