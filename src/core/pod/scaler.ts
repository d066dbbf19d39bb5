/**
 * The legacy scaler: on each tick it reconciles how many workers an entity has with its backlog, from 1 to
 * `maxWorkersPerEntity`. A worker here is `concurrency` handlers at once, under the one claim.
 * Neighbour: `entity-worker.ts` runs as many as it is told.
 */
import { messageOf } from '../model/errors.js';
import type { EventSink } from '../model/events.js';
import type { Clock, Timer } from '../ports/clock.js';
import type { Log } from '../ports/log.js';
import type { EntityStore } from '../ports/store.js';
import { emitScaled } from '../work/lifecycle-events.js';
import type { WorkerManager } from './worker-manager.js';

export interface ScalerParts {
  readonly store: EntityStore;
  readonly manager: WorkerManager;
  readonly clock: Clock;
  readonly log: Log;
  readonly events?: EventSink;
}

export class Scaler {
  private timer: Timer | undefined;
  private stopped = false;

  constructor(
    private readonly everyMs: number,
    private readonly parts: ScalerParts,
  ) {}

  start(): void {
    if (!this.stopped) this.timer = this.parts.clock.after(this.everyMs, () => void this.tick());
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
  }

  /** Scales now. Rejects when the store does not answer. */
  async scale(): Promise<void> {
    const { store, manager, events } = this.parts;
    const workers = [...manager.all()].filter(({ type, phase }) => type.maxWorkers > 1 && phase !== 'lost');
    if (workers.length === 0) return;
    const backlogs = await store.backlogs(workers.map(({ entity }) => entity));
    for (const [index, worker] of workers.entries()) {
      const { concurrency, maxWorkers } = worker.type;
      const backlog = backlogs[index] ?? 0;
      const before = worker.handlers / concurrency;
      const wanted = Math.max(1, Math.min(maxWorkers, Math.ceil(backlog / concurrency)));
      if (wanted === before) continue;
      worker.scale(wanted * concurrency);
      if (events) emitScaled(events, worker.claim, { before, wanted, backlog });
    }
  }

  private async tick(): Promise<void> {
    try {
      await this.scale();
    } catch (error) {
      if (!this.stopped) this.parts.log.warn(`Scaling failed: ${messageOf(error)}`);
    }
    this.start();
  }
}
