/**
 * The cluster of a walk: pods on one memory server, the handlers that run, and a checker per entity.
 * Neighbours: `actions.ts` does things to it; `final-check.ts` heals it and checks what is left.
 */

import type { Claim } from '../../../src/core/model/claim.js';
import { entityKey } from '../../../src/core/model/entity.js';
import { BulkEnqueueError, NotExecutedError, stackOf } from '../../../src/core/model/errors.js';
import type { FetchedJob, JobContext, Settlement } from '../../../src/core/model/job.js';
import { OutcomeUnknownError } from '../../../src/core/model/store-errors.js';
import { type EngineConfig } from '../../../src/core/options/config.js';
import { resolveOptions } from '../../../src/core/options/resolve.js';
import { Codecs } from '../../../src/core/payload/codec.js';
import type { Unblocking } from '../../../src/core/ports/operator.js';
import { momentOf } from '../../../src/core/run/lease.js';
import { MemoryControl } from '../../../src/store/memory/operator/control.js';
import { blockerOf } from '../../../src/store/memory/queue.js';
import { MemoryServer } from '../../../src/store/memory/server.js';
import { type StoredEntity } from '../../../src/store/memory/state.js';
import { Random } from '../random.js';
import { type Gate, gate } from '../wait.js';
import { EntityChecker } from './entity-checker.js';
import { numberOf, type Snapshot, snapshotOfMemory } from './snapshot.js';
import { checkEnd, checkStart, type Running } from './starts.js';
import { readSettlement, runBatch } from './steps.js';
import { WalkTime } from './time.js';
import { WalkPod } from './walk-pod.js';

export const LEASE_MS = 3000;
export const MAX_BACKOFF_MS = 4000;
const TRACE_LENGTH = 160;
/** More rounds of calls than this without any time passing are a loop. */
const MAX_ROUNDS = 1000;

export interface WalkHandler extends Running {
  readonly pod: WalkPod;
  readonly signal: AbortSignal;
  readonly ended: Gate;
}

export class MemoryCluster {
  readonly random: Random;
  readonly time = new WalkTime(() => this.settle());
  readonly server = new MemoryServer(this.time, LEASE_MS);
  readonly config: EngineConfig;
  readonly maxStalled: number;
  readonly idleMs: number;
  readonly pods: WalkPod[] = [];
  readonly running: WalkHandler[] = [];
  readonly checkers = new Map<string, EntityChecker>();
  /** The outcome that the caller of an add received. */
  readonly fates = new Map<number, 'added' | 'not added' | 'unknown'>();
  /** Handlers return at once. */
  instant = false;
  violation: string | undefined;
  private readonly trace: unknown[][] = [];
  private jobs = 0;
  private madePods = 0;

  constructor(readonly seed: number) {
    this.random = new Random(seed);
    this.maxStalled = this.random.int(0, 2);
    const idle = this.random.int(1, 4);
    this.idleMs = idle * 1000;
    this.config = resolveOptions({
      workerDefaults: {
        heartbeatTTL: LEASE_MS / 1000,
        maxStalledCount: this.maxStalled,
        prefetch: this.random.pick([1, 2, 4, 32]),
      },
      entities: { account: { idleTimeoutSeconds: idle, onExhausted: this.random.pick(['skip', 'skip', 'block']) } },
      shutdownTimeoutMs: 3000,
    });
  }

  get live(): WalkPod[] {
    return this.pods.filter(pod => pod.state === 'live');
  }

  get able(): WalkPod[] {
    return this.pods.filter(pod => pod.isAble);
  }

  readonly violate = (what: string): void => {
    this.note('VIOLATION', what);
    this.violation ??= what;
  };

  note(...what: unknown[]): void {
    this.trace.push([Math.round(this.time.nowMs * 10) / 10, ...what]);
    if (this.trace.length > 2 * TRACE_LENGTH) this.trace.splice(0, TRACE_LENGTH);
  }

  /** @throws with the seed and the trace, when an invariant was violated. */
  check(): void {
    if (this.violation === undefined) return;
    const lines = this.trace.slice(-TRACE_LENGTH).map(line => line.join(' '));
    throw new Error(`SEED=${this.seed}: ${this.violation}\n${lines.join('\n')}`);
  }

  /** Lets everything run that needs no time. */
  async settle(): Promise<void> {
    for (let round = 0; ; round++) {
      await new Promise(resolve => setImmediate(resolve));
      let sent = false;
      for (const pod of this.pods) sent = pod.flush() || sent;
      if (!sent) return;
      if (round > MAX_ROUNDS) return this.violate('calls are made without end');
    }
  }

  async start(): Promise<void> {
    const pod = new WalkPod(`P${++this.madePods}`, {
      ...this,
      violate: this.violate,
      execute: (on, calls) => runBatch(this.steps, on.id, on.real, calls),
      handle: (on, job, context) => this.handle(on, job, context),
      ending: (on, claim, settlement) => this.ending(on, claim, settlement),
    });
    this.pods.push(pod);
    await pod.engine.connect();
    pod.engine.work();
    await this.settle();
  }

  /** The pod is gone; its handlers are forgotten. */
  crash(pod: WalkPod): void {
    pod.crash();
    for (const handler of this.running.filter(running => running.pod === pod)) this.forget(handler);
    this.pods.splice(this.pods.indexOf(pod), 1);
  }

  /** An operator takes a pause back; with it goes the record of an entity of which nothing else is left. */
  resume(word: string, entity: StoredEntity): void {
    entity.paused = false;
    const { wait, active, delayed, failed, owner } = entity;
    if (!owner && [wait, active, delayed, failed].every(jobs => jobs.length === 0)) this.server.entities.delete(word);
    else this.server.inspections.inspectNow(entity);
  }

  /** An operator decides about the job that blocks an entity, if one does. */
  unblock(entity: StoredEntity, how: Unblocking): void {
    const job = blockerOf(entity, this.server.now());
    if (!job) return;
    this.note('* decides to', how, numberOf(job), 'of', entity.ref.id);
    this.checker(entityKey(entity.ref)).unblock(numberOf(job), how);
    void new MemoryControl(this.server, 'operator', new Codecs()).unblock(entity.ref, how);
  }

  see(word: string): Snapshot {
    return snapshotOfMemory(this.server, word);
  }

  checker(word: string): EntityChecker {
    let checker = this.checkers.get(word);
    if (!checker) {
      checker = new EntityChecker(word, this.violate);
      this.checkers.set(word, checker);
    }
    return checker;
  }

  async enqueue(pod: WalkPod, entityId: string, options: readonly Record<string, unknown>[]): Promise<void> {
    const ns = options.map(() => this.jobs++);
    const requests = options.map((jobOptions, at) => {
      return { entityType: 'account', entityId, name: 'withdraw', data: { n: ns[at] }, options: jobOptions };
    });
    this.note(pod.id, 'enqueues', ...ns, 'of', entityId, JSON.stringify(options));
    const [only] = requests;
    const sent = requests.length === 1 && only ? pod.engine.enqueue(only) : pod.engine.enqueueBulk(requests);
    void sent.then(
      () => {
        for (const n of ns) this.fates.set(n, 'added');
      },
      (error: Error) => {
        const errors = error instanceof BulkEnqueueError ? error.errors : ns.map(() => error);
        for (const [at, n] of ns.entries()) this.told(n, errors[at]);
      },
    );
    await this.settle();
  }

  private told(n: number, error: Error | undefined): void {
    if (error === undefined) this.fates.set(n, 'added');
    else if (error instanceof OutcomeUnknownError) this.fates.set(n, 'unknown');
    else if (error instanceof NotExecutedError) this.fates.set(n, 'not added');
    else if ('code' in error && error.code === 'CLOSED') this.fates.set(n, 'not added');
    else this.violate(`adding job ${n} failed: ${stackOf(error)}`);
  }

  private get steps() {
    const { violate } = this;
    return {
      violate,
      see: (word: string) => this.see(word),
      checker: (word: string) => this.checker(word),
      nowMs: () => this.time.nowMs,
      note: (...what: unknown[]) => this.note(...what),
    };
  }

  private async handle(pod: WalkPod, job: FetchedJob, context: JobContext): Promise<unknown> {
    const word = entityKey({ type: context.entityType, id: context.entityId });
    const { n } = job.data as { n: number };
    const token = Number(context.fencingToken);
    const run: Running = { podId: pod.id, word, n, token };
    this.note('    starts', pod.id, word, n, `attempt ${job.attempt}`);
    const start = {
      ...run,
      attempt: job.attempt,
      made: job.attemptsMade,
      isDraining: pod.state === 'draining',
      grant: pod.store.grants.get(`${word} ${token}`),
      now: momentOf(pod.clock),
      seen: this.see(word),
      serverNowMs: this.time.nowMs,
      beside: this.running.filter(other => other.word === word),
    };
    checkStart(this.checker(word), start, LEASE_MS, this.violate);
    if (this.instant || this.random.chance(0.4)) {
      if (!this.instant && this.random.chance(0.15)) throw new Error('the handler threw');
      return undefined;
    }
    await this.run({ ...run, pod, signal: context.signal, ended: gate() });
    return n;
  }

  /** Until the walk ends it, or some time has passed. */
  private async run(handler: WalkHandler): Promise<void> {
    this.running.push(handler);
    const ms = this.random.chance(0.7) ? this.random.int(1, 30) : this.random.int(1, 3 * LEASE_MS);
    const timer = this.random.chance(0.6) ? handler.pod.clock.after(ms, () => handler.ended.open()) : undefined;
    try {
      await handler.ended.promise;
    } finally {
      timer?.cancel();
      this.forget(handler);
    }
  }

  private ending(pod: WalkPod, claim: Claim, settlement: Settlement): void {
    const word = entityKey(claim.entity);
    const end = readSettlement(settlement);
    const { n, kind } = end;
    const run = { podId: pod.id, word, n, token: Number(claim.token) };
    this.note('    ends', pod.id, word, n, kind);
    checkEnd(this.checker(word), run, end, this.running, this.maxStalled, this.violate);
  }

  private forget(handler: WalkHandler): void {
    const at = this.running.indexOf(handler);
    if (at >= 0) this.running.splice(at, 1);
  }
}
