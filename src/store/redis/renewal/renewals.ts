/**
 * How this pod's claims are renewed: by a thread of their own, so that a handler that blocks the event loop does not lose them.
 * Or from the main thread, if the options say so or no thread can be started.
 *
 * Owns: that choice. It begins with the first renewal: a pod that works nothing has neither thread nor connection.
 * Neighbours: `../claims.ts` says what is renewed; `renewal-thread.ts` and `renewal-connection.ts` renew.
 */
import { messageOf } from '../../../core/model/errors.js';
import { StoreRefusedError } from '../../../core/model/store-errors.js';
import type { PodState, Renewed } from '../../../core/ports/claims.js';
import type { Clock } from '../../../core/ports/clock.js';
import type { Log } from '../../../core/ports/log.js';
import { sendable } from '../connection/connection.js';
import { type RedisConnectionOptions } from '../connection/options.js';
import { remedyOf } from '../connection/rights.js';
import { type HeartbeatOptions, type RenewalArguments, RenewalConnection, type Renewer } from './renewal-connection.js';
import { RenewalThread } from './renewal-thread.js';

export interface RenewalsOptions extends HeartbeatOptions {
  readonly redis: RedisConnectionOptions;
  /** How long a blocked main thread keeps its claims, in ms; 0 for no thread. */
  readonly blockLimitMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

export class Renewals implements Renewer {
  private runner: RenewalThread | RenewalConnection | undefined;
  private untold: RenewalArguments[] = [];
  private isLingering = false;

  constructor(private readonly options: RenewalsOptions) {}

  async renew(renewals: readonly RenewalArguments[], pod: PodState): Promise<Renewed> {
    this.runner ??= this.options.blockLimitMs > 0 ? this.startThread() : this.connect();
    const { runner } = this;
    try {
      return await runner.renew(renewals, pod);
    } catch (error) {
      if (runner === this.runner) throw explained(error);
      // The thread has ended meanwhile: its renewal is sent from here.
      return this.runner.renew(renewals, pod);
    }
  }

  /** A claim was granted. The thread is told of all claims of one batch together. */
  granted(renewal: RenewalArguments): void {
    if (this.runner instanceof RenewalThread) this.untold.push(renewal);
  }

  /** Called before the first job of a claim starts, which may block this thread: the renewal thread must know of the claim by then. */
  tellGranted(): void {
    if (this.untold.length === 0) return;
    if (this.runner instanceof RenewalThread) this.runner.tell({ kind: 'granted', renewals: this.untold });
    this.untold = [];
  }

  /** Renews nothing until the next call of {@link renew}: the claims of this pod run out. */
  forget(): void {
    if (this.runner instanceof RenewalThread) this.runner.tell({ kind: 'forget' });
  }

  /** From now on renewals do not keep the process alive; a thread never does. */
  linger(): void {
    this.isLingering = true;
    if (this.runner instanceof RenewalConnection) this.runner.linger();
  }

  async close(): Promise<void> {
    await this.runner?.close();
  }

  private startThread(): RenewalThread | RenewalConnection {
    const { redis, podId, systemPrefix, leaseMs, blockLimitMs } = this.options;
    try {
      return new RenewalThread({ redis: sendable(redis), podId, systemPrefix, leaseMs, blockLimitMs }, reason => {
        this.runner = this.connectInstead(reason);
      });
    } catch (error) {
      return this.connectInstead(error);
    }
  }

  private connectInstead(reason: unknown): RenewalConnection {
    this.options.log.warn(
      `No thread to renew claims can be started (${messageOf(reason)}). They are renewed from the main thread, and a handler that blocks it for longer than heartbeatTTL loses its entity. ` +
        'Keep atomic-queues out of a bundle (declare it external) and functions out of the options of redis, or set workerDefaults.eventLoopBlockLimitMs to 0.',
    );
    return this.connect();
  }

  private connect(): RenewalConnection {
    const connection = new RenewalConnection(this.options, this.options.clock);
    if (this.isLingering) connection.linger();
    return connection;
  }
}

/** The error; with the remedy if the user of Redis lacks a right. */
function explained(error: unknown): unknown {
  const message = messageOf(error);
  const remedy = remedyOf(message);
  return remedy === '' ? error : new StoreRefusedError(`${message}${remedy}`, { cause: error });
}
