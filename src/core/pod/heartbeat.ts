/**
 * The renewal of all claims of this pod: one timer, every third of the lease, on the store's own connection for it.
 *
 * Owns when to renew and when not to. Neighbours: each worker learns what became of its claim; idle release rides on
 * the same beat, so that an idle entity has no timer (I8).
 */

import type { HandlerTable } from '../handlers/handler-table.js';
import type { Claim } from '../model/claim.js';
import { messageOf } from '../model/errors.js';
import type { EngineConfig } from '../options/config.js';
import type { Clock, Timer } from '../ports/clock.js';
import type { Log } from '../ports/log.js';
import type { EntityStore } from '../ports/store.js';
import { momentOf } from '../run/lease.js';
import type { WorkerManager } from './worker-manager.js';

export interface HeartbeatParts {
  readonly store: EntityStore;
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
  /** Nobody knows whether the last renewal was executed. */
  private isUnsure = false;
  /** Claims that this pod has lost since the last renewal: the next one shows that it lives, so its jobs did not kill it. */
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
   * Renews now, or once more when the beat under way is through: a worker with work finds its lease run out, or this pod
   * takes no more entities and others should not call it.
   */
  request(): void {
    if (this.beating) this.isRequested = true;
    else if (!this.stopped) void this.beat();
  }

  /** This pod has learnt that a claim is another's. */
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
      if (!this.warned && !this.stopped) this.parts.log.warn(`Renewing claims failed: ${messageOf(error)}`);
      this.warned = true;
      this.isUnsure = true;
    }
    this.parts.manager.releaseIdle();
    this.beating = false;
    if (this.stopped) return;
    // From beat to beat: under load one takes its time.
    const restMs = config.leaseMs / 3 - (clock.monotonicMs() - begunAtMs);
    const afterMs = this.isRequested ? 0 : Math.max(restMs, config.leaseMs / 12);
    this.isRequested = false;
    this.timer = clock.after(afterMs, () => void this.beat());
  }

  private async renew(): Promise<void> {
    const { store, config, handlers, manager, clock } = this.parts;
    // A pod whose work gets no answers must not keep its claims from others (race 15). One that is only slow does get some (race 29).
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

  /** Where this pod was not heard for a lease, others may have taken what rests here: each claim is asked after now (I3). */
  private reactivateAll(): void {
    const dormant = [...this.parts.manager.all()].filter(({ isDormant }) => isDormant);
    for (const worker of dormant) worker.reactivate();
    if (dormant.length > 0) this.isRequested = true;
  }
}
