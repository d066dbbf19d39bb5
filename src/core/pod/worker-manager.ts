/**
 * Which entities this pod works: the workers by entity, and through them the hot cache that an enqueue asks.
 *
 * Owns: the life of workers, epochs, room and who gives way for it, idle release and the drain at shutdown.
 * Neighbours: `entity-worker.ts` works one entity; `admission.ts` says which this pod would rather not take;
 * `enqueuer.ts`, `claim-sources.ts` and `heartbeat.ts` ask here.
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

/** How long a busy worker keeps its room while other entities wait for some. */
const SLICE_MS = 1000;
/** How long a worker that was asked to give way is waited for; a handler may run for hours. */
const YIELD_MS = 5000;
const MAX_WAITING = 100;

export class WorkerManager {
  private readonly workers = new Map<string, EntityWorker>();
  private readonly context: WorkerContext;
  private readonly admission: Admission;
  private epoch = 0;
  /** How many entities the last sweep has found that this pod would claim if it had room … */
  private waiting = 0;
  /** … and the one under way so far. */
  private found = 0;
  /** An enqueue has found no room since then. */
  private isWanted = false;
  /** Workers that were asked to give way, and when. */
  private readonly yielding = new Map<EntityWorker, number>();
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
    return this.hasRoom && this.waiting === 0;
  }

  get hasRoom(): boolean {
    return this.state === 'open' && this.workers.size < this.parts.config.maxWorkersPerPod;
  }

  /**
   * The worker that an enqueue of this pod goes through: the present one, or a new one that may claim the entity. None where
   * others wait for the room that it would take, if only to learn that another pod has the entity.
   */
  forEnqueue(entity: EntityRef): EntityWorker | undefined {
    const word = entityKey(entity);
    const present = this.workers.get(word);
    if (present) return present.isToRelease ? undefined : present;
    if (this.waiting > 0 || this.admission.hasItsShare(entity.type, this.workers.size)) return undefined;
    return this.create(entity, word);
  }

  /**
   * The one decision about an entity: mine → wake its worker; not mine → ask the store, claim if nobody has it.
   * @returns whether the store was asked.
   */
  tryClaim(entity: EntityRef): boolean {
    const word = entityKey(entity);
    const present = this.workers.get(word);
    if (present) {
      present.wake();
      return false;
    }
    const worker = this.create(entity, word);
    worker?.tryClaim();
    return worker !== undefined;
  }

  /** Its queue was changed by a person: whoever works it here looks at it anew. */
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
    this.isWanted = true;
    if (this.yielding.size === 0) this.askIdle(1);
  }

  // ── room (race 16) ──────────────────────────────────────────────────────────────────────────────────────────────

  sweepBegins(): void {
    this.found = 0;
    this.isWanted = false;
    const now = this.parts.clock.monotonicMs();
    for (const [worker, askedAtMs] of this.yielding) {
      if (now - askedAtMs < YIELD_MS) continue;
      this.yielding.delete(worker);
      worker.stay();
    }
  }

  /** Whether this pod would claim the entity if it had room: it is asked of the store, which claims nothing. */
  async peek(entity: EntityRef): Promise<boolean> {
    const word = entityKey(entity);
    const present = this.workers.get(word);
    present?.wake();
    if (present || this.admission.hasLeft(word)) return false;
    const isWaiting = (await this.parts.store.peek(entity)) === 'waiting';
    if (isWaiting) this.found++;
    return isWaiting;
  }

  /** Whether a sweep has found as many as there can be room for soon. */
  get hasFoundEnough(): boolean {
    return this.found >= MAX_WAITING;
  }

  /** After a sweep: idle workers give way for what waits, and then busy ones that have had their slice. */
  makeRoom(): void {
    this.waiting = this.found;
    if (this.state !== 'open' || this.waiting === 0) return;
    this.askIdle(this.waiting - this.yielding.size);
    const held = this.candidates(({ phase, heldForMs }) => phase !== 'claiming' && heldForMs >= SLICE_MS);
    // One whose handler runs for long gives way when it ends; of several handlers the others would stand still meanwhile.
    const soon = held.filter(({ runsForLong }) => !runsForLong);
    const late = held.filter(({ runsForLong, isReading, type }) => runsForLong && !isReading && type.isOrdered);
    for (const worker of [...soon, ...late].slice(0, Math.max(0, this.waiting - this.yielding.size))) {
      worker.giveWay();
      this.yielding.set(worker, this.parts.clock.monotonicMs());
    }
  }

  /** Lets idle workers go, the longest idle first. */
  private askIdle(count: number): void {
    const idle = this.candidates(({ phase }) => phase === 'idle').sort((one, other) => other.idleForMs - one.idleForMs);
    for (const worker of idle.slice(0, Math.max(0, count))) {
      if (worker.releaseIfIdleFor(0)) this.yielding.set(worker, this.parts.clock.monotonicMs());
    }
  }

  /** Workers that have not been asked, those that were made first before the others. */
  private candidates(isOne: (worker: EntityWorker) => boolean): EntityWorker[] {
    return [...this.workers.values()].filter(worker => !this.yielding.has(worker) && isOne(worker));
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

  private create(entity: EntityRef, word: string): EntityWorker | undefined {
    if (this.state !== 'open' || !this.parts.handlers.hosts(entity.type) || this.admission.hasLeft(word))
      return undefined;
    if (!this.hasRoom) return undefined;
    const worker = new EntityWorker(entity, this.parts.config.entityType(entity.type), this.context);
    this.workers.set(word, worker);
    return worker;
  }

  private remove(worker: EntityWorker): void {
    const word = entityKey(worker.entity);
    if (this.workers.get(word) !== worker) return;
    this.workers.delete(word);
    this.yielding.delete(worker);
    if (this.state === 'open' && (this.waiting > 0 || this.isWanted)) this.parts.roomMade();
  }
}
