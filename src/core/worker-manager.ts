/**
 * Which entities this pod works: the workers by entity, and through them the hot cache that an enqueue asks.
 *
 * Owns: the life of workers, epochs, room and who gives way for it, idle release and the drain at shutdown.
 * Neighbours: `entity-worker.ts` works one entity; `admission.ts` says which this pod would rather not take;
 * `enqueue.ts`, `look.ts` and `heartbeat.ts` ask here.
 */
import { Admission } from './admission.js';
import type { HandlerTable } from './dispatch.js';
import { type EntityRef, entityWord } from './entity.js';
import { EntityWorker, type WorkerContext } from './entity-worker.js';
import { type EventSink, NO_EVENTS } from './events.js';
import type { EngineConfig } from './options.js';
import type { Clock, EntityStore, Log, TypeLoad } from './ports.js';

export interface ManagerParts {
  readonly store: EntityStore;
  readonly config: EngineConfig;
  readonly handlers: HandlerTable;
  readonly clock: Clock;
  readonly log: Log;
  readonly events?: EventSink;
  requestRenewal(): void;
  /** A worker has ended, and there are entities that wait for room. */
  roomMade(): void;
}

/** How long a busy worker keeps its room while other entities wait for some. */
const SLICE_MS = 1000;

export class WorkerManager {
  private readonly workers = new Map<string, EntityWorker>();
  private readonly context: WorkerContext;
  private readonly admission: Admission;
  private epoch = 0;
  /** Entities that found no room, since the last sweep began. */
  private refused = 0;
  /** Workers that were asked to give way since then. */
  private readonly yielding = new Set<EntityWorker>();
  /** Entities are claimed only while it is open. */
  private state: 'not yet open' | 'open' | 'draining' = 'not yet open';

  constructor(private readonly parts: ManagerParts) {
    const { store, clock, log, config, handlers } = parts;
    this.admission = new Admission(clock, log);
    this.context = {
      store,
      clock,
      log,
      leaseMs: config.leaseMs,
      execution: { handlers, log, currentJob: config.currentJob },
      events: parts.events ?? NO_EVENTS,
      nextEpoch: () => ++this.epoch,
      requestRenewal: () => parts.requestRenewal(),
      left: ({ entity, type }, job) => this.admission.leave(entity, job, type.unknownJobGraceMs),
      ended: worker => this.remove(worker),
    };
  }

  /** From now on this pod works entities. */
  open(): void {
    this.state = 'open';
  }

  get size(): number {
    return this.workers.size;
  }

  get hasRoom(): boolean {
    return this.state === 'open' && this.workers.size < this.parts.config.maxWorkersPerPod;
  }

  /** The worker that an enqueue of this pod goes through: the present one, or a new one that may claim the entity. */
  forEnqueue(entity: EntityRef): EntityWorker | undefined {
    const word = entityWord(entity);
    const present = this.workers.get(word);
    if (present) return present;
    if (this.admission.hasItsShare(entity.type, this.workers.size)) return undefined;
    const worker = this.create(entity, word);
    if (!worker && this.refused > 0) this.giveWay(1);
    return worker;
  }

  /**
   * The one decision about an entity: mine → wake its worker; not mine → ask the store, claim if nobody has it.
   * @returns whether the store was asked.
   */
  look(entity: EntityRef): boolean {
    const word = entityWord(entity);
    const present = this.workers.get(word);
    if (present) {
      present.wake();
      return false;
    }
    const worker = this.create(entity, word);
    worker?.look();
    return worker !== undefined;
  }

  onLoad(type: string, load: TypeLoad): void {
    this.admission.onLoad(type, load, this.workers.size);
  }

  /** A job of an entity that nobody owned was added, and left to others. */
  onSentAway(type: string): void {
    this.admission.onSentAway(type);
  }

  // ── room ────────────────────────────────────────────────────────────────────────────────────────────────────────

  sweepBegins(): void {
    this.refused = 0;
    this.yielding.clear();
  }

  /** How many entities that are due this pod would claim if it had room. */
  get waiting(): number {
    return this.refused;
  }

  /** After a sweep: idle workers give way for what waits, and then busy ones that have had their slice (race 16). */
  makeRoom(): void {
    if (this.refused === 0) return;
    const missing = this.refused - this.giveWay(this.refused);
    const busy = this.longestFirst('working').filter(worker => worker.inStateForMs() >= SLICE_MS);
    for (const worker of busy.slice(0, missing)) {
      this.yielding.add(worker);
      void worker.drain();
    }
  }

  /**
   * Asks idle workers to give way, the longest idle first.
   * @returns how many have been asked, with those before.
   */
  private giveWay(count: number): number {
    const missing = count - this.yielding.size;
    if (missing <= 0) return count;
    for (const worker of this.longestFirst('idle').slice(0, missing)) {
      this.yielding.add(worker);
      worker.releaseIfIdleFor(0);
    }
    return this.yielding.size;
  }

  private longestFirst(state: 'idle' | 'working'): EntityWorker[] {
    return [...this.workers.values()]
      .filter(worker => worker.state === state && !this.yielding.has(worker))
      .sort((one, other) => other.inStateForMs() - one.inStateForMs());
  }

  // ── all ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  all(): Iterable<EntityWorker> {
    return this.workers.values();
  }

  releaseIdle(): void {
    for (const worker of this.workers.values()) {
      worker.releaseIfIdleFor(this.parts.config.entityType(worker.entity.type).idleTimeoutMs);
    }
  }

  /**
   * Claims nothing more, and hands every entity over as its running job ends.
   * @returns the workers whose handler had not ended in time; their claims live until they do, or the process ends.
   */
  async drain(timeoutMs: number): Promise<EntityWorker[]> {
    this.state = 'draining';
    const all = [...this.workers.values()];
    const drained = Promise.all(all.map(worker => worker.drain()));
    await new Promise<void>(resolve => {
      const timer = this.parts.clock.after(timeoutMs, resolve);
      void drained.then(() => {
        timer.cancel();
        resolve();
      });
    });
    return all.filter(worker => worker.state !== 'ended');
  }

  private create(entity: EntityRef, word: string): EntityWorker | undefined {
    if (this.state !== 'open' || !this.parts.handlers.hosts(entity.type) || this.admission.hasLeft(word))
      return undefined;
    if (!this.hasRoom) {
      this.refused++;
      return undefined;
    }
    const worker = new EntityWorker(entity, this.parts.config.entityType(entity.type), this.context);
    this.workers.set(word, worker);
    return worker;
  }

  private remove(worker: EntityWorker): void {
    const word = entityWord(worker.entity);
    if (this.workers.get(word) !== worker) return;
    this.workers.delete(word);
    if (this.refused > 0 && this.state === 'open') this.parts.roomMade();
  }
}
