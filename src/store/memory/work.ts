/**
 * The work of an owner in memory: fetch, end, give back; each guarded by the claim.
 * Neighbours: `fetch.ts` and `job-end.ts` are what the steps do; `claims.ts` makes this pod the owner.
 */
import type { Claim } from '../../core/model/claim.js';
import type { Settlement } from '../../core/model/job.js';
import { overtakes } from '../../core/model/store-errors.js';
import type { EngineConfig } from '../../core/options/config.js';
import type { Fetched, Gathering, Work } from '../../core/ports/work.js';
import type { Fetch } from './fetch.js';
import type { JobEnds } from './job-end.js';
import type { MemoryServer } from './server.js';
import type { StoredEntity } from './state.js';
import { step } from './step.js';

export interface WorkParts {
  readonly config: EngineConfig;
  readonly podId: string;
  readonly fetch: Fetch;
  readonly ends: JobEnds;
}

export class MemoryWork implements Work {
  constructor(
    private readonly server: MemoryServer,
    private readonly parts: WorkParts,
  ) {}

  take(claim: Claim, count = 1, gathering?: Gathering): Promise<Fetched> {
    return step(() => {
      const entity = this.guard(claim);
      if (gathering && entity.owner) {
        entity.owner.gathering = { upTo: gathering.upTo, untilMs: this.server.now() + gathering.forMs };
      }
      return this.parts.fetch.taken(entity, count);
    });
  }

  finish(claim: Claim, settlements: readonly Settlement[], take: number): Promise<Fetched> {
    return step(() => {
      const entity = this.guard(claim);
      this.checkOrder(entity, settlements);
      const isUnknown = settlements.some(({ job }) => entity.active.every(({ id }) => id !== job.id));
      this.parts.ends.endAll(entity, settlements);
      // guards: work.finish
      if (isUnknown && entity.active.length > 0) return { jobs: [], isRecalled: true };
      return this.parts.fetch.fetch(entity, take);
    });
  }

  giveBack(claim: Claim, kept: readonly string[]): Promise<void> {
    return step(() => {
      const entity = this.guard(claim);
      this.server.removal.giveBackUnstarted(entity, kept);
      if (entity.owner) entity.owner.recall = undefined;
    });
  }

  private guard(claim: Claim): StoredEntity {
    return this.server.leases.guard(claim, this.parts.podId);
  }

  /** @throws StoreRefusedError when an end would count before that of an older job (I6). */
  private checkOrder(entity: StoredEntity, settlements: readonly Settlement[]): void {
    if (!this.parts.config.entityType(entity.ref.type).isOrdered) return;
    const ending = new Set(settlements.map(({ job }) => job.id));
    const last = entity.active.findLastIndex(({ id }) => ending.has(id));
    const alongside = settlements[0]?.alongside ?? [];
    const older = entity.active
      .slice(0, Math.max(0, last))
      .some(({ id }) => !ending.has(id) && !alongside.includes(id));
    if (older) throw overtakes(entity.active[last]?.id ?? '');
  }
}
