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
import { PodOnWires } from './pod-on-wires.js';
import { PodClock, type WalkTime } from './time.js';
import { WalkStore } from './walk-store.js';
import type { Call, Outcome } from './wire.js';

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

export class WalkPod extends PodOnWires {
  /** Its machine may be suspended; the wall clock of such a one is not set back, since one of the two must be right. */
  readonly suspends: boolean;
  readonly real: MemoryEntityStore;
  readonly store: WalkStore;
  readonly engine: Engine;

  constructor(
    readonly id: string,
    private readonly parts: WalkPodParts,
  ) {
    const { time, random, config, server } = parts;
    const suspends = random.chance(0.5);
    const clock = new PodClock(time, 0.98 + 0.04 * random.next(), random.int(-100_000, 100_000));
    super({ time, random, clock });
    this.suspends = suspends;
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

  protected execute(calls: readonly Call[]): Promise<readonly Outcome[]> {
    return this.parts.execute(this, calls);
  }
}

/** Nothing in the core may fail with an unexpected error. */
function strict(violate: Violate, id: string): Log {
  return { info: () => {}, warn: () => {}, error: message => violate(`${id} logs an error: ${message}`) };
}
