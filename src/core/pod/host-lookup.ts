/**
 * Whether any pod works an entity type: asked when the first job of a type was added by this process, and when a call has
 * waited in vain. Jobs of a type that no pod works wait, and nothing else would say so.
 *
 * Owns what was asked before, and the warning. Neighbours: `announcer.ts` says what this pod works; `enqueuer.ts` tells of jobs.
 */

import type { HandlerTable } from '../handlers/handler-table.js';
import { detached } from '../model/detached.js';
import { didYouMean } from '../model/did-you-mean.js';
import { quoted } from '../model/error-text.js';
import type { EngineConfig } from '../options/config.js';
import type { Log } from '../ports/log.js';
import type { EntityStore } from '../ports/store.js';

export interface HostLookupParts {
  readonly store: EntityStore;
  readonly config: EngineConfig;
  readonly handlers: HandlerTable;
  readonly log: Log;
}

/** Types of which the first job is asked about; there may be as many as there are tenants. */
const MAX_ASKED = 1000;

export class HostLookup {
  private readonly asked = new Set<string>();

  constructor(private readonly parts: HostLookupParts) {}

  /** A job of the type was added. */
  onAdded(type: string): void {
    // guards: host-lookup.onAdded
    if (this.asked.has(type) || this.asked.size >= MAX_ASKED) return;
    this.asked.add(type);
    if (!this.isOwn(type)) detached(() => void this.check(type));
  }

  /** Whether a live pod works each of the types; those of which Redis does not say are left out. Never rejects. */
  async of(types: Iterable<string>): Promise<ReadonlyMap<string, boolean>> {
    const all = [...new Set(types)];
    const others = all.filter(type => !this.isOwn(type));
    const known = new Map(all.filter(type => this.isOwn(type)).map(type => [type, true]));
    if (others.length === 0) return known;
    try {
      const answers = await this.parts.store.hosts.areHosted(others);
      for (const [index, type] of others.entries()) known.set(type, answers[index] ?? true);
    } catch {
      // Redis is away.
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
      `No live pod has handlers for entity type ${quoted(type)} at this moment; its jobs wait until one has.${meant} ` +
        'Start the service that works it, add its handlers to the providers of a pod that is not producerOnly, or correct the name. Logged once for each type.',
    );
  }
}
