/**
 * Claims in memory: which pod works an entity.
 * Neighbours: `grants.ts` grants, `leases.ts` says how long a claim lasts, `work.ts` is what an owner does.
 */
import type { Claim } from '../../core/model/claim.js';
import { type EntityRef, entityKey } from '../../core/model/entity.js';
import type { FetchedJob, Settlement } from '../../core/model/job.js';
import { noLongerOwned } from '../../core/model/job-errors.js';
import type { EngineConfig } from '../../core/options/config.js';
import type {
  Claimed,
  Claims,
  Passed,
  PodState,
  ReleaseMode,
  Renewal,
  Renewed,
  TypeLoad,
} from '../../core/ports/claims.js';
import { DORMANT_LEASES } from '../../core/run/lease.js';
import { HOLD_LEAD_MS } from '../protocol-constants.js';
import type { Fetch } from './fetch.js';
import type { JobEnds } from './job-end.js';
import { hasWork, heldForLongMs, heldForMs } from './queue.js';
import type { MemoryServer } from './server.js';
import type { Owner, StoredEntity } from './state.js';
import { step } from './step.js';

export interface ClaimsParts {
  readonly config: EngineConfig;
  readonly podId: string;
  readonly fetch: Fetch;
  readonly ends: JobEnds;
}

export class MemoryClaims implements Claims {
  constructor(
    private readonly server: MemoryServer,
    private readonly parts: ClaimsParts,
  ) {}

  tryClaim(ref: EntityRef, claimWith: number): Promise<Claimed | Passed> {
    return step(() => {
      const entity = this.server.entity(ref);
      const found = this.inspect(entity, claimWith);
      return found === 'waiting' ? this.claim(entity, claimWith) : found;
    });
  }

  peek(ref: EntityRef): Promise<Passed | 'waiting'> {
    return step(() => this.inspect(this.server.entity(ref), 0));
  }

  /** Whether there is something to claim, for a claim of that epoch; if not, the next inspection is scheduled. */
  private inspect(entity: StoredEntity, claimWith: number): Passed | 'waiting' {
    const { leases, inspections } = this.server;
    const now = this.server.now();
    if (leases.isOwnedByOther(entity, this.parts.podId)) {
      inspections.schedule(entity, leases.liveUntil(entity) ?? 0);
      return 'owned';
    }
    // A call of this pod that arrives late: it must not give up the claim that came after it.
    // A pod that only peeks, without capacity, does not know of its own claim: a response was lost (race 26).
    if (entity.owner?.podId === this.parts.podId && entity.owner.epoch >= claimWith)
      return claimWith === 0 && !this.server.isPaused(entity) && hasWork(entity, now) ? 'waiting' : 'later';
    if (!hasWork(entity, now)) {
      inspections.giveUpIdle(entity);
      this.server.forget(entity);
      return 'later';
    }
    if (inspections.isParked(entity)) {
      inspections.park(entity);
      return this.server.isPaused(entity) ? 'paused' : 'later';
    }
    // Jobs that a dead owner had fetched, and that were put before the head, do not wait with it.
    const heldMs = entity.active.length === 0 ? heldForLongMs(entity, now) : undefined;
    if (heldMs === undefined) return 'waiting';
    inspections.schedule(entity, now + heldMs - HOLD_LEAD_MS);
    return 'later';
  }

  /** Grants the claim to this pod, and fetches the first job. */
  claim(entity: StoredEntity, epoch: number, keepsToken = false): Claimed {
    const { podId, config, fetch } = this.parts;
    const { maxStalledCount } = config.entityType(entity.ref.type);
    const recovered = this.server.grants.grant(entity, { podId, epoch, maxStalledCount, keepsToken });
    const claim = { entity: entity.ref, token: String(entity.token), epoch };
    return { claim, recovered, ...fetch.fetch(entity, 1) };
  }

  resync(claim: Claim, epoch: number, settled: readonly Settlement[]): Promise<Claimed> {
    return step(() => {
      const entity = this.server.find(claim.entity);
      const owner = entity?.owner;
      if (!entity || owner?.podId !== this.parts.podId || owner.epoch < claim.epoch || owner.epoch >= epoch)
        throw noLongerOwned(claim);
      this.parts.ends.endAgain(entity, settled);
      this.server.removal.giveBackUnstarted(entity);
      return this.claim(entity, epoch, true);
    });
  }

  release(claim: Claim, mode: ReleaseMode): Promise<boolean> {
    return step(() => {
      const { inspections, removal, leases } = this.server;
      const entity = leases.guard(claim, this.parts.podId);
      if (mode !== 'idle') removal.giveBackUnstarted(entity);
      const now = this.server.now();
      if (!hasWork(entity, now)) {
        inspections.giveUpIdle(entity);
        this.server.forget(entity);
        return true;
      }
      if (inspections.isParked(entity)) {
        entity.owner = undefined;
        inspections.park(entity);
        return true;
      }
      const heldMs = heldForLongMs(entity, now);
      const waitsForMs = heldMs === undefined ? 0 : heldMs - HOLD_LEAD_MS;
      if (mode === 'idle' && waitsForMs === 0) return false;
      entity.owner = undefined;
      inspections.schedule(entity, now + waitsForMs);
      if (mode !== 'idle' && waitsForMs === 0) {
        const isCalled = inspections.callAnother(this.parts.podId, entity);
        if (!isCalled && mode === 'hand-over') inspections.requestWorker(entity.ref);
      }
      return true;
    });
  }

  defer(claim: Claim, job: FetchedJob, graceMs: number): Promise<boolean> {
    return step(() => {
      const entity = this.server.leases.guard(claim, this.parts.podId);
      const stored = entity.active.find(({ id }) => id === job.id);
      const now = this.server.now();
      if (!stored || graceMs === 0) return false;
      stored.deferredAtMs ??= now;
      if (now - stored.deferredAtMs >= graceMs) {
        stored.deferredAtMs = undefined;
        return false;
      }
      this.server.removal.giveBackUnstarted(entity);
      entity.owner = undefined;
      this.server.inspections.schedule(entity, now);
      return true;
    });
  }

  renew(renewals: readonly Renewal[], pod: PodState): Promise<Renewed> {
    return step(() => {
      const loads = pod.types.map(type => this.announce(type, pod));
      const wasHeard = this.server.leases.hear(this.parts.podId);
      const lost: number[] = [];
      const kicked: number[] = [];
      const dormant: number[] = [];
      for (const [position, renewal] of renewals.entries()) {
        const entity = this.server.find(renewal.claim.entity);
        const owner = entity?.owner;
        if (!entity || owner?.podId !== this.parts.podId || owner.epoch < renewal.claim.epoch) {
          if (entity) this.server.grants.clearSuspicion(entity, this.parts.podId);
          lost.push(position);
          continue;
        }
        this.renewOne(entity, owner, renewal);
        if (owner.isDormant) dormant.push(position);
        if (this.isKicked(entity, renewal)) kicked.push(position);
      }
      return { lost, kicked, dormant, wasHeard, loads };
    });
  }

  /** This pod has capacity for a type, or has none left. @returns how much all pods with capacity have to do. */
  private announce(type: string, { takesMore, workers }: PodState): TypeLoad {
    const pods = this.server.pods.get(type) ?? new Map();
    if (takesMore) pods.set(this.parts.podId, { seenAtMs: this.server.now(), workers });
    else pods.delete(this.parts.podId);
    this.server.pods.set(type, pods);
    const live = this.server.leases.livePods(type);
    return { pods: live.length, workers: live.reduce((sum, [, { workers }]) => sum + workers, 0) };
  }

  private renewOne(entity: StoredEntity, owner: Owner, { idle, longRuns }: Renewal): void {
    owner.longRuns = longRuns;
    owner.isDormant = idle && [entity.wait, entity.active, entity.delayed].every(({ length }) => length === 0);
    owner.untilMs = this.server.now() + this.server.leaseMs * (owner.isDormant ? DORMANT_LEASES : 1);
    this.server.due.set(entityKey(entity.ref), owner.untilMs);
  }

  /** Whether an idle worker has something to do. */
  private isKicked(entity: StoredEntity, { idle }: Renewal): boolean {
    const now = this.server.now();
    const isHeld = entity.active.length === 0 && heldForMs(entity, now) !== undefined;
    return idle && !this.server.isPaused(entity) && !isHeld && hasWork(entity, now);
  }
}
