/**
 * Which entities a pod must inspect, in memory: the inspection schedule, wake-ups, requests for workers, and the search for
 * unscheduled entities. Neighbours: `inspection-schedule.ts` schedules and wakes; `claims.ts` is what comes of an inspection.
 */
import { type EntityRef, entityKey, parseEntityKey } from '../../core/model/entity.js';
import type { Discovered, WakeUp, WakeUps } from '../../core/ports/wake-ups.js';
import { SCHEDULED_SOON_MS, WAKE_UP_WAIT_SECONDS } from '../protocol-constants.js';
import { hasWork, heldForLongMs } from './queue.js';
import type { MemoryServer } from './server.js';
import type { StoredEntity } from './state.js';
import { step } from './step.js';

export class MemoryWakeUps implements WakeUps {
  private closed = false;

  constructor(
    private readonly server: MemoryServer,
    private readonly podId: string,
  ) {}

  due(type: string, from: number, limit: number): Promise<EntityRef[]> {
    return step(() =>
      [...this.server.due]
        .map(([key, atMs]) => ({ ref: parseEntityKey(key), atMs }))
        .filter(({ ref, atMs }) => ref.type === type && atMs <= this.server.now())
        .sort((a, b) => a.atMs - b.atMs)
        .slice(from, from + limit)
        .map(({ ref }) => ref),
    );
  }

  async wakeUps(types: readonly string[]): Promise<WakeUp[]> {
    const { inspections, clock } = this.server;
    const box = this.server.wakeUpBox(this.podId);
    const requested = inspections.takeRequests(types);
    if (box.words.size === 0 && requested.length === 0 && !this.closed) {
      await new Promise<void>(resolve => {
        const timer = clock.after(1000 * WAKE_UP_WAIT_SECONDS, resolve);
        box.notify = () => {
          timer.cancel();
          resolve();
        };
      });
      box.notify = undefined;
    }
    const words = [...box.words];
    box.words.clear();
    return [...words.map(readWakeUp), ...requested, ...inspections.takeRequests(types)];
  }

  requestWorker(entity: EntityRef): Promise<void> {
    return step(() => this.server.inspections.requestWorker(entity));
  }

  backlogs(entities: readonly EntityRef[]): Promise<number[]> {
    return step(() =>
      entities.map(ref => {
        const entity = this.server.find(ref);
        return entity ? entity.wait.length + entity.active.length : 0;
      }),
    );
  }

  /** Nothing is left over: each call of the operator is one step here. */
  async leftovers(): Promise<boolean> {
    return false;
  }

  discover(types: readonly string[], intervalMs: number): Promise<Discovered> {
    return step(() => {
      const { server } = this;
      const { leases, inspections } = server;
      if (server.now() - server.discoveredAtMs < intervalMs) return { found: 0 };
      server.discoveredAtMs = server.now();
      const unscheduled = [...server.entities.values()].filter(
        entity => types.includes(entity.ref.type) && this.isUnscheduled(entity),
      );
      for (const entity of unscheduled) {
        if (leases.liveOwner(entity)) inspections.callOwner(entity);
        else inspections.schedule(entity, server.now());
      }
      return { found: unscheduled.length };
    });
  }

  /** Whether an entity has work and no pod inspects it soon. */
  private isUnscheduled(entity: StoredEntity): boolean {
    const { server } = this;
    const isOwned = server.leases.liveOwner(entity) !== undefined;
    // An owner that is awake inspects its queue itself; a dormant one does not soon.
    if (isOwned && !entity.owner?.isDormant) return false;
    if (!hasWork(entity, server.now())) return false;
    if (isOwned) return true;
    if (server.inspections.isParked(entity)) return false;
    const dueMs = server.due.get(entityKey(entity.ref)) ?? Number.POSITIVE_INFINITY;
    if (Number.isFinite(dueMs) && heldForLongMs(entity, server.now()) !== undefined) return false;
    return dueMs > server.now() + SCHEDULED_SOON_MS;
  }

  close(): void {
    this.closed = true;
    this.server.wakeUps.get(this.podId)?.notify?.();
    this.server.wakeUps.delete(this.podId);
  }
}

function readWakeUp(word: string): WakeUp {
  return word.startsWith('$') ? { ...parseEntityKey(word.slice(1)), isRecall: true } : parseEntityKey(word);
}
