/** Answers in memory: each pod has a mailbox. Neighbour: `memory-store.ts` ends the jobs that are answered. */

import type { Settlement } from '../../core/model/job.js';
import { isTooLong, MAX_UNREAD, withoutText } from '../../core/model/mailbox.js';
import { type Notice, type Reply, readReply, thrownAs, writeReply } from '../../core/model/reply.js';
import { replyOf, waiterOf } from '../../core/model/reply-of.js';
import { StoreUnavailableError } from '../../core/model/store-errors.js';
import type { AskedJob, FoundJob, Replies } from '../../core/ports/replies.js';
import type { MemoryControl } from './operator/control.js';
import type { Outcome } from './retention.js';
import type { MemoryServer } from './server.js';
import type { StoredEntity, StoredJob } from './state.js';

const WAIT_MS = 5000;

export class MemoryReplies implements Replies {
  private closed = false;
  /** How many entries of the mailbox were read with the last call. */
  private read = 0;

  constructor(
    private readonly server: MemoryServer,
    private readonly control: MemoryControl,
    readonly address: string,
  ) {}

  /** With the end of a job. */
  answer(settlement: Settlement): void {
    const reply = replyOf(settlement);
    if (!reply) return;
    const { outcome } = settlement;
    this.post(reply, reply.text ?? (outcome.kind === 'completed' ? outcome.value : ''));
  }

  async tell(pod: string, call: string, answer: Reply | Notice): Promise<void> {
    this.post({ pod, call, kind: answer.kind }, writeReply(answer));
  }

  private post({ pod, call, kind }: { pod: string; call: string; kind: string }, text: string): void {
    const box = this.server.mailbox(pod);
    const { length } = box.entries;
    if (length > MAX_UNREAD) return;
    if (length === MAX_UNREAD) box.entries.push({ call: '', reply: { kind: 'overflow' } });
    else {
      const written = isTooLong(Buffer.byteLength(text), length) ? withoutText(kind as Reply['kind']) : { kind, text };
      box.entries.push({ call, reply: readReply(written.kind, written.text) });
    }
    box.notify?.();
  }

  async receive(): ReturnType<Replies['receive']> {
    if (this.closed) throw new StoreUnavailableError('The store has been closed.');
    const box = this.server.mailbox(this.address);
    box.entries.splice(0, this.read);
    if (box.entries.length === 0) {
      await new Promise<void>(resolve => {
        const timer = this.server.clock.after(WAIT_MS, resolve);
        box.notify = () => {
          timer.cancel();
          resolve();
        };
      });
      box.notify = undefined;
    }
    this.read = box.entries.length;
    return [...box.entries];
  }

  async *unread(): ReturnType<Replies['unread']> {
    const { entries } = this.server.mailbox(this.address);
    if (entries.length > 0) yield [...entries];
  }

  async find(jobs: readonly AskedJob[]): Promise<readonly FoundJob[]> {
    return jobs.map(asked => this.findOne(asked));
  }

  private findOne({ entity: ref, jobId, call }: AskedJob): FoundJob {
    const entity = this.server.find(ref);
    const kept = [...(entity?.failed ?? []), ...(entity?.completed ?? [])].find(({ id }) => id === jobId);
    const state = this.stateOf(entity, jobId);
    const job = kept ?? jobOf(entity, jobId);
    const isOwn = this.isFor(job, call);
    const found = { state, isOwn, codec: job?.envelope.codec };
    return kept?.outcome ? { ...found, reply: answerOf(kept.outcome) } : found;
  }

  private stateOf(entity: StoredEntity | undefined, jobId: string): FoundJob['state'] {
    if (!entity || !jobOf(entity, jobId)) return 'gone';
    if (entity.active.some(({ id }) => id === jobId)) return 'active';
    if (entity.delayed.some(({ job: { id } }) => id === jobId)) return 'delayed';
    if (entity.parents.some(({ id }) => id === jobId)) return 'waiting-children';
    return this.server.blockerOf(entity)?.id === jobId ? 'blocked' : 'waiting';
  }

  async cancel({ entity: ref, jobId, call }: AskedJob): Promise<boolean> {
    const entity = this.server.find(ref);
    const job = jobOf(entity, jobId);
    if (!entity || !job || job.attempt > 0 || !this.isFor(job, call)) return false;
    this.server.remove(entity, [job]);
    if (!this.server.liveOwner(entity)) this.control.lookNow(entity);
    return true;
  }

  close(): void {
    this.closed = true;
    this.server.mailbox(this.address).notify?.();
    this.server.mailboxes.delete(this.address);
  }

  private isFor(job: StoredJob | undefined, call: string): boolean {
    const waiter = job && waiterOf(job.envelope);
    return waiter !== undefined && waiter[0] === this.address && waiter[1] === call;
  }
}

/** What is kept of an end. */
function answerOf({ kind, value }: Outcome): Reply {
  return kind === 'completed' ? { kind, value } : { kind, thrown: thrownAs(value) };
}

/** Of those that have not ended. */
function jobOf(entity: StoredEntity | undefined, jobId: string): StoredJob | undefined {
  if (!entity) return undefined;
  const { wait, active, parents, delayed } = entity;
  return [...wait, ...active, ...parents, ...delayed.map(({ job }) => job)].find(({ id }) => id === jobId);
}
