/**
 * Finishes operator calls whose pod died before they were complete: it removes dropped jobs, and schedules the inspections of a resumed
 * type. Any pod does this, page by page.
 *
 * Owns: when a pod asks the store for such work.
 * Neighbours: `ports/operator.ts` has the calls of the operator. The store keeps what is left of them.
 */
import type { HandlerTable } from '../handlers/handler-table.js';
import { messageOf } from '../model/errors.js';
import type { Clock, Timer } from '../ports/clock.js';
import type { Log } from '../ports/log.js';
import type { WakeUps } from '../ports/wake-ups.js';

export interface LeftoverParts {
  readonly store: WakeUps;
  readonly handlers: HandlerTable;
  readonly clock: Clock;
  readonly log: Log;
}

/** Time between two searches. */
const EVERY_MS = 5000;
/** Pause between two pages, so that they do not delay other calls. */
const PAUSE_MS = 20;

export class Leftovers {
  private timer: Timer | undefined;
  private stopped = false;

  constructor(private readonly parts: LeftoverParts) {}

  start(): void {
    this.continue(EVERY_MS);
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
  }

  private continue(afterMs: number): void {
    if (!this.stopped) this.timer = this.parts.clock.after(afterMs, () => void this.step());
  }

  private async step(): Promise<void> {
    const { store, handlers, log } = this.parts;
    try {
      const isMore = await store.leftovers(handlers.hostedTypes());
      this.continue(isMore ? PAUSE_MS : EVERY_MS);
    } catch (error) {
      if (!this.stopped)
        log.warn(
          `Removing dropped jobs, or resuming the entities of a type, failed on this pod; retrying in ${EVERY_MS} ms. Nothing is lost. Reason: ${messageOf(error)}`,
        );
      this.continue(EVERY_MS);
    }
  }
}
