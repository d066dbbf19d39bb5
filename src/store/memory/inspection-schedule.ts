/**
 * The inspection schedule in memory, and the wake-ups that are quicker than it (I7).
 * Neighbours: `wake-ups.ts` is what pods ask of it; `claims.ts` inspects; `leases.ts` says which owner is alive.
 */
import { type EntityRef, entityKey, parseEntityKey } from '../../core/model/entity.js';
import type { Leases } from './leases.js';
import { blockerOf, hasWork } from './queue.js';
import { expireEnded } from './retention.js';
import type { MemoryState, Recall, StoredEntity } from './state.js';

/** When an entity is due that waits for the end of a pause of its type. */
const PARKED_MS = Number.MAX_SAFE_INTEGER;

export class Inspections {
  constructor(
    private readonly state: MemoryState,
    private readonly leases: Leases,
  ) {}

  schedule({ ref }: StoredEntity, atMs: number): void {
    this.state.due.set(entityKey(ref), atMs);
  }

  /** Schedules an inspection, unless one comes before. */
  lowerDue({ ref }: StoredEntity, atMs: number): void {
    const key = entityKey(ref);
    this.state.due.set(key, Math.min(this.state.due.get(key) ?? Number.POSITIVE_INFINITY, atMs));
  }

  /** Whether an entity with work can run nothing until the operator acts: it is paused, or blocked. */
  isParked(entity: StoredEntity): boolean {
    const isBlocked = entity.active.length === 0 && blockerOf(entity, this.state.now()) !== undefined;
    return this.state.isPaused(entity) || isBlocked;
  }

  /** No pod inspects it until the operator acts (race 16). The end of a pause of the type inspects all with this time. */
  park({ ref, paused }: StoredEntity): void {
    if (this.state.pausedTypes.has(ref.type) && !paused) this.state.due.set(entityKey(ref), PARKED_MS);
    else this.state.due.delete(entityKey(ref));
  }

  /** Sees to it that an entity that may have work from now on is inspected: by another pod than this one, if there is one. */
  inspectNow(entity: StoredEntity, podId = ''): void {
    const liveUntil = this.leases.liveUntil(entity);
    if (liveUntil !== undefined) {
      // While it was paused, no inspection was scheduled.
      this.lowerDue(entity, liveUntil);
      this.callOwner(entity);
      return;
    }
    const now = this.state.now();
    if (!hasWork(entity, now)) {
      // Its lease has passed, and its owner may come back: only an inspection gives its claim up.
      // guards: inspection-schedule.inspectNow
      if (entity.owner) this.lowerDue(entity, now);
      else this.giveUpIdle(entity);
      this.state.forget(entity);
      return;
    }
    this.schedule(entity, now);
    if (!this.callAnother(podId, entity)) this.requestWorker(entity.ref);
  }

  /** Gives up the claim of an entity that has nothing to run now. Its next inspection is for a delayed job, or for a kept one that expires (I8). */
  giveUpIdle(entity: StoredEntity): void {
    entity.owner = undefined;
    entity.hold = undefined;
    const expiresMs = expireEnded(entity, this.state.now()) ?? Number.POSITIVE_INFINITY;
    const next = Math.min(expiresMs, ...entity.delayed.map(({ atMs }) => atMs));
    if (Number.isFinite(next)) this.schedule(entity, next);
    else this.state.due.delete(entityKey(entity.ref));
  }

  /**
   * Tells the owner of work. The wake-up may be lost, and the owner dead, or without a worker: a dormant claim lasts no longer
   * than a lease from now on (I7).
   */
  callOwner(entity: StoredEntity): void {
    const { owner } = entity;
    if (!owner) return;
    this.wake(owner.podId, entity);
    if (!owner.isDormant) return;
    owner.untilMs = Math.min(owner.untilMs, this.state.now() + this.state.leaseMs);
    this.lowerDue(entity, owner.untilMs);
  }

  /**
   * The operator has paused the queue, or emptied it: its owner must give back what it has fetched. The wake-up is the quick way. The
   * mark tells the owner with the next end of a job, even if the wake-up is lost. No key begins with `$`.
   */
  recall({ ref, owner, active }: StoredEntity, why: Recall): void {
    if (!owner || active.length === 0) return;
    owner.recall = owner.recall === 'drop' ? 'drop' : why;
    this.tell(owner.podId, `$${entityKey(ref)}`);
  }

  /** Tells a pod of work, which it may not read in time. */
  wake(podId: string, { ref }: StoredEntity): void {
    this.tell(podId, entityKey(ref));
  }

  private tell(podId: string, word: string): void {
    const box = this.state.wakeUpBox(podId);
    box.words.add(word);
    box.notify?.();
  }

  /** Calls another pod that has capacity for the type, the same one for one entity each time. @returns whether there is one. */
  callAnother(podId: string, entity: StoredEntity): boolean {
    const others = this.leases.livePods(entity.ref.type).flatMap(([other]) => (other === podId ? [] : [other]));
    const hash = [...entity.ref.id].reduce((sum, letter) => (31 * sum + letter.charCodeAt(0)) % 65_521, 7);
    const other = others[hash % others.length];
    if (other !== undefined) this.wake(other, entity);
    return other !== undefined;
  }

  requestWorker(ref: EntityRef): void {
    this.state.requests.add(entityKey(ref));
    for (const { notify } of this.state.wakeUps.values()) notify?.();
  }

  /** Takes the requests for workers of these types. */
  takeRequests(types: readonly string[]): EntityRef[] {
    const refs = [...this.state.requests].map(parseEntityKey).filter(({ type }) => types.includes(type));
    for (const ref of refs) this.state.requests.delete(entityKey(ref));
    return refs;
  }
}
