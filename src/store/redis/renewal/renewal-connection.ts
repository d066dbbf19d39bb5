/**
 * The pod's connection for heartbeats, and the renewal script on it. It belongs to the renewal thread, or to the main thread if
 * there is none. Neighbours: `renewals.ts` decides which; `lua/renewal.lua` says what a renewal does.
 */
import { once } from 'node:events';
import type { Redis } from 'ioredis';
import { messageOf } from '../../../core/model/errors.js';
import { StoreUnavailableError } from '../../../core/model/store-errors.js';
import type { PodState, Renewed, TypeLoad } from '../../../core/ports/claims.js';
import type { Clock } from '../../../core/ports/clock.js';
import { DORMANT_LEASES } from '../../../core/run/lease.js';
import { createConnection, responseOrDrop } from '../connection/connection.js';
import { KeepAlive } from '../connection/keep-alive.js';
import { type PlainConnectionOptions } from '../connection/options.js';
import { scriptKeys } from '../keys.js';
import { RENEWAL } from '../lua/generated.js';

/** One claim as the script reads it. */
export type RenewalArguments = readonly [
  base: string,
  type: string,
  id: string,
  epoch: number,
  idle: 0 | 1,
  lockMs: number,
  /** {@link LongRun}s as JSON: `[[id, since], …]`, or ''. */
  longRuns: string,
  nRunning: number,
  ...runningJobIds: string[],
];

/** Renews claims, and announces this pod to the others; its types are encoded. */
export interface Renewer {
  /**
   * @param isBlamed whether the pod's event loop was blocked under a claim, so that its job may be to blame if the claim was lost.
   * @default all claims, since a blocked loop goes unnoticed without a thread
   */
  renew(
    renewals: readonly RenewalArguments[],
    pod: PodState,
    isBlamed?: (renewal: RenewalArguments) => boolean,
  ): Promise<Renewed>;
}

export interface HeartbeatOptions {
  readonly redis: Redis | PlainConnectionOptions;
  readonly podId: string;
  /** The start of the system's own keys. */
  readonly systemPrefix: string;
  readonly leaseMs: number;
}

/** Positions of claims whose jobs may be to blame if they are lost, as the script reads them; `*` for all. */
function blamedOf(page: readonly RenewalArguments[], isBlamed?: (renewal: RenewalArguments) => boolean): string {
  if (!isBlamed) return '*';
  const positions = page.flatMap((renewal, position) => (isBlamed(renewal) ? [position] : []));
  return positions.length === 0 ? '' : `,${positions.join()},`;
}

/** Maximum number of claims in one renewal script: while it runs, Redis does nothing else (I11). */
const RENEWALS_PER_CALL = 500;

export class RenewalConnection implements Renewer {
  private readonly redis: Redis;

  constructor(
    private readonly options: HeartbeatOptions,
    private readonly clock: Clock,
  ) {
    this.redis = createConnection(options.redis, 'heartbeat', options.podId, options.leaseMs);
    // It fails and comes back with the command connection; one line for an outage is enough.
    this.redis.on('error', () => {});
    this.redis.defineCommand('renewClaims', { lua: RENEWAL });
  }

  async renew(
    renewals: readonly RenewalArguments[],
    { types, takesMore, workers }: PodState,
    isBlamed?: (renewal: RenewalArguments) => boolean,
  ): Promise<Renewed> {
    if (this.redis.status !== 'ready') await this.connected();
    const { podId, leaseMs, systemPrefix } = this.options;
    const leaseUs = leaseMs * 1000;
    const pod = [workers, takesMore ? 1 : 0, types.length, ...types];
    const header = [...scriptKeys(systemPrefix), podId, leaseUs, leaseUs * DORMANT_LEASES, systemPrefix, ...pod];
    const lost: number[] = [];
    const kicked: number[] = [];
    const dormant: number[] = [];
    let wasHeard = true;
    let loads: TypeLoad[] = [];
    for (let from = 0; from === 0 || from < renewals.length; from += RENEWALS_PER_CALL) {
      const page = renewals.slice(from, from + RENEWALS_PER_CALL);
      const renewing = this.commands.renewClaims(...header, blamedOf(page, isBlamed), ...page.flat());
      const [lostHere, kickedHere, dormantHere, heard, loadsNow] = await responseOrDrop(
        this.redis,
        renewing,
        leaseMs / 2,
        this.clock,
      );
      lost.push(...lostHere.map(position => from + position));
      kicked.push(...kickedHere.map(position => from + position));
      dormant.push(...dormantHere.map(position => from + position));
      wasHeard &&= heard === 1;
      loads = loadsNow.map(([pods, workers]) => ({ pods, workers }));
    }
    return { lost, kicked, dormant, wasHeard, loads };
  }

  /** From now on it does not keep the process alive. */
  linger(): void {
    new KeepAlive(this.redis);
  }

  close(): void {
    this.redis.disconnect();
  }

  /** Connects, or waits for the next attempt, for no longer than one attempt may take. */
  private async connected(): Promise<void> {
    const { redis } = this;
    const late = new AbortController();
    const timer = this.clock.after(this.options.leaseMs, () => late.abort());
    try {
      const ready = once(redis, 'ready', { signal: late.signal });
      if (redis.status === 'wait') redis.connect().catch(() => {});
      await ready;
    } catch (error) {
      throw new StoreUnavailableError(`Redis can't be reached: ${messageOf(error)}`, { cause: error });
    } finally {
      timer.cancel();
    }
  }

  private get commands(): {
    renewClaims(...args: (string | number)[]): Promise<[number[], number[], number[], 0 | 1, [number, number][]]>;
  } {
    return this.redis as never;
  }
}
