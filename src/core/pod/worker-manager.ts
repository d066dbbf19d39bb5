/**
 * Which entities this pod works: the workers by entity, and through them the hot cache that an enqueue asks.
 *
 * Owns: the life of workers, epochs, idle release and the drain at shutdown.
 * Neighbours: `entity-worker.ts` works one entity; `admission.ts` says which entities this pod leaves to others, `capacity.ts` which
 * workers give way to others; `enqueuer.ts`, `claim-sources.ts` and `heartbeat.ts` ask here.
 */

import type { HandlerTable } from '../handlers/handler-table.js';
import type { Claim } from '../model/claim.js';
import { type EntityRef, entityKey } from '../model/entity.js';
import { type EventSink, NO_EVENTS } from '../model/events.js';
import type { EngineConfig } from '../options/config.js';
import type { Propagation } from '../payload/caller-context.js';
import type { TypeLoad } from '../ports/claims.js';
import type { Clock } from '../ports/clock.js';
import type { Log } from '../ports/log.js';
import type { EntityStore } from '../ports/store.js';
import { missingCapability, remedyFor } from '../run/run-job.js';
import { EntityWorker, type WorkerContext } from '../work/entity-worker.js';
import { Admission } from './admission.js';
import { Capacity } from './capacity.js';

export interface ManagerParts {
  readonly store: EntityStore;
  readonly config: EngineConfig;
  readonly handlers: HandlerTable;
  readonly clock: Clock;
  readonly log: Log;
  readonly events?: EventSink;
  readonly propagation?: Propagation;
  requestRenewal(): void;
  lost(claim: Claim): void;
  /** A worker has ended, and there are entities that wait for room. */
  roomMade(): void;
}

export class WorkerManager {
  private readonly workers = new Map<string, EntityWorker>();
  private readonly context: WorkerContext;
  private readonly admission: Admission;
  private epoch = 0;
  private readonly capacity: Capacity;
  /** Entities are claimed only while it is open. */
  private state: 'not yet open' | 'open' | 'draining' = 'not yet open';

  constructor(private readonly parts: ManagerParts) {
    const { store, clock, log, config, handlers } = parts;
    this.admission = new Admission(clock, log);
    this.capacity = new Capacity(this.workers, clock);
    this.context = {
      store,
      clock,
      log,
      leaseMs: config.leaseMs,
      execution: {
        handlers,
        codecs: config.codecs,
        log,
        currentJob: config.currentJob,
        failureStackFrames: config.failureStackFrames,
        propagation: parts.propagation,
      },
      events: parts.events ?? NO_EVENTS,
      nextEpoch: () => ++this.epoch,
      requestRenewal: () => parts.requestRenewal(),
      lost: claim => parts.lost(claim),
      deferred: ({ entity, type }, job) => {
        const { execution } = this.context;
        const lack = missingCapability(execution, entity, job) ?? '';
        this.admission.leave(entity, lack, type.unknownJobGraceMs, remedyFor(execution, entity, job));
      },
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

  /** Whether others may call this pod: what waits here already comes first. */
  get takesMore(): boolean {
    return this.hasRoom && !this.capacity.isShort;
  }

  get hasRoom(): boolean {
    return this.state === 'open' && this.workers.size < this.parts.config.maxWorkersPerPod;
  }

  /**
   * The worker that an enqueue of this pod goes through: the present one, or a new one that may claim the entity. None if other
   * entities wait for the room that it would take, even if only to learn that another pod owns the entity.
   */
  forEnqueue(entity: EntityRef): EntityWorker | undefined {
    const key = entityKey(entity);
    const present = this.workers.get(key);
    // guards: worker-manager.forEnqueue
    if (present) return present.isToRelease ? undefined : present;
    if (this.capacity.isShort || this.admission.hasItsShare(entity.type, this.workers.size)) return undefined;
    return this.create(entity, key);
  }

  /**
   * The one decision about an entity: if this pod owns it, wake its worker; if not, ask the store, and claim it if it is unowned.
   * @returns whether the store was asked.
   */
  tryClaim(entity: EntityRef): boolean {
    const key = entityKey(entity);
    const present = this.workers.get(key);
    if (present) {
      present.wake();
      return false;
    }
    const worker = this.create(entity, key);
    worker?.tryClaim();
    return worker !== undefined;
  }

  /** An operator changed its queue: the worker, if there is one here, fetches again. */
  recall(entity: EntityRef): void {
    this.workers.get(entityKey(entity))?.recall();
  }

  onLoad(type: string, load: TypeLoad): void {
    this.admission.onLoad(type, load, this.workers.size);
  }

  /** A job of an entity that nobody owned was added, and left to others: to this pod too, once it has room. */
  onSentAway(type: string): void {
    this.admission.onSentAway(type);
    if (this.state !== 'open' || this.hasRoom || !this.parts.handlers.hosts(type)) return;
    this.capacity.onRefused();
  }

  // ── capacity (race 16) ──────────────────────────────────────────────────────────────────────────────────────────

  sweepBegins(): void {
    this.capacity.sweepBegins();
  }

  /** Whether this pod would claim the entity if it had room: asks the store, which claims nothing. */
  async peek(entity: EntityRef): Promise<boolean> {
    const key = entityKey(entity);
    const present = this.workers.get(key);
    // guards: worker-manager.peek
    present?.wake();
    if (present || this.admission.hasLeft(key)) return false;
    const isWaiting = (await this.parts.store.peek(entity)) === 'waiting';
    if (isWaiting) this.capacity.onFound();
    return isWaiting;
  }

  /** Whether a sweep has found as many waiting entities as there can be room for soon. */
  get hasFoundEnough(): boolean {
    return this.capacity.hasFoundEnough;
  }

  /** After a sweep: workers give way for the entities that wait. */
  makeRoom(): void {
    this.capacity.sweepEnds(this.state === 'open');
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
    return all.filter(worker => worker.phase !== 'ended');
  }

  private create(entity: EntityRef, key: string): EntityWorker | undefined {
    if (this.state !== 'open' || !this.parts.handlers.hosts(entity.type) || this.admission.hasLeft(key))
      return undefined;
    if (!this.hasRoom) return undefined;
    const worker = new EntityWorker(entity, this.parts.config.entityType(entity.type), this.context);
    this.workers.set(key, worker);
    return worker;
  }

  private remove(worker: EntityWorker): void {
    const key = entityKey(worker.entity);
    if (this.workers.get(key) !== worker) return;
    this.workers.delete(key);
    this.capacity.onEnded(worker);
    if (this.state === 'open' && this.capacity.isWanted) this.parts.roomMade();
  }
}
