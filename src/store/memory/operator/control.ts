/** What the operator does to one entity, in memory. Neighbours: `../removal.ts` drops, `../inspections.ts` recalls owners and calls pods. */
import { presentRun } from '../../../core/enqueue/schedule-checks.js';
import { type EntityRef, parseEntityKey } from '../../../core/model/entity.js';
import { UnsupportedError } from '../../../core/model/errors.js';
import type { Codecs } from '../../../core/payload/codec.js';
import { showPayload } from '../../../core/payload/payload.js';
import type { EntityControl, EntityStatus, JobState, JobView, Unblocking } from '../../../core/ports/operator.js';
import { blockerOf } from '../queue.js';
import type { MemoryServer } from '../server.js';
import type { Hold, StoredEntity, StoredJob } from '../state.js';

export class MemoryControl implements EntityControl {
  constructor(
    private readonly server: MemoryServer,
    private readonly podId: string,
    private readonly codecs: Codecs,
  ) {}

  async pause(ref: EntityRef, isPaused: boolean): Promise<void> {
    const entity = this.server.entity(ref);
    entity.paused = isPaused;
    if (!isPaused) this.inspectNow(entity);
    // An owner whose lease has passed too: no pod takes over a paused entity, and that owner may come back.
    else this.server.inspections.recall(entity, 'pause');
  }

  async pauseType(type: string, isPaused: boolean): Promise<void> {
    if (isPaused) this.server.pausedTypes.add(type);
    else this.server.pausedTypes.delete(type);
    for (const key of [...this.server.due.keys()]) {
      const ref = parseEntityKey(key);
      const entity = this.server.find(ref);
      if (ref.type !== type || !entity) continue;
      if (isPaused) this.server.inspections.recall(entity, 'pause');
      else this.inspectNow(entity);
    }
  }

  async unblock(ref: EntityRef, how: Unblocking, jobId?: string): Promise<boolean> {
    const entity = this.server.entity(ref);
    const job = blockerOf(entity, this.server.now());
    if (!job || (jobId !== undefined && jobId !== job.id)) {
      this.server.forget(entity);
      return false;
    }
    if (how === 'retry')
      Object.assign(job, {
        attemptsMade: 0,
        stalled: 0,
        mustFail: undefined,
        thrown: undefined,
        hasFailedChild: false,
      });
    else if (how === 'drop') {
      this.server.removal.drop(entity, [job]);
      if (entity.wait.includes(job)) throw presentRun(ref);
    } else {
      job.mustFail = entity.hold?.reason;
      job.isSkipped = true;
      job.hasFailedChild = false;
    }
    entity.hold = undefined;
    this.inspectNow(entity);
    return true;
  }

  async status(ref: EntityRef): Promise<EntityStatus> {
    const entity = this.server.find(ref);
    const blocker = entity && blockerOf(entity, this.server.now());
    return {
      waiting: entity?.wait.length ?? 0,
      active: entity?.active.length ?? 0,
      delayed: entity?.delayed.length ?? 0,
      failed: entity?.failed.length ?? 0,
      waitingForChildren: entity?.parents.length ?? 0,
      isPaused: (entity?.paused ?? false) || this.server.pausedTypes.has(ref.type),
      ...(blocker && { blockedBy: { jobId: blocker.id, reason: entity?.hold?.reason ?? '' } }),
      ...runningIn(entity),
    };
  }

  async drop(ref: EntityRef): Promise<void> {
    const entity = this.server.entity(ref);
    this.server.removal.drop(entity, [...entity.parents, ...entity.wait, ...entity.delayed.map(({ job }) => job)]);
    this.server.removal.isDropping(entity);
    if (!this.server.leases.liveOwner(entity)) this.inspectNow(entity);
  }

  async isDropping(ref: EntityRef): Promise<boolean> {
    const entity = this.server.find(ref);
    if (entity?.owner?.recall !== 'drop') return false;
    const isDropping = this.server.removal.isDropping(entity);
    if (!this.server.leases.liveOwner(entity)) this.inspectNow(entity);
    return isDropping;
  }

  async list(ref: EntityRef, state: JobState, from: number, limit: number): Promise<JobView[]> {
    const entity = this.server.find(ref);
    const delayed = [...(entity?.delayed ?? [])].sort((a, b) => a.atMs - b.atMs).map(({ job }) => job);
    const jobs = {
      waiting: entity?.wait ?? [],
      active: entity?.active ?? [],
      delayed,
      failed: [...(entity?.failed ?? [])].reverse(),
      completed: [...(entity?.completed ?? [])].reverse(),
      'waiting-children': entity?.parents ?? [],
    }[state];
    return jobs.slice(from, from + limit).map(job => viewOf(this.codecs, job, entity?.hold));
  }

  locate(): never {
    throw new UnsupportedError('There is no BullMQ queue in memory.');
  }

  private inspectNow(entity: StoredEntity): void {
    this.server.inspections.inspectNow(entity, this.podId);
  }
}

/** As told by the last renewal of the present owner; a job may have ended since. */
function runningIn(entity: StoredEntity | undefined): Pick<EntityStatus, 'running'> {
  const running = (entity?.owner?.longRuns ?? []).flatMap(({ jobId, startedAtMs }) => {
    const job = entity?.active.find(({ id }) => id === jobId);
    return job ? [{ jobId, name: job.name, startedAtMs }] : [];
  });
  return running.length > 0 ? { running } : {};
}

function viewOf(codecs: Codecs, job: StoredJob, hold?: Hold): JobView {
  const { id, name, data, envelope, enqueuedAtMs, attemptsMade, outcome } = job;
  const failedReason =
    (outcome?.kind === 'failed' ? outcome.value : undefined) ?? (hold?.jobId === id ? hold.reason : undefined);
  return {
    jobId: id,
    name,
    data: showPayload(codecs, envelope, JSON.parse(data)),
    enqueuedAtMs,
    attemptsMade,
    ...(failedReason !== undefined && { failedReason }),
  };
}
