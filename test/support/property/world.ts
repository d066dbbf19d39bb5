/**
 * Pods on one store, whose handlers end when they are told to: what the commands of a property run on, in memory with a clock
 * of its own, and on Redis in real time.
 */

import { Engine } from '../../../src/core/engine.js';
import { HandlerTable } from '../../../src/core/handlers/handler-table.js';
import { NO_EVENTS } from '../../../src/core/model/events.js';
import { OutcomeUnknownError } from '../../../src/core/model/store-errors.js';
import { type EngineConfig } from '../../../src/core/options/config.js';
import type { OnExhausted } from '../../../src/core/options/options.js';
import { resolveOptions } from '../../../src/core/options/resolve.js';
import type { Clock } from '../../../src/core/ports/clock.js';
import type { EntityStore } from '../../../src/core/ports/store.js';
import { systemClock } from '../../../src/nest/system.js';
import { MemoryEntityStore } from '../../../src/store/memory/memory-store.js';
import { MemoryServer } from '../../../src/store/memory/server.js';
import { ManualClock, settle } from '../clock.js';
import { FaultyStore } from '../faulty-store.js';
import { RecordingLog } from '../log.js';
import { RedisCluster } from '../redis-cluster.js';
import { eventually } from '../wait.js';
import type { JobSpec } from './model.js';

export const TYPE = 'account';

/** Steps of a store whose answers may be lost without any job starting once more. */
export type LosableStep = 'add' | 'tryClaim' | 'resync' | 'take' | 'finish' | 'giveBack' | 'release';
const LEASE_MS = 1000;

/** What pods stand on. */
interface Ground {
  readonly clock: Clock;
  store(podId: string, config: EngineConfig): Promise<EntityStore>;
  pass(ms: number): Promise<void>;
  /** Waits until it holds. */
  until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void>;
  close(): Promise<void>;
}

interface Pod {
  readonly id: string;
  readonly store: FaultyStore;
  readonly engine: Engine;
  isDead: boolean;
}

interface Run {
  readonly pod: Pod;
  readonly n: number;
  end(error?: Error): void;
}

export class World {
  readonly started = new Map<string, number[]>();
  readonly specs = new Map<string, JobSpec[]>();
  /** Jobs that ran, or may have been fetched, when their pod died: they may start more often. */
  readonly touched = new Set<string>();
  /** Jobs that an operator has removed while they waited: none of them starts any more. */
  readonly dropped = new Set<string>();
  readonly enqueuedAtMs = new Map<string, number>();
  readonly faults: string[] = [];
  private readonly running = new Map<string, Run>();
  private readonly failed = new Map<string, number>();
  private readonly decided = new Map<string, number>();
  private readonly pods: Pod[] = [];
  /** Handlers on pods that were cut off. */
  private readonly orphans: Run[] = [];
  private readonly config: EngineConfig;

  private constructor(
    private readonly ground: Ground,
    onExhausted: OnExhausted,
  ) {
    this.config = resolveOptions({
      workerDefaults: { heartbeatTTL: LEASE_MS / 1000, stalledInterval: 300, eventLoopBlockLimitMs: 0 },
      entities: { [TYPE]: { onExhausted, idleTimeoutSeconds: 2, workerConfig: { maxStalledCount: 99 } } },
      shutdownTimeoutMs: 2000,
    });
  }

  static async inMemory(onExhausted: OnExhausted): Promise<World> {
    const clock = new ManualClock();
    const server = new MemoryServer(clock, LEASE_MS);
    const ground: Ground = {
      clock,
      store: async (podId, config) => new MemoryEntityStore(server, config, podId),
      pass: ms => clock.advance(ms),
      async until(what, isSo) {
        for (let i = 0; i < 400 && !(await isSo()); i++) await clock.advance(250);
        if (!(await isSo())) throw new Error(`not within 100 s: ${what}`);
      },
      close: async () => {},
    };
    return World.begin(ground, onExhausted);
  }

  static async onRedis(onExhausted: OnExhausted): Promise<World> {
    const cluster = new RedisCluster();
    const ground: Ground = {
      clock: systemClock,
      store: (podId, config) => cluster.pod(config, podId),
      pass: ms => new Promise(resolve => setTimeout(resolve, Math.min(ms, 60))),
      until: (what, isSo) => eventually(what, isSo, 30_000, 10),
      close: () => cluster.close(),
    };
    return World.begin(ground, onExhausted);
  }

  private static async begin(ground: Ground, onExhausted: OnExhausted): Promise<World> {
    const world = new World(ground, onExhausted);
    await world.addPod();
    await world.addPod();
    return world;
  }

  // ── commands ────────────────────────────────────────────────────────────────────────────────────────────────────

  async addPod(): Promise<void> {
    const id = `${'ABCDEFGHIJKLMNOPQRSTUVWXYZ'[this.pods.length % 26]}${this.pods.length}`;
    const real = await this.ground.store(id, this.config);
    const handlers = new HandlerTable();
    const store = new FaultyStore(real);
    const { clock } = this.ground;
    const { config } = this;
    const parts = { store: store.asStore(), config, handlers, clock, log: new RecordingLog(), events: NO_EVENTS };
    const pod: Pod = { id, store, engine: new Engine(parts), isDead: false };
    const run = (job: { data: unknown }, context: { entityId: string }) =>
      this.handle(pod, context.entityId, (job.data as { n: number }).n);
    handlers.add(TYPE, '*', { runner: run as never, origin: 'the property' });
    this.pods.push(pod);
    await pod.engine.connect();
    pod.engine.work();
    await settle();
  }

  async enqueue(entityId: string, spec: Omit<JobSpec, 'n'>, by: number): Promise<void> {
    const specs = this.specs.get(entityId) ?? [];
    const job = { ...spec, n: specs.length };
    this.specs.set(entityId, [...specs, job]);
    const { attempts, backoffMs, delayMs } = job;
    this.enqueuedAtMs.set(`${entityId}#${job.n}`, this.ground.clock.monotonicMs());
    const options = { attempts, backoff: backoffMs, ...(delayMs > 0 && { delay: delayMs }) };
    const enqueued = this.live[by % this.live.length]?.engine.enqueue({
      entityType: TYPE,
      entityId,
      name: 'work',
      data: { n: job.n },
      options,
    });
    // If the response is lost, the job is in the queue.
    await enqueued?.catch(error => expect(error).toBeInstanceOf(OutcomeUnknownError));
    await this.pass(0);
  }

  /** The running job of an entity ends, as its spec says. */
  async end(entityId: string): Promise<void> {
    const run = this.running.get(entityId);
    if (!run) return;
    this.running.delete(entityId);
    const failed = this.failed.get(`${entityId}#${run.n}`) ?? 0;
    const isFailing = failed < (this.specs.get(entityId)?.[run.n]?.fails ?? 0);
    if (isFailing) this.failed.set(`${entityId}#${run.n}`, failed + 1);
    run.end(isFailing ? new Error('as it was told') : undefined);
    await this.pass(0);
  }

  /** A pod is cut off from the store forever, at any moment, and another one starts. */
  async crash(which: number): Promise<void> {
    const pod = this.live[which % this.live.length];
    if (!pod) return;
    pod.isDead = true;
    pod.store.break('drop');
    for (const [entityId, run] of this.running) {
      if (run.pod !== pod) continue;
      this.touched.add(`${entityId}#${run.n}`);
      this.running.delete(entityId);
      this.orphans.push(run);
    }
    await this.addPod();
  }

  async pause(entityId: string, isPaused: boolean): Promise<void> {
    await this.live[0]?.engine.control.pause({ type: TYPE, id: entityId }, isPaused);
    await this.pass(0);
  }

  /** The next response to a step of a pod is lost. */
  lose(which: number, step: LosableStep): void {
    this.live[which % this.live.length]?.store.next(step, 'lose');
  }

  async pauseType(isPaused: boolean): Promise<void> {
    await this.live[0]?.engine.control.pauseType(TYPE, isPaused);
    await this.pass(0);
  }

  /** Removes all jobs that wait. A running job stays; one that waits for its next attempt may be on its way back. */
  async drop(entityId: string): Promise<void> {
    const before = this.running.get(entityId)?.n;
    await this.live[0]?.engine.control.drop({ type: TYPE, id: entityId });
    const after = this.running.get(entityId)?.n;
    const starts = this.started.get(entityId) ?? [];
    for (const { n } of this.specs.get(entityId) ?? []) {
      if (n === before || n === after) continue;
      (starts.includes(n) ? this.touched : this.dropped).add(`${entityId}#${n}`);
    }
    await this.pass(0);
  }

  /** The numbers of jobs that ended as exhausted: failed ones, or dead letters. */
  async exhausted(entityId: string, onExhausted: OnExhausted): Promise<number[]> {
    const [pod] = this.live;
    if (!pod) return [];
    const { control, deadLetters } = pod.engine;
    const jobs =
      onExhausted === 'deadLetter'
        ? (await deadLetters.list(TYPE, 0, 1000)).filter(letter => letter.entityId === entityId)
        : await control.list({ type: TYPE, id: entityId }, 'failed', 0, 1000);
    return jobs.map(({ data }) => (data as { n: number }).n);
  }

  /** What blocks the entity is decided about. */
  async decide(entityId: string): Promise<void> {
    const { control } = this.live[0]?.engine ?? {};
    const entity = { type: TYPE, id: entityId };
    const { blockedBy } = (await control?.status(entity)) ?? {};
    if (!control || !blockedBy) return;
    const [head] = await control.list(entity, 'waiting', 0, 1);
    if (head?.jobId !== blockedBy.jobId) return;
    const { n } = head.data as { n: number };
    const name = `${entityId}#${n}`;
    const count = this.decided.get(name) ?? 0;
    this.decided.set(name, count + 1);
    await control.unblock(entity, this.specs.get(entityId)?.[n]?.decisions[count] ?? 'skip', head.jobId);
    await this.pass(0);
  }

  pass(ms: number): Promise<void> {
    return this.ground.pass(ms);
  }

  // ── the end ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** All that was enqueued comes to its end. */
  async calm(): Promise<void> {
    await this.pauseType(false);
    for (const entityId of this.specs.keys()) await this.pause(entityId, false);
    await this.ground.until('nothing is left', async () => {
      for (const entityId of this.specs.keys()) {
        await this.end(entityId);
        await this.decide(entityId);
      }
      return (await this.left()) === 0;
    });
  }

  private async left(): Promise<number> {
    let sum = 0;
    for (const id of this.specs.keys()) {
      const status = await this.live[0]?.engine.control.status({ type: TYPE, id });
      sum += (status?.waiting ?? 0) + (status?.active ?? 0) + (status?.delayed ?? 0);
    }
    return sum;
  }

  async close(): Promise<void> {
    for (const pod of this.pods) pod.store.mend();
    for (const run of [...this.orphans, ...this.running.values()]) run.end();
    const closing = Promise.all(this.pods.map(pod => pod.engine.close()));
    await this.ground.pass(5000);
    await closing;
    await this.ground.close();
  }

  private get live(): Pod[] {
    return this.pods.filter(({ isDead }) => !isDead);
  }

  private handle(pod: Pod, entityId: string, n: number): Promise<void> {
    const name = `${entityId}#${n}`;
    if (pod.isDead) this.faults.push(`${name} starts on ${pod.id}, which was cut off`);
    if (this.dropped.has(name)) this.faults.push(`${name} starts, which was dropped`);
    const beside = this.running.get(entityId);
    if (beside) this.faults.push(`${name} starts beside #${beside.n}`);
    const early = this.specs.get(entityId)?.[n]?.delayMs ?? 0;
    if (this.ground.clock.monotonicMs() - (this.enqueuedAtMs.get(name) ?? 0) < early - 5)
      this.faults.push(`${name} is early`);
    this.started.set(entityId, [...(this.started.get(entityId) ?? []), n]);
    return new Promise((resolve, reject) => {
      this.running.set(entityId, { pod, n, end: error => (error ? reject(error) : resolve()) });
    });
  }
}
