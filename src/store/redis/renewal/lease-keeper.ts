/**
 * What the renewal thread does on its own: it renews the claims while the main thread is blocked.
 *
 * Owns: what is known of the pod's claims, when the main thread counts as blocked, and for how long its claims are renewed then.
 * Neighbours: `renewal-thread.entry.ts` brings the messages of the main thread; `renewal-connection.ts` renews.
 *
 * A claim that was released, lost or taken meanwhile is not brought back: renewals are guarded by owner and epoch. A dormant claim
 * needs no renewal; it lasts while this pod is heard at all.
 */
import type { PodState, Renewed } from '../../../core/ports/claims.js';
import type { Clock, Timer } from '../../../core/ports/clock.js';
import type { RenewalArguments, Renewer } from './renewal-connection.js';

export interface LeaseKeeperParts {
  readonly renewer: Renewer;
  readonly clock: Clock;
  readonly leaseMs: number;
  /** How long after its last message a main thread counts as blocked, and not as hung. */
  readonly blockLimitMs: number;
}

export class LeaseKeeper implements Renewer {
  private known: readonly RenewalArguments[] = [];
  /** Claims granted since the last list. */
  private fresh: RenewalArguments[] = [];
  /** Claims granted before it: the list may lack them, since their workers may not have known of them when it was made. */
  private freshBefore: readonly RenewalArguments[] = [];
  /** How many entities this pod works, those with dormant claims included. */
  private workers = 0;
  /** A renewal of this thread has found that the pod had not been heard for a lease; the main thread is told with its next one. */
  private wasSilent = false;
  /** Claims under which the main thread was silent for longer than the limit: if one is lost, its job may be to blame. */
  private blamed = new Set<string>();
  private heardAtMs = 0;
  private timer: Timer | undefined;
  /** How long the main thread may be silent before this thread renews; 0 at first, since the first message has waited for this thread. */
  private patienceMs = 0;

  constructor(private readonly parts: LeaseKeeperParts) {}

  /** The main thread renews: these are all its claims. */
  async renew(renewals: readonly RenewalArguments[], pod: PodState): Promise<Renewed> {
    this.hear();
    this.known = renewals;
    this.workers = pod.workers;
    this.freshBefore = this.fresh;
    this.fresh = [];
    this.schedule(this.patienceMs);
    const renewed = await this.parts.renewer.renew(renewals, pod, this.isBlamed);
    // A claim that was lost is in one more renewal; after that it is in none.
    // guards: lease-keeper.renew
    if (this.blamed.size > 0) this.blamed = new Set(renewals.filter(this.isBlamed).map(nameOf));
    const wasHeard = renewed.wasHeard && !this.wasSilent;
    this.wasSilent = false;
    return { ...renewed, wasHeard };
  }

  /** The main thread was granted claims, and the first job of one may block it before the next renewal. */
  granted(renewals: readonly RenewalArguments[]): void {
    this.hear();
    this.fresh.push(...renewals);
    if (!this.timer) this.schedule(this.patienceMs);
  }

  /** The main thread is alive and lets its claims run out (race 15). */
  forget(): void {
    this.timer?.cancel();
    this.timer = undefined;
    // guards: lease-keeper.forget
    this.known = [];
    this.workers = 0;
    this.fresh = [];
    this.freshBefore = [];
  }

  private readonly isBlamed = (claim: RenewalArguments): boolean => this.blamed.has(nameOf(claim));

  private hear(): void {
    this.heardAtMs = this.parts.clock.monotonicMs();
  }

  private schedule(ms: number): void {
    this.timer?.cancel();
    this.timer = this.parts.clock.after(ms, () => this.keep());
  }

  private keep(): void {
    this.timer = undefined;
    const { renewer, clock, leaseMs, blockLimitMs } = this.parts;
    // The main thread renews every third of a lease. This ends before the silence of all pods begins (SILENCE_OF_LEASE).
    this.patienceMs = (leaseMs * 5) / 12;
    // guards: lease-keeper.keep
    const claims = new Map([...this.freshBefore, ...this.known, ...this.fresh].map(claim => [claim[0], claim]));
    if (clock.monotonicMs() - this.heardAtMs > blockLimitMs) {
      for (const claim of claims.values()) this.blamed.add(nameOf(claim));
      return;
    }
    if (claims.size + this.workers === 0) return;
    this.schedule(leaseMs / 3);
    // Claims are as idle as the main thread has told, so its next renewal is told of work again. No types: a blocked pod gets no new work.
    const renewals = [...claims.values()];
    const pod = { types: [], takesMore: false, workers: Math.max(this.workers, renewals.length) };
    // A failure is retried with the next renewal, and the main thread's own next one reports it.
    const onResponse = ({ wasHeard }: Renewed) => {
      if (!wasHeard) this.wasSilent = true;
    };
    renewer.renew(renewals, pod, this.isBlamed).then(onResponse, () => {});
  }
}

/** The base key and the epoch name one claim of a pod. */
function nameOf([base, , , epoch]: RenewalArguments): string {
  return `${base} ${epoch}`;
}
