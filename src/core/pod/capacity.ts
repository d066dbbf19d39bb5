/**
 * The room for workers on this pod: which entities wait for it, and which workers give way to them (race 16).
 *
 * Owns: how long a busy worker keeps its room, and how long a worker is given to leave it.
 * Neighbours: `worker-manager.ts` has the workers and their maximum number; `claim-sources.ts` sweeps.
 */
import type { Clock } from '../ports/clock.js';
import type { EntityWorker } from '../work/entity-worker.js';

/** How long a busy worker keeps its room while other entities wait. */
const SLICE_MS = 1000;
/** How long a worker may take to give way; a handler may run for hours. */
const YIELD_MS = 5000;
const MAX_WAITING = 100;

export class Capacity {
  /** Number of entities that the last sweep found and that this pod would claim if it had room … */
  private waiting = 0;
  /** … and that the sweep under way has found so far. */
  private found = 0;
  /** An enqueue has found no room since the last sweep. */
  private isRefusing = false;
  /** Workers that were asked to give way, and when. */
  private readonly yielding = new Map<EntityWorker, number>();

  constructor(
    private readonly workers: ReadonlyMap<string, EntityWorker>,
    private readonly clock: Clock,
  ) {}

  /** Entities wait for room. */
  get isShort(): boolean {
    return this.waiting > 0;
  }

  /** Room that becomes free is to be offered to entities that wait. */
  get isWanted(): boolean {
    return this.isShort || this.isRefusing;
  }

  /** An enqueue found no room. */
  onRefused(): void {
    this.isRefusing = true;
    if (this.yielding.size === 0) this.askIdle(1);
  }

  onEnded(worker: EntityWorker): void {
    this.yielding.delete(worker);
  }

  // ── a sweep ─────────────────────────────────────────────────────────────────────────────────────────────────────

  sweepBegins(): void {
    this.found = 0;
    this.isRefusing = false;
    const now = this.clock.monotonicMs();
    for (const [worker, askedAtMs] of this.yielding) {
      if (now - askedAtMs < YIELD_MS) continue;
      this.yielding.delete(worker);
      worker.stay();
    }
  }

  /** The sweep has found an entity that waits for room. */
  onFound(): void {
    this.found++;
  }

  get hasFoundEnough(): boolean {
    return this.found >= MAX_WAITING;
  }

  /** Idle workers give way for the entities that wait, and then busy ones that have had their slice. */
  sweepEnds(isOpen: boolean): void {
    this.waiting = this.found;
    if (!isOpen || this.waiting === 0) return;
    this.askIdle(this.waiting - this.yielding.size);
    const held = this.candidates(({ phase, heldForMs }) => phase !== 'claiming' && heldForMs >= SLICE_MS);
    // A worker whose handler runs for long gives way when that ends; the other handlers of its entity would stand still meanwhile.
    // guards: capacity.sweepEnds
    const soon = held.filter(({ runsForLong }) => !runsForLong);
    const late = held.filter(({ runsForLong, isReading, type }) => runsForLong && !isReading && type.isOrdered);
    for (const worker of [...soon, ...late].slice(0, Math.max(0, this.waiting - this.yielding.size))) {
      worker.giveWay();
      this.yielding.set(worker, this.clock.monotonicMs());
    }
  }

  /** Releases idle workers, the longest idle first. */
  private askIdle(count: number): void {
    const idle = this.candidates(({ phase }) => phase === 'idle').sort((one, other) => other.idleForMs - one.idleForMs);
    for (const worker of idle.slice(0, Math.max(0, count))) {
      // guards: capacity.askIdle
      if (worker.releaseIfIdleFor(0)) this.yielding.set(worker, this.clock.monotonicMs());
    }
  }

  /** Workers that have not been asked, the oldest first. */
  private candidates(isOne: (worker: EntityWorker) => boolean): EntityWorker[] {
    return [...this.workers.values()].filter(worker => !this.yielding.has(worker) && isOne(worker));
  }
}
