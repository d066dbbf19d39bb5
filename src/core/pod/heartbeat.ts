/**
 * Renews all claims of this pod, every third of a lease, on a connection of their own. The release of idle entities is part of the same
 * beat, so that an idle entity has no timer (I8).
 *
 * Owns: when the pod renews, and when it must not.
 * Neighbours: `worker-manager.ts` has the workers. `run/lease.ts` keeps the lease that a renewal extends. The renewal thread in
 * `store/redis/renewal` renews while the event loop is blocked.
 */

import type { HandlerTable } from '../handlers/handler-table.js';
import type { Claim } from '../model/claim.js';
import { messageOf } from '../model/errors.js';
import type { EngineConfig } from '../options/config.js';
import type { Claims } from '../ports/claims.js';
import type { Clock, Timer } from '../ports/clock.js';
import type { Log } from '../ports/log.js';
import type { EntityStore } from '../ports/store.js';
import { momentOf } from '../run/lease.js';
import type { WorkerManager } from './worker-manager.js';

export interface HeartbeatParts {
  readonly store: Claims & Pick<EntityStore, 'isSilentFor'>;
  readonly config: EngineConfig;
  readonly handlers: HandlerTable;
  readonly manager: WorkerManager;
  readonly clock: Clock;
  readonly log: Log;
}

export class Heartbeat {
  private timer: Timer | undefined;
  private beating = false;
  private stopped = false;
  private warned = false;
  private isRequested = false;
  /** Whether the outcome of the last renewal is unknown. */
  private isUnsure = false;
  /** Claims lost since the last renewal. The next one tells Redis that this pod lives, so the jobs that it ran have not killed it. */
  private lost: Claim[] = [];

  constructor(private readonly parts: HeartbeatParts) {}

  start(): void {
    void this.beat();
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
  }

  /**
   * Renews now, or again at once if a beat is under way. Called when the lease of a worker with work has expired, and when this pod takes
   * no more entities, so that other pods stop calling it.
   */
  request(): void {
    if (this.beating) this.isRequested = true;
    else if (!this.stopped) void this.beat();
  }

  /** This pod has lost the claim. */
  onLost(claim: Claim): void {
    this.lost.push(claim);
  }

  private async beat(): Promise<void> {
    this.beating = true;
    this.timer?.cancel();
    const { clock, config } = this.parts;
    const begunAtMs = clock.monotonicMs();
    try {
      await this.renew();
      this.warned = false;
    } catch (error) {
      if (!this.warned && !this.stopped)
        this.parts.log.warn(
          `Renewal of claims failed; retrying. If no renewal succeeds within ${config.leaseMs} ms, this pod starts no jobs until one does. Reason: ${messageOf(error)}`,
        );
      this.warned = true;
      this.isUnsure = true;
    }
    this.parts.manager.releaseIdle();
    this.beating = false;
    if (this.stopped) return;
    // The interval counts from the beginning of a beat: under load a renewal takes a while.
    const restMs = config.leaseMs / 3 - (clock.monotonicMs() - begunAtMs);
    const afterMs = this.isRequested ? 0 : Math.max(restMs, config.leaseMs / 12);
    this.isRequested = false;
    this.timer = clock.after(afterMs, () => void this.beat());
  }

  private async renew(): Promise<void> {
    const { store, config, handlers, manager, clock } = this.parts;
    // A pod whose command connection brings no responses must let its claims lapse (race 15). A pod that is only slow gets some (race 29).
    // guards: heartbeat.renew
    if (store.isSilentFor(config.leaseMs)) return;
    const beats = [...manager.all()].flatMap(worker => {
      const renewal = worker.renewal();
      return renewal ? [{ worker, renewal }] : [];
    });
    const lostBefore = [...this.lost];
    const sentAt = momentOf(clock);
    const types = handlers.hostedTypes();
    const renewed = await store.renew(
      [...beats.map(beat => beat.renewal), ...lostBefore.map(claim => ({ claim, idle: false }))],
      { types, takesMore: manager.takesMore, workers: manager.size },
    );
    this.lost = this.lost.slice(lostBefore.length);
    for (const [index, type] of types.entries()) {
      const load = renewed.loads[index];
      if (load) manager.onLoad(type, load);
    }
    const lost = new Set(renewed.lost);
    const kicked = new Set(renewed.kicked);
    const dormant = new Set(renewed.dormant);
    beats.forEach(({ worker, renewal }, position) => {
      if (lost.has(position)) worker.lose(renewal.claim);
      else worker.renewed(renewal.claim, sentAt, dormant.has(position));
      if (kicked.has(position)) worker.kick();
    });
    if (!renewed.wasHeard || this.isUnsure) this.reactivateAll();
    this.isUnsure = false;
  }

  /** Renews dormant claims, too. If this pod was not heard for a lease, other pods may have taken over dormant entities (I3). */
  private reactivateAll(): void {
    const dormant = [...this.parts.manager.all()].filter(({ isDormant }) => isDormant);
    for (const worker of dormant) worker.reactivate();
    if (dormant.length > 0) this.isRequested = true;
  }
}
