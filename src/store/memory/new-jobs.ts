/**
 * New jobs in memory: whether the job is known already, whether its entity has capacity, and its record.
 * Neighbours: `intake.ts` routes them, `flows.ts` adds those of a flow.
 */
import { entityKey } from '../../core/model/entity.js';
import { NO_ENVELOPE } from '../../core/model/envelope.js';
import type { NewJob } from '../../core/model/job.js';
import { BacklogFullError, mayBeDropped } from '../../core/model/store-errors.js';
import type { EngineConfig } from '../../core/options/config.js';
import { jobsOf, pendingOf, put } from './queue.js';
import type { MemoryServer } from './server.js';
import type { StoredEntity, StoredJob } from './state.js';

export interface TakenIn {
  readonly entity: StoredEntity;
  readonly jobId: string;
  readonly delayMs: number;
}

export class NewJobs {
  constructor(
    private readonly server: MemoryServer,
    private readonly config: EngineConfig,
  ) {}

  /** @throws BacklogFullError when an entity has no capacity for these jobs. */
  checkCapacity(jobs: readonly NewJob[]): void {
    const left = new Map<string, number>();
    const names = new Set<string>();
    for (const job of jobs) {
      const { maxPending } = this.config.entityType(job.entity.type);
      const entity = this.server.find(job.entity);
      if (maxPending === undefined || this.knownId(job, entity) !== undefined) continue;
      const key = entityKey(job.entity);
      const known = namesOf(job).some(name => names.has(name));
      for (const name of namesOf(job)) names.add(name);
      if (known) continue;
      const pending = entity ? pendingOf(entity).length - entity.schedules.size : 0;
      const rest = (left.get(key) ?? maxPending - pending) - 1;
      if (rest < 0) throw new BacklogFullError(job.entity, maxPending);
      left.set(key, rest);
    }
  }

  takeIn(job: NewJob): TakenIn {
    const entity = this.server.entity(job.entity);
    const delayMs = Number(job.options['delay'] ?? 0);
    const known = this.knownId(job, entity);
    // guards: new-jobs.takeIn
    if (known !== undefined && !this.replaces(job, entity, known)) return { entity, jobId: known, delayMs };
    const jobId = (job.options['jobId'] as string | undefined) ?? this.server.nextId();
    this.server.deduplications.remember(job.entity, job.options, jobId);
    put(entity, this.stored(jobId, job), this.server.now());
    return { entity, jobId, delayMs };
  }

  /** BullMQ's `replace`: a new job removes a delayed one with the same deduplication. @returns whether it did. */
  private replaces({ options }: NewJob, entity: StoredEntity, known: string): boolean {
    const { replace } = (options['deduplication'] ?? {}) as { replace?: boolean };
    if (!replace || !entity.delayed.some(({ job }) => job.id === known)) return false;
    entity.delayed = entity.delayed.filter(({ job }) => job.id !== known);
    return true;
  }

  /** The record of a job without an attempt. */
  stored(id: string, { name, data, options, envelope = NO_ENVELOPE }: Omit<NewJob, 'entity'>): StoredJob {
    const enqueuedAtMs = this.server.clock.wallMs();
    const counts = { attempt: 0, attemptsMade: 0, stalled: 0 };
    return { id, name, data, options, envelope, enqueuedAtMs, ...counts, stacks: [], mustFail: undefined };
  }

  /** Whether there is a job of that id, ended and kept ones included. */
  isKnown(entity: StoredEntity, jobId: string): boolean {
    return jobsOf(entity).some(({ id }) => id === jobId);
  }

  /**
   * The id of the job that was added before under the same id or idempotency key: this add then adds nothing.
   * @throws StoreRefusedError if a drop may remove that job, since its owner has not told yet whether it had started.
   */
  knownId({ options, entity: ref }: NewJob, entity: StoredEntity | undefined): string | undefined {
    const jobId = options['jobId'] as string | undefined;
    const isKnown = entity !== undefined && jobId !== undefined && this.isKnown(entity, jobId);
    const known = this.server.deduplications.find(ref, options) ?? (isKnown ? jobId : undefined);
    // guards: new-jobs.knownId
    if (known !== undefined && entity?.owner?.recall === 'drop' && entity.active.some(({ id }) => id === known)) {
      throw mayBeDropped(known);
    }
    return known;
  }
}

/** Another job of the entity with one of these names repeats this one. */
function namesOf({ entity, options: { jobId, deduplication } }: NewJob): readonly string[] {
  const { id } = (deduplication ?? {}) as { id?: string };
  const names = [jobId === undefined ? [] : ['id', jobId], id === undefined ? [] : ['key', id]];
  return names.filter(({ length }) => length > 0).map(name => JSON.stringify([entityKey(entity), ...name]));
}
