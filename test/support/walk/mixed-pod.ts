/**
 * One pod of a mixed walk: an engine with a clock and two wires of its own, whose handlers run single jobs, shared reads and batches.
 * Neighbour: `mixed-cluster.ts` decides what handlers do, and checks each start.
 */
import { Engine } from '../../../src/core/engine.js';
import type { BatchHandling } from '../../../src/core/handlers/batch-options.js';
import { HandlerTable } from '../../../src/core/handlers/handler-table.js';
import type { EntityContext, FetchedJob } from '../../../src/core/model/job.js';
import type { EngineConfig } from '../../../src/core/options/config.js';
import { MemoryEntityStore } from '../../../src/store/memory/memory-store.js';
import type { MemoryServer } from '../../../src/store/memory/server.js';
import type { Random } from '../random.js';
import { PodOnWires } from './pod-on-wires.js';
import { PodClock, type WalkTime } from './time.js';
import { WalkStore } from './walk-store.js';
import type { Call, Outcome } from './wire.js';

export interface MixedPodParts {
  readonly time: WalkTime;
  readonly server: MemoryServer;
  readonly random: Random;
  readonly config: EngineConfig;
  readonly hasReads: boolean;
  readonly batchWaitMs: number;
  /** Whether the pod has a handler for the name that only new versions know. */
  readonly isNew: boolean;
  violate(what: string): void;
  note(...what: unknown[]): void;
  handle(pod: MixedPod, jobs: readonly FetchedJob[], context: EntityContext): Promise<void>;
}

export const MAX_BATCH = 3;

export class MixedPod extends PodOnWires {
  readonly real: MemoryEntityStore;
  readonly engine: Engine;

  constructor(
    readonly id: string,
    private readonly parts: MixedPodParts,
  ) {
    const { time, random, config, server, violate, note } = parts;
    // It runs at the true rate: a timer of a fraction of a nanosecond would be a loop without time.
    super({ time, random, clock: new PodClock(time, 1, 0) });
    this.real = new MemoryEntityStore(server, config, id);
    const { clock, commands, renewals, real } = this;
    const tell = (what: () => void) => this.tell(what);
    const nowMs = () => time.nowMs;
    const store = new WalkStore({ real, commands, renewals, clock, random, nowMs, tell, ending: () => {} });
    const log = {
      info: () => {},
      warn: (line: string) => note('   ', id, line.slice(0, 120)),
      error: (line: string) => violate(`${id} logs an error: ${line}`),
    };
    this.engine = new Engine({ store, config, handlers: this.handlers(), clock, log });
  }

  private handlers(): HandlerTable {
    const { hasReads, batchWaitMs, isNew, handle } = this.parts;
    const handlers = new HandlerTable();
    for (const name of isNew ? ['write', 'read', 'new'] : ['write', 'read']) {
      handlers.add('account', name, { runner: (job, context) => handle(this, [job], context), origin: this.id });
    }
    const run: BatchHandling['run'] = (jobs, context) => handle(this, jobs, context);
    handlers.add('account', 'batch', { batch: { max: MAX_BATCH, maxWaitMs: batchWaitMs, run }, origin: this.id });
    if (hasReads) handlers.share('account', 'read', this.id);
    return handlers;
  }

  protected async execute(calls: readonly Call[]): Promise<readonly Outcome[]> {
    const made = calls.map(({ method, args }) => {
      const step = this.real[method as 'tryClaim'] as (...args: unknown[]) => Promise<unknown>;
      return step.apply(this.real, [...args]);
    });
    const results = await Promise.allSettled(made);
    for (const [at, result] of results.entries()) {
      const method = calls[at]?.method ?? '';
      if (!['renew', 'due', 'leftovers', 'discover'].includes(method))
        this.parts.note(
          '  ',
          this.id,
          method,
          result.status === 'fulfilled' ? shown(result.value) : String(result.reason),
        );
    }
    return results.map(result =>
      result.status === 'fulfilled' ? { value: result.value } : { error: result.reason as Error },
    );
  }
}

function shown(value: unknown): string {
  const text = JSON.stringify(value, (key, part) => {
    if (key === 'jobs') return (part as FetchedJob[]).map(({ data }) => (data as { n: number }).n);
    return key === 'entity' ? undefined : part;
  });
  return text?.slice(0, 140) ?? '';
}
