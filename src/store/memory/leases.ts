/**
 * Leases in memory: which owner counts as alive, and which pods are heard.
 * Neighbours: `grants.ts` grants claims, `inspection-schedule.ts` calls owners.
 */
import type { Claim } from '../../core/model/claim.js';
import { entityKey } from '../../core/model/entity.js';
import { noLongerOwned } from '../../core/model/job-errors.js';
import { SILENCE_OF_LEASE } from '../../core/run/lease.js';
import type { MemoryState, Owner, StoredEntity } from './state.js';

export class Leases {
  constructor(private readonly state: MemoryState) {}

  /** The entity of a claim. @throws StaleClaimError when the claim is no longer the current one. */
  guard(claim: Claim, podId: string): StoredEntity {
    const entity = this.state.find(claim.entity);
    if (!entity || entity.owner?.podId !== podId || entity.owner.epoch !== claim.epoch) throw noLongerOwned(claim);
    return entity;
  }

  isOwnedByOther(entity: StoredEntity, podId: string): boolean {
    const owner = this.liveOwner(entity);
    return owner !== undefined && owner.podId !== podId;
  }

  liveOwner(entity: StoredEntity): Owner | undefined {
    return this.liveUntil(entity) === undefined ? undefined : entity.owner;
  }

  /** Until when a claim lasts if its owner is not heard any more. */
  liveUntil({ owner }: StoredEntity): number | undefined {
    if (!owner) return undefined;
    const now = this.state.now();
    const isHeard = !owner.isDormant || (this.state.alive.get(owner.podId) ?? 0) > now;
    if (owner.untilMs > now && isHeard) return owner.untilMs;
    const graceUntilMs = this.heardSince() + this.state.leaseMs;
    // guards: leases.liveUntil
    return graceUntilMs > now ? graceUntilMs : undefined;
  }

  /** When the last silence of all pods ended; now, if it lasts. For a lease from then on no claim lapses. */
  private heardSince(): number {
    const now = this.state.now();
    const { heard } = this.state;
    return heard && heard.untilMs > now ? Math.min(heard.sinceMs, now) : now;
  }

  /** A pod renews its claims. @returns whether it was heard within a lease before. */
  hear(podId: string): boolean {
    const now = this.state.now();
    const { alive, leaseMs } = this.state;
    const wasHeard = (alive.get(podId) ?? 0) > now;
    alive.set(podId, now + leaseMs);
    this.state.heard = { sinceMs: this.heardSince(), untilMs: now + leaseMs * SILENCE_OF_LEASE };
    return wasHeard;
  }

  /** The owner has something to do: a dormant claim lasts a lease from now on. @returns whether it was dormant. */
  reactivate({ owner, ref }: StoredEntity): boolean {
    if (!owner?.isDormant) return false;
    owner.isDormant = false;
    owner.untilMs = this.state.now() + this.state.leaseMs;
    this.state.due.set(entityKey(ref), owner.untilMs);
    return true;
  }

  /** Whether the owner waits for more jobs than it has fetched. */
  isGathering({ owner, active }: StoredEntity): boolean {
    const { upTo = 0, untilMs = 0 } = owner?.gathering ?? {};
    return active.length < upTo && this.state.now() < untilMs;
  }

  /** The pods that have announced capacity for a type within a lease. */
  livePods(type: string) {
    const oldest = this.state.now() - this.state.leaseMs;
    return [...(this.state.pods.get(type) ?? [])].filter(([, { seenAtMs }]) => seenAtMs >= oldest);
  }
}
