/**
 * The scenario of a fault: a private Redis, pods as processes, and a producer that runs no jobs and counts what it has enqueued.
 * The pods are judged by their own records, which no fault of Redis touches.
 */
import type { INestApplicationContext } from '@nestjs/common';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { JobsOptions } from 'bullmq';
import { Redis } from 'ioredis';
import { type DevRedis, startRedis } from '#dev-redis';

import { AtomicQueuesError, AtomicQueuesModule, EntityQueues, QueueBus, type WaitOptions } from '../../src/index.js';
import type { SentinelOptions } from '../../src/store/redis/connection/options.js';

import { allWorkedSince, CLEAN, type FaultWindow, judge, longestSilence, type Verdict } from './judge.js';
import { PodProcesses, type Run } from './processes.js';
import { Random } from './random.js';
import { freshPrefix } from './redis.js';
import { isFull } from './test-length.js';
import { eventually } from './wait.js';

/** Only in the full run. */
export const inFull: (name: string, run: () => Promise<void>, timeoutMs?: number) => void = isFull ? test : () => {};
/** The lease in seconds: the default in the full run. */
export const TTL = isFull ? 3 : 1;
/** Starting processes is most of what a fault costs. */
export const PODS = isFull ? 3 : 2;
/** The promise: no entity with work is silent for longer, once Redis and a pod are there. */
export const SILENCE_MS = 5000;

/** A loaded machine starts processes slowly; the promise itself is measured apart from that. */
export const FAULT_MS = 240_000;
/** Longer than any fault: the test shows that a reply comes. */
const CALL_MS = 120_000;
/** Reading the records of pods takes the time of the producer. */
const POLL_MS = 25;

export const now = () => process.hrtime.bigint();

export interface FaultScenarioOptions {
  readonly pods: number;
  readonly entities?: number;
  /** A server of the test's own, which it also ends. */
  readonly redis?: DevRedis;
  readonly redisArgs?: readonly string[];
  /** The address of Redis for producer and pods, if it is not its own. */
  readonly url?: string;
  /** The option `redis` of the module, if they use no address. */
  readonly connection?: SentinelOptions;
  readonly settings?: Readonly<Record<string, string>>;
}

type Data = Readonly<Record<string, unknown>>;

export class FaultScenario {
  readonly prefix = freshPrefix();
  readonly seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
  readonly random = new Random(this.seed);
  readonly entities: readonly string[];
  readonly pods: PodProcesses;
  readonly admin: Redis;
  /** How many jobs of each entity were added, or may have been. */
  readonly added = new Map<string, number>();
  /** Adds with an unknown outcome. */
  readonly unsure = new Set<string>();
  /** How often an enqueue was refused, by the code of the error; the same job was tried again. */
  readonly refused = new Map<string, number>();
  /** Errors that are not the library's own. */
  private readonly untyped: string[] = [];
  private readonly windows: FaultWindow[] = [];
  private producer: INestApplicationContext | undefined;
  private producing: Promise<unknown>[] = [];
  private isProducing = false;

  private constructor(
    readonly redis: DevRedis,
    readonly url: string,
    private readonly options: FaultScenarioOptions,
  ) {
    this.entities = Array.from({ length: options.entities ?? 10 }, (_, i) => `e${i}`);
    this.admin = new Redis(redis.url, { maxRetriesPerRequest: null }).on('error', () => {});
    const connection = options.connection && { REDIS: JSON.stringify(options.connection) };
    const settings = {
      REDIS_URL: url,
      HEARTBEAT_TTL: String(TTL),
      HANDLER_MS_MAX: '4',
      ...connection,
      ...options.settings,
    };
    this.pods = new PodProcesses(this.prefix, settings, process.env['FAULT_LOGS'] ? 'inherit' : 'file');
  }

  static async run(options: FaultScenarioOptions, body: (scenario: FaultScenario) => Promise<void>): Promise<void> {
    const redis = options.redis ?? (await startRedis({ alwaysPrivate: true, args: [...(options.redisArgs ?? [])] }));
    const scenario = new FaultScenario(redis, options.url ?? redis.url, options);
    try {
      await scenario.startProducer();
      await Promise.all(Array.from({ length: options.pods }, () => scenario.pods.start()));
      await scenario.allKnown();
      await body(scenario);
    } finally {
      scenario.isProducing = false;
      await scenario.pods.close('SIGKILL');
      await scenario.producer?.close();
      scenario.admin.disconnect();
      if (!options.redis) await redis.stop();
    }
  }

  private async startProducer(): Promise<void> {
    const redis = this.options.connection ?? { url: this.url };
    @Module({ imports: [AtomicQueuesModule.forRoot({ redis, keyPrefix: this.prefix, commandTimeoutMs: 1000 })] })
    class Producer {}
    this.producer = await NestFactory.createApplicationContext(Producer, { logger: false });
  }

  /** Adds the next job of an entity. */
  async enqueue(entityId: string, data: Data = {}, options?: JobsOptions): Promise<number> {
    if (!this.producer) throw new Error('The scenario has not been set.');
    const { n, job } = this.nextJob(entityId, data);
    await this.producer.get(QueueBus).enqueueJob(job, options);
    return n;
  }

  /** Adds the next job of an entity, and waits for its result. */
  call(entityId: string, data: Data = {}, options: WaitOptions = { timeoutMs: CALL_MS }): Promise<unknown> {
    if (!this.producer) throw new Error('The scenario has not been set.');
    return this.producer.get(QueueBus).enqueueJobAndWait(this.nextJob(entityId, data).job, options);
  }

  /** Pauses, or resumes, all entities. */
  async pauseAll(isPaused: boolean): Promise<void> {
    const all = this.producer?.get(EntityQueues).ofType('account');
    await (isPaused ? all?.pause() : all?.resume());
  }

  private nextJob(entityId: string, data: Data) {
    const n = this.added.get(entityId) ?? 0;
    this.added.set(entityId, n + 1);
    return { n, job: { entityType: 'account', entityId, name: 'work', data: { ...data, n } } };
  }

  /** Adds the next job. A refusal is counted, and the next job has the same number. */
  async enqueueAnyhow(entityId: string, data?: Data): Promise<void> {
    try {
      await this.enqueue(entityId, data);
    } catch (error) {
      const n = (this.added.get(entityId) ?? 0) - 1;
      const code = error instanceof AtomicQueuesError ? error.code : undefined;
      if (code === undefined) this.untyped.push(String(error));
      if (code === 'OUTCOME_UNKNOWN') this.unsure.add(`${entityId}#${n}`);
      else {
        this.added.set(entityId, n);
        this.refused.set(code ?? 'untyped', (this.refused.get(code ?? 'untyped') ?? 0) + 1);
      }
    }
  }

  /** Adds jobs to all entities, one after the other, until {@link FaultScenario.stopProducing}. */
  produce(pauseMsMax = 40): void {
    this.isProducing = true;
    this.producing = this.entities.map(async entityId => {
      while (this.isProducing) {
        await this.enqueueAnyhow(entityId);
        await new Promise(resolve => setTimeout(resolve, this.random.next() * pauseMsMax));
      }
    });
  }

  async stopProducing(): Promise<void> {
    this.isProducing = false;
    await Promise.all(this.producing);
  }

  /** Produces, and returns when work is under way. */
  async putUnderLoad(pauseMsMax?: number): Promise<void> {
    this.produce(pauseMsMax);
    await this.underWay();
  }

  /** Stops producing, and waits until all acknowledged jobs have run. */
  async finishLoad(timeoutMs?: number): Promise<void> {
    await this.stopProducing();
    await this.allDone(timeoutMs);
  }

  runs(): Run[] {
    return this.pods.runs();
  }

  /** While the fault is on, ends may not reach Redis. */
  async during<T>(fault: () => Promise<T>): Promise<T> {
    const from = now();
    try {
      return await fault();
    } finally {
      this.windows.push({ from, to: now() });
    }
  }

  /** Waits until every entity has started a job since. */
  hasWorkedSince(at: bigint, entities: readonly string[] = this.entities): Promise<void> {
    return eventually('every entity is worked', () => allWorkedSince(this.runs(), at, entities), 60_000, POLL_MS);
  }

  /** Waits until each pod that lives has told the others of itself: from then on entities are handed over to it, too. */
  allKnown(): Promise<void> {
    const sinceUs = Date.now() * 1000;
    return eventually('all pods are known', async () => {
      const known = await this.admin.zcount(`${this.prefix}:$:pods:account`, sinceUs, '+inf');
      return known >= this.pods.workingPods.length;
    });
  }

  /** Waits until a job has run, at all, in every entity: all are claimed. */
  async underWay(runs = 5 * this.entities.length): Promise<void> {
    await eventually('work is under way', () => this.runs().length >= runs, 60_000, POLL_MS);
  }

  /** Waits until all acknowledged jobs have run. */
  async allDone(timeoutMs = 60_000, everyMs = POLL_MS): Promise<void> {
    await eventually('all that was acknowledged has run', () => this.left() === 0, timeoutMs, everyMs);
  }

  private left(): number {
    const done = new Set(this.runs().flatMap(run => (run.end ? [`${run.entityId}#${run.n}`] : [])));
    let left = 0;
    for (const [entityId, count] of this.added)
      for (let n = 0; n < count; n++) {
        const name = `${entityId}#${n}`;
        if (!done.has(name) && !this.unsure.has(name)) left++;
      }
    return left;
  }

  /** The longest time, in ms, without a start of an entity that has work, from then on. */
  silenceAfter(at: bigint, entities: readonly string[] = this.entities): number {
    return longestSilence(this.runs(), at, entities);
  }

  verdict(runs: readonly Run[] = this.runs()): Verdict {
    return judge(runs, this.pods.deaths, this.added, { unsure: this.unsure, windows: this.windows });
  }

  /** Prints one line of figures, and expects the invariants to hold. */
  expectClean(fault: string, figures: Readonly<Record<string, unknown>> = {}): Verdict {
    const verdict = this.verdict();
    const summary = this.report(fault, { ...this.countsOf(verdict), ...figures });
    expect({ summary, untyped: this.untyped, ...verdict }).toMatchObject({ untyped: [], ...CLEAN });
    return verdict;
  }

  /** The fault is over: every entity works again soon, the load is worked off, and the invariants hold. */
  async expectRecovery(fault: string, overAt: bigint): Promise<void> {
    await this.hasWorkedSince(overAt);
    await this.finishLoad();
    const silence = this.silenceAfter(overAt);
    this.expectClean(fault, { 'silence after it ms': silence });
    expect(silence).toBeLessThanOrEqual(SILENCE_MS);
  }

  report(fault: string, figures: Readonly<Record<string, unknown>>): string {
    const text = Object.entries(figures).map(([name, value]) => `${name} ${value}`);
    const summary = `[fault] ${fault}: ${text.join(', ')} (seed ${this.seed})`;
    process.stderr.write(`${summary}\n`);
    return summary;
  }

  countsOf({ reruns, fencedZombies, missing }: Verdict): Record<string, number> {
    const commands = [...this.added.values()].reduce((sum, count) => sum + count, 0) - this.unsure.size;
    const counts: Record<string, number> = { commands, lost: missing.length, reruns, zombies: fencedZombies.length };
    if (this.unsure.size > 0) counts['unsure'] = this.unsure.size;
    for (const [code, count] of this.refused) counts[code] = count;
    return counts;
  }

  key(entityId: string, rest = ''): string {
    return `${this.prefix}:account:${entityId}:queue${rest}`;
  }

  /** The id of the process that owns the entity, as Redis has it. */
  owner(entityId: string): Promise<string | null> {
    return this.admin.hget(this.key(entityId, ':$:worker'), 'owner');
  }

  /** The pod whose run of the entity was the last to start. */
  podOf(entityId: string): string | undefined {
    return this.runs().findLast(run => run.entityId === entityId)?.pod;
  }
}

/** Resolves after a part of the fault that takes time, such as an outage: the fault itself, not a wait for something. */
export const lasts = (ms: number) => new Promise<void>(resolve => setTimeout(resolve, ms));
