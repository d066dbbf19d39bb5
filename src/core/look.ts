/**
 * What makes this pod look at an entity: wake-ups, and a sweep of what is due. Both may see too much or too little;
 * `WorkerManager.look` decides, and the other source makes good what one has missed (I7).
 */
import type { HandlerTable } from './dispatch.js';
import type { EntityRef } from './entity.js';
import { messageOf } from './errors.js';
import type { EngineConfig } from './options.js';
import type { Clock, EntityStore, Log, Timer } from './ports.js';
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

export class LookSources {
  private stopped = false;
  private timer: Timer | undefined;
  private warned = false;
  private sweeping = false;
  /** Somebody asked for one while one was under way. */
  private again = false;

  constructor(private readonly parts: LookParts) {}

  start(): void {
    void this.listen();
    void this.sweep();
  }

  /** There is room again for what waits. */
  sweepNow(): void {
    if (this.stopped) return;
    if (this.sweeping) this.again = true;
    else void this.sweep();
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
  }

  private async listen(): Promise<void> {
    while (!this.stopped) {
      try {
        const { store, manager, handlers } = this.parts;
        const types = manager.hasRoom ? handlers.hostedTypes() : [];
        for (const entity of await store.wakeUps(types)) if (!this.stopped) manager.look(entity);
      } catch {
        // The store logs that it is away; the sweep finds what was missed.
        await new Promise<void>(resolve => this.parts.clock.after(PAUSE_AFTER_FAILURE_MS, resolve));
      }
    }
  }

  /** Page by page, until no more is due: a look takes its entity out of what is due, one that is ours stays there. */
  private async sweepType(type: string): Promise<void> {
    const { store, manager } = this.parts;
    const seen = new Set<string>();
    let from = 0;
    let page: readonly EntityRef[];
    do {
      page = await store.due(type, from, SWEEP_LIMIT);
      for (const entity of page) {
        if (this.stopped) return;
        const isAsked = !seen.has(entity.id) && manager.look(entity);
        if (!isAsked) from++;
        seen.add(entity.id);
      }
    } while (page.length === SWEEP_LIMIT && manager.waiting < SWEEP_LIMIT);
  }

  private scheduleSweep(): void {
    const ms = this.parts.config.sweepMs * (1 + JITTER * (2 * Math.random() - 1));
    this.timer = this.parts.clock.after(ms, () => void this.sweep());
  }

  private async sweep(): Promise<void> {
    this.sweeping = true;
    this.timer?.cancel();
    this.parts.manager.sweepBegins();
    try {
      const { handlers, manager } = this.parts;
      for (const type of handlers.hostedTypes()) await this.sweepType(type);
      manager.makeRoom();
      this.warned = false;
    } catch (error) {
      if (!this.warned && !this.stopped) this.parts.log.warn(`Sweep failed: ${messageOf(error)}`);
      this.warned = true;
    }
    this.sweeping = false;
    if (this.stopped) return;
    if (!this.again) return this.scheduleSweep();
    this.again = false;
    void this.sweep();
  }
}
