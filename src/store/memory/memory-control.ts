/** What a person does to one entity, in memory. Neighbour: `memory-server.ts` has the rules that it changes. */
import { type EntityRef, entityWord } from '../../core/entity.js';
import type { EntityControl, EntityStatus, Unblocking } from '../../core/ports.js';
import type { MemoryServer, StoredEntity } from './memory-server.js';

export class MemoryControl implements EntityControl {
  constructor(
    private readonly server: MemoryServer,
    private readonly podId: string,
  ) {}

  async pause(ref: EntityRef, isPaused: boolean): Promise<void> {
    const entity = this.server.entity(ref);
    const was = entity.paused;
    entity.paused = isPaused;
    if (!isPaused) this.lookNow(entity);
    // Also an owner whose lease has passed: nobody takes over what is paused, and it may come back.
    else if (!was) this.server.recall(entity);
  }

  async unblock(ref: EntityRef, how: Unblocking): Promise<boolean> {
    const entity = this.server.entity(ref);
    const job = this.server.blockerOf(entity);
    if (!job) {
      this.server.forget(entity);
      return false;
    }
    if (how === 'retry') Object.assign(job, { attemptsMade: 0, stalled: 0, mustFail: undefined });
    else if (how === 'drop') entity.wait = entity.wait.filter(other => other !== job);
    else {
      job.mustFail = entity.hold?.reason;
      job.isSkipped = true;
    }
    entity.hold = undefined;
    this.lookNow(entity);
    return true;
  }

  async status(ref: EntityRef): Promise<EntityStatus> {
    const entity = this.server.find(ref);
    const blocker = entity && this.server.blockerOf(entity);
    return {
      waiting: entity?.wait.length ?? 0,
      active: entity?.active.length ?? 0,
      delayed: entity?.delayed.length ?? 0,
      failed: entity?.failed.length ?? 0,
      isPaused: entity?.paused ?? false,
      ...(blocker && { blockedBy: { jobId: blocker.id, reason: entity?.hold?.reason ?? '' } }),
    };
  }

  /** Sees to it that somebody looks at an entity that may have something to do from now on. */
  private lookNow(entity: StoredEntity): void {
    if (this.server.liveOwner(entity)) {
      this.server.callOwner(entity);
      return;
    }
    if (!this.server.hasWork(entity)) {
      this.server.settle(entity);
      this.server.forget(entity);
      return;
    }
    this.server.due.set(entityWord(entity.ref), this.server.now());
    if (!this.server.callAnother(this.podId, entity)) this.server.requestWorker(entity.ref);
  }
}
