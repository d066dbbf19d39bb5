/**
 * Asks whether any live pod works an entity type: when this process has added its first job of the type, and when a call has timed out.
 * The jobs of a type that no pod works wait without an error, so this warning is the only sign.
 *
 * Owns: which types were asked about, and the warning.
 * Neighbours: `announcer.ts` announces the types that this pod works. `enqueuer.ts` reports added jobs, and `pending-calls.ts` calls that
 * timed out.
 */

import type { HandlerTable } from '../handlers/handler-table.js';
import { detached } from '../model/detached.js';
import { didYouMean } from '../model/did-you-mean.js';
import { quoted } from '../model/error-text.js';
import type { EngineConfig } from '../options/config.js';
import type { Log } from '../ports/log.js';
import type { EntityStore } from '../ports/store.js';

export interface HostLookupParts {
  readonly store: Pick<EntityStore, 'hosts'>;
  readonly config: EngineConfig;
  readonly handlers: HandlerTable;
  readonly log: Log;
}

/** Maximum number of types that the lookup asks about. An application may have a type for each tenant. */
const MAX_ASKED = 1000;

export class HostLookup {
  private readonly asked = new Set<string>();

  constructor(private readonly parts: HostLookupParts) {}

  /** This process has added a job of the type. */
  onAdded(type: string): void {
    // guards: host-lookup.onAdded
    if (this.asked.has(type) || this.asked.size >= MAX_ASKED) return;
    this.asked.add(type);
    if (!this.isOwn(type)) detached(() => void this.check(type));
  }

  /** Whether a live pod works each of the types. The map lacks the types that Redis could not be asked about. Never rejects. */
  async of(types: Iterable<string>): Promise<ReadonlyMap<string, boolean>> {
    const all = [...new Set(types)];
    const others = all.filter(type => !this.isOwn(type));
    const known = new Map(all.filter(type => this.isOwn(type)).map(type => [type, true]));
    if (others.length === 0) return known;
    try {
      const areHosted = await this.parts.store.hosts.areHosted(others);
      for (const [index, type] of others.entries()) known.set(type, areHosted[index] ?? true);
    } catch {
      // Redis did not respond. The store logs that.
    }
    return known;
  }

  private isOwn(type: string): boolean {
    return !this.parts.config.producerOnly && this.parts.handlers.hosts(type);
  }

  private async check(type: string): Promise<void> {
    const isHosted = (await this.of([type])).get(type);
    // guards: host-lookup.check
    if (isHosted === undefined) this.asked.delete(type);
    if (isHosted !== false) return;
    const meant = didYouMean(type, this.parts.handlers.hostedTypes());
    this.parts.log.warn(
      `No live pod has handlers for entity type ${quoted(type)}. Its jobs are stored and wait until a pod has them.${meant} ` +
        'Start the service with its handlers, add them to the providers of a pod that is not producerOnly, or correct the name of the type. This is logged once for each type.',
    );
  }
}
