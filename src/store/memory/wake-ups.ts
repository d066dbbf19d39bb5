/**
 * Which entities somebody must look at, in memory: what is due, wake-ups, requests for workers, and the search for what is in
 * no books. Neighbour: `memory-store.ts` looks at them.
 */
import { type EntityRef, entityKey, parseEntityKey } from '../../core/model/entity.js';
import type { Discovered, WakeUp } from '../../core/ports/wake-ups.js';
import type { MemoryServer } from './server.js';
import type { StoredEntity } from './state.js';

/** What is due that soon is in somebody's books. */
const SOON_MS = 10_000;
export const HOLD_LEAD_MS = 2000;
const WAKE_UP_WAIT_MS = 5000;

export class MemoryWakeUps {
  private closed = false;

  constructor(
    private readonly server: MemoryServer,
    private readonly podId: string,
  ) {}

  due(type: string, from: number, limit: number): EntityRef[] {
    return [...this.server.due]
      .map(([word, atMs]) => ({ ref: parseEntityKey(word), atMs }))
      .filter(({ ref, atMs }) => ref.type === type && atMs <= this.server.now())
      .sort((a, b) => a.atMs - b.atMs)
      .slice(from, from + limit)
      .map(({ ref }) => ref);
  }

  async wakeUps(types: readonly string[]): Promise<WakeUp[]> {
    const sleeper = this.server.wakeUps.get(this.podId) ?? { words: new Set<string>(), notify: undefined };
    this.server.wakeUps.set(this.podId, sleeper);
    const asked = this.server.takeRequests(types);
    if (sleeper.words.size === 0 && asked.length === 0 && !this.closed) {
      await new Promise<void>(resolve => {
        const timer = this.server.clock.after(WAKE_UP_WAIT_MS, resolve);
        sleeper.notify = () => {
          timer.cancel();
          resolve();
        };
      });
      sleeper.notify = undefined;
    }
    const words = [...sleeper.words];
    sleeper.words.clear();
    return [...words.map(readWakeUp), ...asked, ...this.server.takeRequests(types)];
  }

  /** How many jobs of each wait or run. */
  backlogs(entities: readonly EntityRef[]): number[] {
    return entities.map(ref => {
      const entity = this.server.find(ref);
      return entity ? entity.wait.length + entity.active.length : 0;
    });
  }

  discover(types: readonly string[], intervalMs: number): Discovered {
    const { server } = this;
    if (server.now() - server.discoveredAtMs < intervalMs) return { found: 0 };
    server.discoveredAtMs = server.now();
    const isForgotten = (entity: StoredEntity) => {
      // Who rests does not look at its queue soon.
      if (server.liveOwner(entity) && !entity.owner?.rests) return false;
      if (!types.includes(entity.ref.type) || !server.hasWork(entity)) return false;
      if (server.liveOwner(entity)) return true;
      if (server.isParked(entity)) return false;
      const score = server.due.get(entityKey(entity.ref)) ?? Number.POSITIVE_INFINITY;
      if (Number.isFinite(score) && this.heldForLong(entity) !== undefined) return false;
      return score > server.now() + SOON_MS;
    };
    const forgotten = [...server.entities.values()].filter(isForgotten);
    for (const entity of forgotten) {
      if (server.liveOwner(entity)) server.callOwner(entity);
      else server.due.set(entityKey(entity.ref), server.now());
    }
    return { found: forgotten.length };
  }

  /** A worker that has only a hold before it goes, and is there again shortly before the hold ends. */
  heldForLong(entity: StoredEntity): number | undefined {
    const heldForMs = this.server.heldForMs(entity);
    return heldForMs !== undefined && heldForMs > HOLD_LEAD_MS ? heldForMs : undefined;
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
