/** One pod of a walk: an engine with a clock and two wires of its own, which may be blocked, shut down or killed. */

import { Engine } from '../../../src/core/engine.js';
import { HandlerTable } from '../../../src/core/handlers/handler-table.js';
import type { Claim } from '../../../src/core/model/claim.js';
import type { FetchedJob, JobContext, Settlement } from '../../../src/core/model/job.js';
import type { EngineConfig } from '../../../src/core/options/config.js';
import type { Log } from '../../../src/core/ports/log.js';
import { MemoryEntityStore } from '../../../src/store/memory/memory-store.js';
import type { MemoryServer } from '../../../src/store/memory/server.js';
import type { Random } from '../random.js';
import type { Violate } from './entity-checker.js';
import { PodClock, type WalkTime } from './time.js';
import { WalkStore } from './walk-store.js';
import { type Call, type Outcome, Wire } from './wire.js';

export const COMMAND_TIMEOUT_MS = 2000;

export interface WalkPodParts {
  readonly time: WalkTime;
  readonly server: MemoryServer;
  readonly random: Random;
  readonly config: EngineConfig;
  readonly violate: Violate;
  execute(pod: WalkPod, calls: readonly Call[]): Promise<readonly Outcome[]>;
  handle(pod: WalkPod, job: FetchedJob, context: JobContext): Promise<unknown>;
  ending(pod: WalkPod, claim: Claim, settlement: Settlement): void;
}

export class WalkPod {
  state: 'live' | 'draining' | 'dead' = 'live';
  /** Its machine may be suspended; the wall clock of such a one is not set back, since one of the two must be right. */
  readonly suspends: boolean;
  readonly clock: PodClock;
  readonly commands: Wire;
  readonly renewals: Wire;
  readonly real: MemoryEntityStore;
  readonly store: WalkStore;
  readonly engine: Engine;
  private inbox: (() => void)[] = [];

  constructor(
    readonly id: string,
    parts: WalkPodParts,
  ) {
    const { time, random, config, server } = parts;
    this.suspends = random.chance(0.5);
    this.clock = new PodClock(time, 0.98 + 0.04 * random.next(), random.int(-100_000, 100_000));
    const wire = () =>
      new Wire({
        time,
        random,
        execute: calls => parts.execute(this, calls),
        isDeaf: () => this.clock.frozen || this.clock.dead,
        timeoutMs: COMMAND_TIMEOUT_MS,
      });
    this.commands = wire();
    this.renewals = wire();
    this.real = new MemoryEntityStore(server, config, id);
    this.store = new WalkStore({
      real: this.real,
      commands: this.commands,
      renewals: this.renewals,
      clock: this.clock,
      random,
      nowMs: () => time.nowMs,
      tell: what => this.tell(what),
      ending: (claim, settlement) => parts.ending(this, claim, settlement),
    });
    const handlers = new HandlerTable();
    handlers.add('account', '*', { runner: (job, context) => parts.handle(this, job, context), origin: id });
    this.engine = new Engine({
      store: this.store,
      config,
      handlers,
      clock: this.clock,
      log: strict(parts.violate, id),
    });
  }

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

  /** It never does anything again; what it had sent may still arrive. */
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

/** Nothing in the core may fail in a way that it did not foresee. */
function strict(violate: Violate, id: string): Log {
  return { info: () => {}, warn: () => {}, error: message => violate(`${id} logs an error: ${message}`) };
}
