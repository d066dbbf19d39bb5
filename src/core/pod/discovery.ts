/**
 * The search for jobs added outside this library, such as by Bull Board's retry and promote or a plain `Queue.add` (race 10). It
 * schedules inspections of their entities. In each interval only one of all pods searches.
 *
 * Owns: the timing of the search.
 * Neighbours: `claim-sources.ts` sweeps the scheduled inspections. The store scans the keys.
 */
import type { HandlerTable } from '../handlers/handler-table.js';
import { messageOf } from '../model/errors.js';
import type { EngineConfig } from '../options/config.js';
import type { Clock, Timer } from '../ports/clock.js';
import type { Log } from '../ports/log.js';
import type { WakeUps } from '../ports/wake-ups.js';

export interface DiscoveryParts {
  readonly store: WakeUps;
  readonly config: EngineConfig;
  readonly handlers: HandlerTable;
  readonly clock: Clock;
  readonly log: Log;
}

/** Pause between two steps of a search, so that they do not delay other calls. */
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
      if (found > 0)
        log.info(`Found ${found} entities with jobs that were added outside this library. Pods run those jobs now.`);
      this.continue(next);
    } catch (error) {
      if (!this.stopped)
        log.warn(
          `Searching for jobs that were added outside this library failed; the next search starts in ${config.discoveryMs} ms. Reason: ${messageOf(error)}`,
        );
      this.continue(undefined);
    }
  }
}
