/**
 * The workers of this pod, by entity. Every decision to work an entity passes through this file.
 *
 * Owns: the creation and removal of workers, epochs, the release of idle entities, and the drain at shutdown.
 * Neighbours: `entity-worker.ts` works one entity. `admission.ts` decides which entities this pod leaves to others, and `capacity.ts`
 * which workers give way. `enqueuer.ts`, `claim-sources.ts` and `heartbeat.ts` call this file.
 */

import type { HandlerTable } from '../handlers/handler-table.js';
import type { Claim } from '../model/claim.js';
import { type EntityRef, entityKey } from '../model/entity.js';
import { type EventSink, NO_EVENTS } from '../model/events.js';
import type { EngineConfig } from '../options/config.js';
import type { Propagation } from '../payload/caller-context.js';
import type { Claims, TypeLoad } from '../ports/claims.js';
import type { Clock } from '../ports/clock.js';
import type { Intake } from '../ports/intake.js';
import type { Log } from '../ports/log.js';
import type { Work } from '../ports/work.js';
import { missingCapability, remedyFor } from '../run/run-job.js';
import { EntityWorker, type WorkerContext } from '../work/entity-worker.js';
import { Admission } from './admission.js';
import { Capacity } from './capacity.js';

export interface ManagerParts {
  readonly store: Intake & Claims & Work;
  readonly config: EngineConfig;
  readonly handlers: HandlerTable;
  readonly clock: Clock;
  readonly log: Log;
  readonly events?: EventSink;
  readonly propagation?: Propagation;
  requestRenewal(): void;
  lost(claim: Claim): void;
  /** A worker has ended while entities wait for capacity. */
  capacityFreed(): void;
}

export class WorkerManager {
  private readonly workers = new Map<string, EntityWorker>();
  private readonly context: WorkerContext;
  private readonly admission: Admission;
  private epoch = 0;
  private readonly capacity: Capacity;
  /** The pod claims entities only while it is open. */
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
        const missing = missingCapability(execution, entity, job) ?? '';
        this.admission.defer(entity, missing, type.unknownJobGraceMs, remedyFor(execution, entity, job));
      },
      ended: worker => this.remove(worker),
    };
  }

  /** Lets this pod work entities from now on. */
  open(): void {
    this.state = 'open';
  }

  get size(): number {
    return this.workers.size;
  }

  /** Whether other pods may call this pod for an entity. Entities that already wait for its capacity come first. */
  get takesMore(): boolean {
    return this.hasCapacity && !this.capacity.isShort;
  }

  get hasCapacity(): boolean {
    return this.state === 'open' && this.workers.size < this.parts.config.maxWorkersPerPod;
  }

  /**
   * The worker through which this pod enqueues a job: the present one, or a new one that may claim the entity. Undefined if other
   * entities wait for capacity, or if the pod has its share. Even a worker that only learns of another owner would take a place.
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
   * Inspects an entity. If this pod has a worker for it, the worker is woken. If not, a new worker asks the store to claim the entity.
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

  /** An operator has changed the queue of the entity. Its worker, if this pod has one, gives back jobs and fetches again. */
  recall(entity: EntityRef): void {
    this.workers.get(entityKey(entity))?.recall();
  }

  onLoad(type: string, load: TypeLoad): void {
    this.admission.onLoad(type, load, this.workers.size);
  }

  /** This pod has added a job of an unowned entity without claiming it. It may claim the entity later, once it has capacity. */
  onSentAway(type: string): void {
    this.admission.onSentAway(type);
    if (this.state !== 'open' || this.hasCapacity || !this.parts.handlers.hosts(type)) return;
    this.capacity.onRefused();
  }

  // ── capacity (race 16) ──────────────────────────────────────────────────────────────────────────────────────────

  sweepBegins(): void {
    this.capacity.sweepBegins();
  }

  /** Asks the store, without a claim, whether this pod could claim the entity if it had capacity. */
  async peek(entity: EntityRef): Promise<boolean> {
    const key = entityKey(entity);
    const present = this.workers.get(key);
    // guards: worker-manager.peek
    present?.wake();
    if (present || this.admission.isDeferred(key)) return false;
    const isWaiting = (await this.parts.store.peek(entity)) === 'waiting';
    if (isWaiting) this.capacity.onFound();
    return isWaiting;
  }

  /** Whether the sweep has found as many waiting entities as this pod can work soon. */
  get hasFoundEnough(): boolean {
    return this.capacity.hasFoundEnough;
  }

  /** The sweep has ended: workers give way to the entities that wait. */
  sweepEnds(): void {
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
   * Claims nothing more, and hands over each entity when its running jobs end.
   * @param timeoutMs how long to wait for the running jobs.
   * @returns the workers whose handlers have not ended in time. Their claims live until they end, or the process does (race 12).
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
    if (this.state !== 'open' || !this.parts.handlers.hosts(entity.type) || this.admission.isDeferred(key))
      return undefined;
    if (!this.hasCapacity) return undefined;
    const worker = new EntityWorker(entity, this.parts.config.entityType(entity.type), this.context);
    this.workers.set(key, worker);
    return worker;
  }

  private remove(worker: EntityWorker): void {
    const key = entityKey(worker.entity);
    if (this.workers.get(key) !== worker) return;
    this.workers.delete(key);
    this.capacity.onEnded(worker);
    if (this.state === 'open' && this.capacity.isWanted) this.parts.capacityFreed();
  }
}
