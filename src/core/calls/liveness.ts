/**
 * Asks another pod whether one of its calls still waits: one question and one reply, through the mailboxes of the pods.
 *
 * Owns: the questions without a reply, and how long this pod waits for each.
 * Neighbours: `deadlock.ts` needs the replies. `pending-calls.ts` replies for this pod, and delivers the replies of others.
 */

import type { Reply } from '../model/reply.js';
import type { Clock } from '../ports/clock.js';
import type { Replies } from '../ports/replies.js';

/** Time after which a pod that has not replied counts as one whose call does not wait. */
const LIVENESS_MS = 500;

export interface LivenessParts {
  readonly replies: Replies;
  readonly clock: Clock;
  /** Returns an id that no call of this pod has. */
  nextId(): string;
}

export class Liveness {
  private readonly questions = new Map<string, (isWaiting: boolean) => void>();

  constructor(private readonly parts: LivenessParts) {}

  /** Asks whether the call of that pod still waits. Never rejects: silence counts as no. */
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

  /** Replies to the question of another pod. If the reply is lost, that pod counts it as no. */
  answer([pod, question]: readonly [pod: string, question: string], isWaiting: boolean): void {
    this.parts.replies.tell(pod, question, { kind: 'completed', value: String(isWaiting) }).catch(() => {});
  }

  /** @returns whether the reply belongs to a question of this pod. */
  onReply(id: string, reply: Reply): boolean {
    const answered = reply.kind === 'completed' ? this.questions.get(id) : undefined;
    if (!answered || reply.kind !== 'completed') return false;
    answered(reply.value === 'true');
    return true;
  }

  /** Ends all questions with no. */
  close(): void {
    for (const answered of this.questions.values()) answered(false);
  }
}
