/** Jobs on their way in, in memory: what is known already, and whether there is room. Neighbour: `memory-store.ts` routes them. */
import { entityKey } from '../../core/model/entity.js';
import { NO_ENVELOPE } from '../../core/model/envelope.js';
import type { NewJob } from '../../core/model/job.js';
import { BacklogFullError, mayBeDropped } from '../../core/model/store-errors.js';
import type { EngineConfig } from '../../core/options/config.js';
import type { MemoryServer } from './server.js';
import type { StoredEntity, StoredJob } from './state.js';

export interface TakenIn {
  readonly entity: StoredEntity;
  readonly jobId: string;
  readonly delayMs: number;
}

export class MemoryIntake {
  constructor(
    private readonly server: MemoryServer,
    private readonly config: EngineConfig,
  ) {}

  /** @throws BacklogFullError when these jobs are more than their entities have room for. */
  checkRoom(jobs: readonly NewJob[]): void {
    const room = new Map<string, number>();
    const names = new Set<string>();
    for (const job of jobs) {
      const { maxPending } = this.config.entityType(job.entity.type);
      const entity = this.server.find(job.entity);
      if (maxPending === undefined || this.knownId(job, entity) !== undefined) continue;
      const word = entityKey(job.entity);
      const known = namesOf(job).some(name => names.has(name));
      for (const name of namesOf(job)) names.add(name);
      if (known) continue;
      const pending = entity ? pendingOf(entity).length - entity.schedules.size : 0;
      const left = (room.get(word) ?? maxPending - pending) - 1;
      if (left < 0) throw new BacklogFullError(job.entity, maxPending);
      room.set(word, left);
    }
  }

  takeIn(job: NewJob): TakenIn {
    const entity = this.server.entity(job.entity);
    const delayMs = Number(job.options['delay'] ?? 0);
    const known = this.knownId(job, entity);
    // guards: intake.takeIn
    if (known !== undefined && !this.replaces(job, entity, known)) return { entity, jobId: known, delayMs };
    const jobId = (job.options['jobId'] as string | undefined) ?? this.server.nextId();
    this.server.remember(job.entity, job.options, jobId);
    this.server.put(entity, this.stored(jobId, job));
    return { entity, jobId, delayMs };
  }

  /** BullMQ's `replace`: a job that is for later makes way for the one that comes under its deduplication. @returns whether it did. */
  private replaces({ options }: NewJob, entity: StoredEntity, known: string): boolean {
    const { replace } = (options['deduplication'] ?? {}) as { replace?: boolean };
    if (!replace || !entity.delayed.some(({ job }) => job.id === known)) return false;
    entity.delayed = entity.delayed.filter(({ job }) => job.id !== known);
    return true;
  }

  /** A job that has not been tried. */
  stored(id: string, { name, data, options, envelope = NO_ENVELOPE }: Omit<NewJob, 'entity'>): StoredJob {
    const enqueuedAtMs = this.server.clock.wallMs();
    const counts = { attempt: 0, attemptsMade: 0, stalled: 0 };
    return { id, name, data, options, envelope, enqueuedAtMs, ...counts, stacks: [], mustFail: undefined };
  }

  /** Whether a job of that id is there: it may have ended, and be kept. */
  isKnown(entity: StoredEntity, jobId: string): boolean {
    return jobsOf(entity).some(({ id }) => id === jobId);
  }

  /**
   * The id of the job that was added before, under the same id or idempotency key: an add adds nothing.
   * @throws StoreRefusedError where a drop may remove that job: its owner has to tell yet whether it had started.
   */
  knownId({ options, entity: ref }: NewJob, entity: StoredEntity | undefined): string | undefined {
    const jobId = options['jobId'] as string | undefined;
    const isKnown = entity !== undefined && jobId !== undefined && this.isKnown(entity, jobId);
    const known = this.server.deduplicated(ref, options) ?? (isKnown ? jobId : undefined);
    // guards: intake.knownId
    if (known !== undefined && entity?.owner?.recall === 'drop' && entity.active.some(({ id }) => id === known)) {
      throw mayBeDropped(known);
    }
    return known;
  }
}

function pendingOf({ wait, active, delayed, parents }: StoredEntity): readonly StoredJob[] {
  return [...wait, ...active, ...delayed.map(({ job }) => job), ...parents];
}

/** All jobs of an entity, those that are kept among them. */
export function jobsOf(entity: StoredEntity): readonly StoredJob[] {
  return [...pendingOf(entity), ...entity.failed, ...entity.completed];
}

/** What makes another job of its entity a repetition of this one. */
function namesOf({ entity, options: { jobId, deduplication } }: NewJob): readonly string[] {
  const { id } = (deduplication ?? {}) as { id?: string };
  const names = [jobId === undefined ? [] : ['id', jobId], id === undefined ? [] : ['key', id]];
  return names.filter(({ length }) => length > 0).map(name => JSON.stringify([entityKey(entity), ...name]));
}
