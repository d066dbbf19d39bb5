/**
 * The search for work that came past this library: Bull Board's retry and promote, a plain `Queue.add` (race 10). What it
 * finds it enters into the books; the sweep does the rest. One pod of all searches in each interval.
 */
import type { HandlerTable } from '../handlers/handler-table.js';
import { messageOf } from '../model/errors.js';
import type { EngineConfig } from '../options/config.js';
import type { Clock, Timer } from '../ports/clock.js';
import type { Log } from '../ports/log.js';
import type { EntityStore } from '../ports/store.js';

export interface DiscoveryParts {
  readonly store: EntityStore;
  readonly config: EngineConfig;
  readonly handlers: HandlerTable;
  readonly clock: Clock;
  readonly log: Log;
}

/** Between two steps of a search: it must not be felt by what is under way. */
const PAUSE_MS = 20;

export class Discovery {
  private timer: Timer | undefined;
  private stopped = false;

  constructor(private readonly parts: DiscoveryParts) {}

  start(): void {
    if (this.parts.config.discoveryMs > 0) this.continue(undefined);
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
  }

  private continue(from: string | undefined): void {
    if (this.stopped) return;
    const { clock, config } = this.parts;
    this.timer = clock.after(from === undefined ? config.discoveryMs : PAUSE_MS, () => void this.step(from));
  }

  private async step(from: string | undefined): Promise<void> {
    const { store, config, handlers, log } = this.parts;
    try {
      const { next, found } = await store.discover(handlers.hostedTypes(), config.discoveryMs, from);
      if (found > 0) log.info(`Found ${found} entities with jobs that came past this library; they are worked now.`);
      this.continue(next);
    } catch (error) {
      if (!this.stopped) log.warn(`Searching for work failed: ${messageOf(error)}`);
      this.continue(undefined);
    }
  }
}
