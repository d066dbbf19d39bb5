/**
 * A pod of a walk as its network and its event loop: a clock and two wires of its own, which may be frozen, cut off or killed.
 * Neighbours: `walk-pod.ts` and `mixed-pod.ts` have an engine on it.
 */
import type { Random } from '../random.js';
import type { PodClock, WalkTime } from './time.js';
import { type Call, type Outcome, Wire } from './wire.js';

export const COMMAND_TIMEOUT_MS = 2000;

export interface PodOnWiresParts {
  readonly time: WalkTime;
  readonly random: Random;
  readonly clock: PodClock;
}

export abstract class PodOnWires {
  state: 'live' | 'draining' | 'dead' = 'live';
  readonly clock: PodClock;
  readonly commands: Wire;
  readonly renewals: Wire;
  private inbox: (() => void)[] = [];

  constructor({ time, random, clock }: PodOnWiresParts) {
    this.clock = clock;
    const isDeaf = () => clock.frozen || clock.dead;
    const execute = (calls: readonly Call[]) => this.execute(calls);
    const wire = () => new Wire({ time, random, execute, isDeaf, timeoutMs: COMMAND_TIMEOUT_MS });
    this.commands = wire();
    this.renewals = wire();
  }

  /** Calls have arrived at the store. */
  protected abstract execute(calls: readonly Call[]): Promise<readonly Outcome[]>;

  get isAble(): boolean {
    return this.state !== 'dead' && !this.clock.frozen;
  }

  tell(what: () => void): void {
    if (this.clock.dead) return;
    if (this.clock.frozen) this.inbox.push(what);
    else what();
  }

  /** The event loop runs again: what has come meanwhile comes now, timers first or last. */
  async thaw(timersFirst: boolean, settle: () => Promise<void>): Promise<void> {
    const listen = async () => {
      for (const what of this.inbox.splice(0)) what();
      this.commands.listen();
      this.renewals.listen();
      await settle();
    };
    this.clock.frozen = false;
    if (!timersFirst) await listen();
    await this.clock.thaw(settle);
    await listen();
  }

  mend(): void {
    this.commands.mend();
    this.renewals.mend();
  }

  /** It never does anything again; calls that it had sent may still arrive. */
  crash(): void {
    this.state = 'dead';
    this.clock.dead = true;
    this.commands.sever(1, 'some');
    this.renewals.sever(1, 'some');
  }

  flush(): boolean {
    const sent = this.commands.flush();
    return this.renewals.flush() || sent;
  }
}
