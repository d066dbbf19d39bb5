/**
 * The legacy scaler. On each tick it adapts the number of workers of an entity to its backlog, from 1 to `maxWorkersPerEntity`. One such
 * worker is `concurrency` handlers at once; all of them run under the one claim of the entity.
 *
 * Owns: the wanted number of workers, and the timer.
 * Neighbours: `entity-worker.ts` runs as many handlers at once as it is told.
 */
import { messageOf } from '../model/errors.js';
import type { EventSink } from '../model/events.js';
import type { Clock, Timer } from '../ports/clock.js';
import type { Log } from '../ports/log.js';
import type { WakeUps } from '../ports/wake-ups.js';
import { emitScaled } from '../work/lifecycle-events.js';
import type { WorkerManager } from './worker-manager.js';

export interface ScalerParts {
  readonly store: WakeUps;
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

  /** Scales now. Rejects if the store does not respond. */
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
      if (!this.stopped)
        this.parts.log.warn(
          `Scaling the workers of entities failed; they keep their numbers until the next tick in ${this.everyMs} ms. Reason: ${messageOf(error)}`,
        );
    }
    this.start();
  }
}
