/**
 * What a call of an operator has begun and left, as its pod died: jobs that were dropped and are not removed yet, entities of a type
 * that was resumed and are not entered again. Any pod goes on, in pages.
 */
import type { HandlerTable } from '../handlers/handler-table.js';
import { messageOf } from '../model/errors.js';
import type { Clock, Timer } from '../ports/clock.js';
import type { Log } from '../ports/log.js';
import type { EntityStore } from '../ports/store.js';

export interface LeftoverParts {
  readonly store: EntityStore;
  readonly handlers: HandlerTable;
  readonly clock: Clock;
  readonly log: Log;
}

const EVERY_MS = 5000;
/** Between two pages: they must not be felt by what is under way. */
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
      if (!this.stopped) log.warn(`Going on with what an operator's call had left failed: ${messageOf(error)}`);
      this.continue(EVERY_MS);
    }
  }
}
