/**
 * Fetches in memory: which jobs of an entity its owner gets, and when it asks again.
 * Neighbours: `work.ts` and `claims.ts` guard the steps; `queue.ts` has the order; `job-end.ts` is what becomes of the jobs.
 */
import { MAX_FETCH_BYTES } from '../../core/model/bounds.js';
import { type ChildResult, childResult, type FetchedJob } from '../../core/model/job.js';
import type { EngineConfig } from '../../core/options/config.js';
import type { Fetched } from '../../core/ports/work.js';
import { heldForMs, promote } from './queue.js';
import { capacityInRate, spend } from './rate-limit.js';
import type { MemoryServer } from './server.js';
import type { StoredEntity, StoredJob } from './state.js';

export interface FetchParts {
  readonly config: EngineConfig;
  readonly podId: string;
}

/** A fetched job as this store knows it. */
export interface MemoryJob extends FetchedJob {
  readonly stored: StoredJob;
}

export class Fetch {
  constructor(
    private readonly server: MemoryServer,
    private readonly parts: FetchParts,
  ) {}

  /** For a worker that is idle: a dormant claim is reactivated. */
  taken(entity: StoredEntity, limit: number): Fetched {
    const isReactivated = this.server.leases.reactivate(entity);
    const fetched = limit > 0 ? this.fetch(entity, limit) : { jobs: [] };
    return isReactivated ? { ...fetched, isReactivated } : fetched;
  }

  fetch(entity: StoredEntity, limit: number): Fetched {
    const now = this.server.now();
    promote(entity, now);
    // The owner must first give back what it has fetched.
    if (entity.owner?.recall) return { jobs: [], isRecalled: true };
    const heldMs = heldForMs(entity, now);
    if (heldMs === Number.POSITIVE_INFINITY) return { jobs: [] };
    if (heldMs !== undefined) return { jobs: [], againInMs: Math.max(1, heldMs) };
    const { hold } = entity;
    const isOver = hold && (hold.untilMs <= now || !entity.wait.some(({ id }) => id === hold.jobId));
    if (isOver) entity.hold = undefined;
    const { rateLimit } = this.parts.config.entityType(entity.ref.type);
    const isPaused = this.server.isPaused(entity);
    const capacity = isPaused ? 0 : capacityInRate(entity, limit, rateLimit, now);
    const jobs = entity.wait.splice(0, countUpTo(entity.wait.slice(0, capacity), MAX_FETCH_BYTES));
    const isPartial = jobs.length < capacity && entity.wait.length > 0;
    spend(entity, jobs, rateLimit, now);
    for (const job of jobs) {
      job.attempt++;
      job.fetchedAtMs = now;
    }
    entity.active.push(...jobs);
    const fetched = jobs.map(job => ({ ...toFetched(job), children: job.children && this.childrenOf(entity, job) }));
    if (entity.spent && capacity < limit && entity.wait.length > 0 && !isPaused) {
      return { jobs: fetched, againInMs: Math.max(1, entity.spent.untilMs - now), isLimited: true };
    }
    if (isPartial) return { jobs: fetched, isPartial };
    const next = Math.min(...entity.delayed.map(({ atMs }) => atMs));
    return jobs.length < limit && Number.isFinite(next)
      ? { jobs: fetched, againInMs: Math.max(1, next - now) }
      : { jobs: fetched };
  }

  /** Guarded by the claim under which the job was fetched. */
  private childrenOf({ ref, owner }: StoredEntity, job: StoredJob): () => Promise<readonly ChildResult[]> {
    const claim = { entity: ref, token: '', epoch: owner?.epoch ?? 0 };
    return async () => {
      this.server.leases.guard(claim, this.parts.podId);
      return (job.envelope.children ?? []).map(child => childResult(child, job.children?.get(child.jobId)));
    };
  }
}

/** How many jobs reach so many bytes, the one that exceeds the bound included. */
function countUpTo(jobs: readonly StoredJob[], maxBytes: number): number {
  let bytes = 0;
  const last = jobs.findIndex(({ data }) => {
    bytes += Buffer.byteLength(data);
    return bytes >= maxBytes;
  });
  return last < 0 ? jobs.length : last + 1;
}

function toFetched(job: StoredJob): MemoryJob {
  return {
    stored: job,
    id: job.id,
    name: job.name,
    data: JSON.parse(job.data),
    attempt: job.attempt,
    attemptsMade: job.attemptsMade,
    options: job.options,
    envelope: job.envelope,
    mustFail: job.mustFail,
    thrown: job.thrown,
    isSkipped: job.isSkipped,
    hasFailedChild: job.hasFailedChild ?? false,
    native: payload => ({ id: job.id, name: job.name, data: payload ? payload.data : JSON.parse(job.data) }),
  };
}
