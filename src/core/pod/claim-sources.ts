/**
 * The two sources from which this pod inspects entities: wake-ups, and a sweep of the inspections that are due. Each may report too much
 * or too little. The sweep finds what a lost wake-up has missed (I7).
 *
 * Owns: the loop that reads wake-ups, and the timing of sweeps.
 * Neighbours: `worker-manager.ts` decides whether to claim an entity. `discovery.ts` schedules inspections of jobs added outside this
 * library.
 */
import type { HandlerTable } from '../handlers/handler-table.js';
import type { EntityRef } from '../model/entity.js';
import { messageOf } from '../model/errors.js';
import type { EngineConfig } from '../options/config.js';
import type { Clock, Timer } from '../ports/clock.js';
import type { Log } from '../ports/log.js';
import type { WakeUps } from '../ports/wake-ups.js';
import type { WorkerManager } from './worker-manager.js';

export interface ClaimSourceParts {
  readonly store: WakeUps;
  readonly config: EngineConfig;
  readonly handlers: HandlerTable;
  readonly manager: WorkerManager;
  readonly clock: Clock;
  readonly log: Log;
}

/** Number of entities in one page of due inspections. */
const SWEEP_LIMIT = 100;
/** Fraction by which the time between sweeps varies, so that pods don't sweep in step. */
const JITTER = 0.2;
const PAUSE_AFTER_FAILURE_MS = 500;
/** Minimum time between two sweeps, and between two reads that bring no wake-up. */
// guards: claim-sources.MIN_PAUSE_MS
const MIN_PAUSE_MS = 20;

export class ClaimSources {
  private stopped = false;
  private timer: Timer | undefined;
  private warned = false;
  private sweeping = false;
  /** Whether the next sweep starts as soon as possible. */
  private isHurried = false;
  private sweeps = 0;

  constructor(private readonly parts: ClaimSourceParts) {}

  start(): void {
    void this.listen();
    void this.sweep();
  }

  /** Sweeps soon, since this pod has capacity again. A short pause bounds the rate of sweeps if workers end again and again. */
  sweepNow(): void {
    if (this.stopped || this.isHurried) return;
    this.isHurried = true;
    if (!this.sweeping) this.schedule(MIN_PAUSE_MS);
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
        // An empty response normally comes at the end of a blocking wait. If it came at once, a pause prevents a busy loop.
        const isIdle = entities.length === 0 && clock.monotonicMs() - askedAtMs < MIN_PAUSE_MS;
        if (isIdle && !this.stopped) await this.pause(MIN_PAUSE_MS);
      } catch {
        // The store logs that Redis does not respond. The sweep finds the wake-ups that were missed.
        await this.pause(PAUSE_AFTER_FAILURE_MS);
      }
    }
  }

  private pause(ms: number): Promise<void> {
    return new Promise(resolve => this.parts.clock.after(ms, resolve));
  }

  /**
   * Inspects the due entities of a type, page by page. An inspection normally removes its entity from the schedule or moves it. The
   * entities that stay at the front, such as those that this pod owns, are skipped in the next page.
   */
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
        const isSettled = manager.hasCapacity ? manager.tryClaim(entity) : !(await manager.peek(entity));
        if (!isSettled) from++;
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
      manager.sweepEnds();
      this.warned = false;
    } catch (error) {
      if (!this.warned && !this.stopped)
        log.warn(
          `Searching for entities without an owner failed; retrying with each sweep. Nothing is lost. Reason: ${messageOf(error)}`,
        );
      this.warned = true;
    }
    this.sweeping = false;
    if (!this.stopped) {
      const jitter = 1 + JITTER * (2 * Math.random() - 1);
      this.schedule(this.isHurried ? MIN_PAUSE_MS : config.sweepMs * jitter);
    }
  }

  /** The types in an order that rotates with each sweep: the first type gets the capacity that is left. */
  private inTurn(types: readonly string[]): readonly string[] {
    const first = this.sweeps++ % Math.max(1, types.length);
    return [...types.slice(first), ...types.slice(0, first)];
  }
}
