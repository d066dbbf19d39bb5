/**
 * What makes this pod look at an entity: wake-ups, and a sweep of what is due. Both may see too much or too little;
 * `WorkerManager.look` decides, and the other source makes good what one has missed (I7).
 */
import type { HandlerTable } from '../handlers/handler-table.js';
import type { EntityRef } from '../model/entity.js';
import { messageOf } from '../model/errors.js';
import type { EngineConfig } from '../options/config.js';
import type { Clock, Timer } from '../ports/clock.js';
import type { Log } from '../ports/log.js';
import type { EntityStore } from '../ports/store.js';
import type { WorkerManager } from './worker-manager.js';

export interface LookParts {
  readonly store: EntityStore;
  readonly config: EngineConfig;
  readonly handlers: HandlerTable;
  readonly manager: WorkerManager;
  readonly clock: Clock;
  readonly log: Log;
}

/** Entities in one page of what is due. */
const SWEEP_LIMIT = 100;
/** Part of the sweep interval by which it varies, so that pods don't sweep in step. */
const JITTER = 0.2;
const PAUSE_AFTER_FAILURE_MS = 500;
/** Between two sweeps, and two answers that bring no wake-up. */
// guards: claim-sources.LEAST_PAUSE_MS
const LEAST_PAUSE_MS = 20;

export class ClaimSources {
  private stopped = false;
  private timer: Timer | undefined;
  private warned = false;
  private sweeping = false;
  /** The next sweep is not to wait for its time. */
  private isHurried = false;
  private sweeps = 0;

  constructor(private readonly parts: LookParts) {}

  start(): void {
    void this.listen();
    void this.sweep();
  }

  /** There is room again for what waits. Not without a pause: whoever has made it may have failed. */
  sweepNow(): void {
    if (this.stopped || this.isHurried) return;
    this.isHurried = true;
    if (!this.sweeping) this.schedule(LEAST_PAUSE_MS);
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
  }

  private async listen(): Promise<void> {
    while (!this.stopped) {
      try {
        const { store, manager, handlers, clock } = this.parts;
        const askedAtMs = clock.monotonicMs();
        const types = manager.takesMore ? handlers.hostedTypes() : [];
        const entities = await store.wakeUps(types);
        for (const entity of entities) {
          if (this.stopped) break;
          if (entity.isRecall) manager.recall(entity);
          else manager.tryClaim(entity);
        }
        // An answer that brings nothing comes at the end of a wait; one that does not must not be asked for without end.
        const isIdle = entities.length === 0 && clock.monotonicMs() - askedAtMs < LEAST_PAUSE_MS;
        if (isIdle && !this.stopped) await this.pause(LEAST_PAUSE_MS);
      } catch {
        // The store logs that it is away; the sweep finds what was missed.
        await this.pause(PAUSE_AFTER_FAILURE_MS);
      }
    }
  }

  private pause(ms: number): Promise<void> {
    return new Promise(resolve => this.parts.clock.after(ms, resolve));
  }

  /** Page by page, until no more is due: a look takes its entity out of what is due, one that is ours stays there. */
  private async sweepType(type: string): Promise<void> {
    const { store, manager } = this.parts;
    const seen = new Set<string>();
    let from = 0;
    let page: readonly EntityRef[];
    do {
      page = await store.due(type, from, SWEEP_LIMIT);
      const fresh = page.filter(({ id }) => !seen.has(id));
      for (const { id } of fresh) seen.add(id);
      from += page.length - fresh.length;
      for (const entity of fresh) {
        if (this.stopped) return;
        const isDealtWith = manager.hasRoom ? manager.tryClaim(entity) : !(await manager.peek(entity));
        if (!isDealtWith) from++;
      }
    } while (page.length === SWEEP_LIMIT && !manager.hasFoundEnough);
  }

  private schedule(ms: number): void {
    this.timer?.cancel();
    this.timer = this.parts.clock.after(ms, () => void this.sweep());
  }

  private async sweep(): Promise<void> {
    const { handlers, manager, config, log } = this.parts;
    this.sweeping = true;
    this.isHurried = false;
    manager.sweepBegins();
    try {
      for (const type of this.inTurn(handlers.hostedTypes())) await this.sweepType(type);
      manager.makeRoom();
      this.warned = false;
    } catch (error) {
      if (!this.warned && !this.stopped) log.warn(`Sweep failed: ${messageOf(error)}`);
      this.warned = true;
    }
    this.sweeping = false;
    if (!this.stopped) {
      const jitter = 1 + JITTER * (2 * Math.random() - 1);
      this.schedule(this.isHurried ? LEAST_PAUSE_MS : config.sweepMs * jitter);
    }
  }

  /** Each type is the first in its turn: the first finds the room that there is. */
  private inTurn(types: readonly string[]): readonly string[] {
    const first = this.sweeps++ % Math.max(1, types.length);
    return [...types.slice(first), ...types.slice(0, first)];
  }
}
