/**
 * Which entities this pod works: the workers by entity, and through them the hot cache that an enqueue asks.
 *
 * Owns: the life of workers, epochs, idle release and the drain at shutdown.
 * Neighbours: `entity-worker.ts` works one entity; `enqueue.ts`, `look.ts` and `heartbeat.ts` ask here.
 */
import type { HandlerTable } from './dispatch.js';
import { type EntityRef, entityWord } from './entity.js';
import { EntityWorker, type WorkerContext } from './entity-worker.js';
import { type EventSink, NO_EVENTS } from './events.js';
import type { EngineConfig } from './options.js';
import type { Clock, EntityStore, Log } from './ports.js';

export interface ManagerParts {
  readonly store: EntityStore;
  readonly config: EngineConfig;
  readonly handlers: HandlerTable;
  readonly clock: Clock;
  readonly log: Log;
  readonly events?: EventSink;
  requestRenewal(): void;
}

export class WorkerManager {
  private readonly workers = new Map<string, EntityWorker>();
  private readonly context: WorkerContext;
  private epoch = 0;
  /** Entities are claimed only while it is open. */
  private state: 'not yet open' | 'open' | 'draining' = 'not yet open';

  constructor(private readonly parts: ManagerParts) {
    const { store, clock, log, config, handlers } = parts;
    this.context = {
      store,
      clock,
      log,
      leaseMs: config.leaseMs,
      execution: { handlers, log, currentJob: config.currentJob },
      events: parts.events ?? NO_EVENTS,
      nextEpoch: () => ++this.epoch,
      requestRenewal: () => parts.requestRenewal(),
      ended: worker => this.remove(worker),
    };
  }

  /** From now on this pod works entities. */
  open(): void {
    this.state = 'open';
  }

  /** The worker that an enqueue of this pod goes through: the present one, or a new one that may claim the entity. */
  forEnqueue(entity: EntityRef): EntityWorker | undefined {
    return this.workers.get(entityWord(entity)) ?? this.create(entity);
  }

  /**
   * The one decision about an entity: mine → wake its worker; not mine → ask the store, claim if nobody has it.
   * @returns whether the store was asked.
   */
  look(entity: EntityRef): boolean {
    const present = this.workers.get(entityWord(entity));
    if (present) {
      present.wake();
      return false;
    }
    const worker = this.create(entity);
    worker?.look();
    return worker !== undefined;
  }

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

  private create(entity: EntityRef): EntityWorker | undefined {
    if (this.state !== 'open' || !this.parts.handlers.hosts(entity.type)) return undefined;
    const worker = new EntityWorker(entity, this.parts.config.entityType(entity.type), this.context);
    this.workers.set(entityWord(entity), worker);
    return worker;
  }

  private remove(worker: EntityWorker): void {
    const word = entityWord(worker.entity);
    if (this.workers.get(word) === worker) this.workers.delete(word);
  }
}
