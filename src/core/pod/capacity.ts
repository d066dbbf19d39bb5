/**
 * The capacity of this pod: how many entities wait for it, and which workers give way to them (race 16).
 *
 * Owns: how long a busy worker keeps its place while entities wait, and how long a worker may take to give way.
 * Neighbours: `worker-manager.ts` has the workers and their maximum number. `claim-sources.ts` sweeps. `admission.ts` decides which
 * entities this pod leaves to others.
 */
import type { Clock } from '../ports/clock.js';
import type { EntityWorker } from '../work/entity-worker.js';

/** How long a busy worker keeps its place while other entities wait. */
const SLICE_MS = 1000;
/** How long a worker may take to give way. After that it stays, since a handler may run for hours. */
const YIELD_MS = 5000;
/** Maximum number of waiting entities that a sweep counts. */
const MAX_WAITING = 100;

export class Capacity {
  /** Number of entities that the last sweep found and that this pod would claim if it had capacity. */
  private waiting = 0;
  /** The same number for the sweep that is under way. */
  private found = 0;
  /** Whether an enqueue has found no capacity since the last sweep. */
  private isRefusing = false;
  /** Workers that were asked to give way, and when, in ms of the monotonic clock. */
  private readonly yielding = new Map<EntityWorker, number>();

  constructor(
    private readonly workers: ReadonlyMap<string, EntityWorker>,
    private readonly clock: Clock,
  ) {}

  /** Whether entities wait for capacity. */
  get isShort(): boolean {
    return this.waiting > 0;
  }

  /** Whether a sweep must start as soon as a worker ends. */
  get isWanted(): boolean {
    return this.isShort || this.isRefusing;
  }

  /** An enqueue has found no capacity. */
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

  /** The sweep has found an entity that waits for capacity. */
  onFound(): void {
    this.found++;
  }

  get hasFoundEnough(): boolean {
    return this.found >= MAX_WAITING;
  }

  /**
   * Asks workers to give way to the entities that wait: first idle ones, then busy ones that have had their slice.
   * @param isOpen whether this pod takes entities.
   */
  sweepEnds(isOpen: boolean): void {
    this.waiting = this.found;
    if (!isOpen || this.waiting === 0) return;
    this.askIdle(this.waiting - this.yielding.size);
    const held = this.candidates(({ phase, heldForMs }) => phase !== 'claiming' && heldForMs >= SLICE_MS);
    // A worker with a long run can give way only when that run ends. If it runs several handlers, the others would idle until then.
    // guards: capacity.sweepEnds
    const soon = held.filter(({ runsForLong }) => !runsForLong);
    const late = held.filter(({ runsForLong, isReading, type }) => runsForLong && !isReading && type.isOrdered);
    for (const worker of [...soon, ...late].slice(0, Math.max(0, this.waiting - this.yielding.size))) {
      worker.giveWay();
      this.yielding.set(worker, this.clock.monotonicMs());
    }
  }

  /** Asks idle workers to release their entities, the longest-idle first. */
  private askIdle(count: number): void {
    const idle = this.candidates(({ phase }) => phase === 'idle').sort((one, other) => other.idleForMs - one.idleForMs);
    for (const worker of idle.slice(0, Math.max(0, count))) {
      // guards: capacity.askIdle
      if (worker.releaseIfIdleFor(0)) this.yielding.set(worker, this.clock.monotonicMs());
    }
  }

  /** Workers that were not asked to give way, the oldest first. */
  private candidates(isOne: (worker: EntityWorker) => boolean): EntityWorker[] {
    return [...this.workers.values()].filter(worker => !this.yielding.has(worker) && isOne(worker));
  }
}
