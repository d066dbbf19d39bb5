/**
 * Jobs that leave a queue in memory without an end of their own: given back, dropped, removed; and the parents that are told of it.
 * Neighbours: `job-end.ts` ends jobs; `queue.ts` has the order of a queue; `operator/control.ts` drops.
 */
import type { ChildResult } from '../../core/model/job.js';
import type { Deduplications } from './deduplications.js';
import type { Inspections } from './inspection-schedule.js';
import type { Leases } from './leases.js';
import { giveBack, put } from './queue.js';
import { refund } from './rate-limit.js';
import type { MemoryState, StoredEntity, StoredJob } from './state.js';

export interface RemovalParts {
  readonly deduplications: Deduplications;
  readonly leases: Leases;
  readonly inspections: Inspections;
}

export class Removal {
  constructor(
    private readonly state: MemoryState,
    private readonly parts: RemovalParts,
  ) {}

  /** A fetch of a job that has not started was no attempt. If the operator has emptied the queue since, the job is removed. */
  giveBackUnstarted(entity: StoredEntity, kept: readonly string[] = []): void {
    const stay = entity.active.filter(({ id }) => kept.includes(id));
    entity.active = entity.active.filter(({ id }) => !kept.includes(id));
    for (const job of entity.active) job.attempt--;
    refund(entity, entity.active, this.state.now());
    if (entity.owner?.recall === 'drop') this.drop(entity, entity.active);
    giveBack(entity);
    entity.active = stay;
  }

  /**
   * Whether a drop waits for the owner, which must tell what it had started of the jobs that it has fetched. If its lease has passed,
   * all that it had fetched is dropped now.
   */
  isDropping(entity: StoredEntity): boolean {
    if (this.parts.leases.liveOwner(entity)) {
      this.parts.inspections.recall(entity, 'drop');
      return entity.owner?.recall === 'drop' && entity.active.length > 0;
    }
    if (entity.active.length === 0) return false;
    this.drop(entity, entity.active);
    giveBack(entity);
    entity.owner = undefined;
    return false;
  }

  /** Removes jobs of a queue, except the next ones of its schedules. */
  drop(entity: StoredEntity, jobs: readonly StoredJob[]): void {
    const isNext = ({ id, scheduleId = '' }: StoredJob) =>
      id === `repeat:${scheduleId}:${entity.schedules.get(scheduleId)?.nextAtMs}`;
    this.remove(
      entity,
      jobs.filter(job => !isNext(job)),
    );
  }

  /** Removes jobs of a queue, in any state. */
  remove(entity: StoredEntity, jobs: readonly StoredJob[]): void {
    const removed = new Set(jobs);
    for (const { options } of jobs) this.parts.deduplications.remove(entity.ref, options);
    entity.wait = entity.wait.filter(job => !removed.has(job));
    entity.delayed = entity.delayed.filter(({ job }) => !removed.has(job));
    entity.active = entity.active.filter(job => !removed.has(job));
    entity.parents = entity.parents.filter(job => !removed.has(job));
    for (const job of jobs) this.tellParent(job, { kind: 'failed', reason: 'it was removed' });
  }

  /** A job has ended, or was removed. A parent whose last child it was joins the end of its queue (I7, race 10). */
  tellParent({ id, parent }: StoredJob, outcome: ChildResult['outcome']): void {
    if (!parent?.job.children || parent.job.children.get(id) !== undefined) return;
    const { ref, job } = parent;
    const { children } = parent.job;
    children.set(id, outcome);
    const entity = this.state.find(ref);
    if (!entity?.parents.includes(job) || [...children.values()].includes(undefined)) return;
    entity.parents = entity.parents.filter(other => other !== job);
    failWithChild(job);
    put(entity, job, this.state.now());
    this.parts.inspections.inspectNow(entity);
  }
}

/** A parent fails with the first child that failed and was required. */
function failWithChild(job: StoredJob): void {
  for (const { jobId, name, type, id, failsParent } of job.envelope.children ?? []) {
    const result = job.children?.get(jobId);
    if (!failsParent || result?.kind !== 'failed') continue;
    job.mustFail = `Child ${jobId} ("${name}") of ${type} "${id}" failed: ${result.reason}`;
    job.hasFailedChild = true;
    return;
  }
}
