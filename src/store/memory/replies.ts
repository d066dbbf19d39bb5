/** Replies in memory: each pod has a mailbox. Neighbour: `job-end.ts` ends the jobs that are replied to. */
import type { Settlement } from '../../core/model/job.js';
import { isTooLong, MAX_UNREAD, withoutText } from '../../core/model/mailbox.js';
import { type Notice, type Reply, readReply, thrownAs, writeReply } from '../../core/model/reply.js';
import { replyOf, waiterOf } from '../../core/model/reply-of.js';
import { StoreUnavailableError } from '../../core/model/store-errors.js';
import type { AskedJob, FoundJob, Replies } from '../../core/ports/replies.js';
import { REPLY_WAIT_SECONDS } from '../protocol-constants.js';
import { blockerOf, pendingOf } from './queue.js';
import type { Outcome } from './retention.js';
import type { MemoryServer } from './server.js';
import type { StoredEntity, StoredJob } from './state.js';

export class MemoryReplies implements Replies {
  private closed = false;
  /** How many entries of the mailbox were read with the last call. */
  private read = 0;

  constructor(
    private readonly server: MemoryServer,
    readonly address: string,
  ) {}

  /** With the end of a job. */
  reply(settlement: Settlement): void {
    const reply = replyOf(settlement);
    if (!reply) return;
    const { outcome } = settlement;
    this.post(reply, reply.text ?? (outcome.kind === 'completed' ? outcome.value : ''));
  }

  async tell(pod: string, call: string, reply: Reply | Notice): Promise<void> {
    this.post({ pod, call, kind: reply.kind }, writeReply(reply));
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
        const timer = this.server.clock.after(1000 * REPLY_WAIT_SECONDS, resolve);
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
    return kept?.outcome ? { ...found, reply: replyOfKept(kept.outcome) } : found;
  }

  private stateOf(entity: StoredEntity | undefined, jobId: string): FoundJob['state'] {
    if (!entity || !jobOf(entity, jobId)) return 'gone';
    if (entity.active.some(({ id }) => id === jobId)) return 'active';
    if (entity.delayed.some(({ job: { id } }) => id === jobId)) return 'delayed';
    if (entity.parents.some(({ id }) => id === jobId)) return 'waiting-children';
    return blockerOf(entity, this.server.now())?.id === jobId ? 'blocked' : 'waiting';
  }

  async cancel({ entity: ref, jobId, call }: AskedJob): Promise<boolean> {
    const entity = this.server.find(ref);
    const job = jobOf(entity, jobId);
    if (!entity || !job || job.attempt > 0 || !this.isFor(job, call)) return false;
    this.server.removal.remove(entity, [job]);
    if (!this.server.leases.liveOwner(entity)) this.server.inspections.inspectNow(entity, this.address);
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

/** The reply that a kept job can still give. */
function replyOfKept({ kind, value }: Outcome): Reply {
  return kind === 'completed' ? { kind, value } : { kind, thrown: thrownAs(value) };
}

/** Among those that have not ended. */
function jobOf(entity: StoredEntity | undefined, jobId: string): StoredJob | undefined {
  return entity && pendingOf(entity).find(({ id }) => id === jobId);
}
