/**
 * The cluster of a mixed walk: entities whose jobs are writes, shared reads, batches and jobs that only new pods know, under limits
 * of time and capacity. Each start is checked against the handlers that run, and against the jobs in the store.
 * Neighbours: `mixed-actions.ts` does things to it, `mixed-end.ts` heals it and checks what is left.
 */
import type { EntityContext, FetchedJob } from '../../../src/core/model/job.js';
import { HandlerTimeoutError } from '../../../src/core/model/job-errors.js';
import type { EngineConfig } from '../../../src/core/options/config.js';
import { resolveOptions } from '../../../src/core/options/resolve.js';
import { STOP_GRACE_MS } from '../../../src/core/run/run-limit.js';
import { MemoryServer } from '../../../src/store/memory/server.js';
import type { StoredJob } from '../../../src/store/memory/state.js';
import { Random } from '../random.js';
import { type Gate, gate } from '../wait.js';
import { MixedPod } from './mixed-pod.js';
import { WalkTime } from './time.js';

export const LEASE_MS = 3000;
export const IDS = ['1', '2', '3'] as const;
export const MAX_BACKOFF_MS = 4000;
const ATTEMPTS = 3;
const MAX_READS = 3;
const TIMEOUT_MS = 2000;
const TRACE_LENGTH = 200;
/** More rounds of calls than this without any time passing are a loop. */
const MAX_ROUNDS = 1000;

interface Run {
  readonly pod: MixedPod;
  readonly entityId: string;
  readonly ns: readonly number[];
  readonly isRead: boolean;
  readonly token: bigint;
  readonly signal: AbortSignal;
  readonly startedAtMs: number;
  readonly ended: Gate;
  state: 'running' | 'returned' | 'failed';
  /** Its signal has said that its time limit is exceeded. */
  isOverTime: boolean;
}

export class MixedCluster {
  readonly random: Random;
  readonly time = new WalkTime(() => this.settle());
  readonly server = new MemoryServer(this.time, LEASE_MS);
  readonly config: EngineConfig;
  readonly pods: MixedPod[] = [];
  readonly running: Run[] = [];
  readonly hasReads: boolean;
  /** No pod dies or loses its claims, so no job that has returned runs again. */
  readonly isGentle: boolean;
  /** Handlers return at once. */
  instant = false;
  starts = 0;
  private readonly concurrency: number;
  private readonly timeoutMs: number;
  private readonly batchWaitMs: number;
  /** The last run of each job. */
  private readonly lastRun = new Map<number, Run>();
  private readonly newestToken = new Map<string, bigint>();
  /** The newest token under which a handler exceeded its time limit. */
  private readonly spentToken = new Map<string, bigint>();
  private readonly trace: string[] = [];
  private violation: string | undefined;
  private jobs = 0;
  private madePods = 0;

  constructor(readonly seed: number) {
    this.random = new Random(seed);
    const { random } = this;
    this.concurrency = random.pick([1, 1, 1, 2, 3]);
    this.hasReads = this.concurrency === 1 && random.chance(0.5);
    this.timeoutMs = random.pick([0, 0, TIMEOUT_MS]);
    this.batchWaitMs = random.pick([0, 0, 700]);
    this.isGentle = random.chance(0.4);
    const onExhausted = this.isOrdered ? random.pick(['skip', 'skip', 'deadLetter', 'block'] as const) : 'skip';
    this.config = resolveOptions(
      {
        maxWorkersPerPod: random.pick([1, 2, 50]),
        workerDefaults: {
          heartbeatTTL: LEASE_MS / 1000,
          handlerTimeoutMs: this.timeoutMs,
          unknownJobGraceMs: 8000,
          maxStalledCount: 50,
          prefetch: random.pick([1, 4, 32]),
        },
        entities: {
          account: {
            onExhausted,
            idleTimeoutSeconds: random.int(1, 3),
            maxSharedReads: MAX_READS,
            workerConfig: { concurrency: this.concurrency },
          },
        },
        shutdownTimeoutMs: 3000,
      },
      new Set(this.hasReads ? ['account'] : []),
    );
  }

  private get isOrdered(): boolean {
    return this.concurrency === 1;
  }

  readonly violate = (what: string): void => {
    this.note('VIOLATION', what);
    this.violation ??= what;
  };

  readonly note = (...what: unknown[]): void => {
    this.trace.push(`${Math.round(this.time.nowMs)} ${what.join(' ')}`);
    if (this.trace.length > 2 * TRACE_LENGTH) this.trace.splice(0, TRACE_LENGTH);
  };

  /** @throws with the seed and the trace, when an invariant was violated. */
  check(): void {
    if (this.violation === undefined) return;
    throw new Error(`SEED=${this.seed}: ${this.violation}\n${this.trace.slice(-TRACE_LENGTH).join('\n')}`);
  }

  /** Lets everything run that needs no time. */
  async settle(): Promise<void> {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      await new Promise(resolve => setImmediate(resolve));
      let hasSent = false;
      for (const pod of this.pods) hasSent = pod.flush() || hasSent;
      if (!hasSent) return;
    }
    this.violate('calls are made without end');
  }

  async start(isNew = this.random.chance(0.5)): Promise<MixedPod> {
    const { time, server, random, config, hasReads, batchWaitMs, violate, note } = this;
    const handle = this.handle.bind(this);
    const parts = { time, server, random, config, hasReads, batchWaitMs, isNew, violate, note, handle };
    const pod = new MixedPod(`P${++this.madePods}`, parts);
    this.pods.push(pod);
    await pod.engine.connect();
    pod.engine.work();
    await this.settle();
    return pod;
  }

  crash(pod: MixedPod): void {
    pod.crash();
    for (const run of this.running.filter(other => other.pod === pod)) this.forget(run);
    this.pods.splice(this.pods.indexOf(pod), 1);
  }

  async add(pod: MixedPod, entityId: string, name: string, delay: number): Promise<void> {
    const options = { attempts: ATTEMPTS, backoff: { type: 'fixed', delay } };
    const request = { entityType: 'account', entityId, name, data: { n: this.jobs++ }, options };
    // The walk does not need to know whether the job was added.
    pod.engine.enqueue(request).catch(() => {});
  }

  // ── handlers ────────────────────────────────────────────────────────────────────────────────────────────────────

  private async handle(pod: MixedPod, jobs: readonly FetchedJob[], context: EntityContext): Promise<void> {
    const { random } = this;
    const { entityId, signal } = context;
    const run: Run = {
      pod,
      entityId,
      ns: jobs.map(({ data }) => (data as { n: number }).n),
      isRead: this.hasReads && jobs[0]?.name === 'read',
      token: BigInt(context.fencingToken),
      signal,
      startedAtMs: this.time.nowMs,
      ended: gate(),
      state: 'running',
      isOverTime: false,
    };
    this.checkStart(run, jobs);
    this.running.push(run);
    this.starts++;
    for (const n of run.ns) this.lastRun.set(n, run);
    signal.addEventListener('abort', () => this.onAbort(run));
    const ms = random.chance(0.8) ? random.int(1, 50) : random.int(1, 3 * LEASE_MS);
    const timer = random.chance(0.6) ? pod.clock.after(ms, () => run.ended.open()) : undefined;
    try {
      if (!this.instant && random.chance(0.6)) await run.ended.promise;
      if (!this.instant && random.chance(0.12)) throw new Error('the handler threw');
      run.state = 'returned';
    } catch (error) {
      run.state = 'failed';
      throw error;
    } finally {
      timer?.cancel();
      this.forget(run);
      if (run.isOverTime) setImmediate(() => this.spend(run));
    }
  }

  /** The token of a run that exceeds its time limit is spent when the run ends, a moment after the signal at the latest. */
  private onAbort(run: Run): void {
    if (!(run.signal.reason instanceof HandlerTimeoutError)) return;
    run.isOverTime = true;
    run.pod.clock.after(STOP_GRACE_MS + 1, () => this.spend(run));
  }

  /** The engine waits no longer for it. */
  private isGivenUp({ startedAtMs }: Run): boolean {
    return this.timeoutMs > 0 && this.time.nowMs - startedAtMs >= this.timeoutMs + STOP_GRACE_MS;
  }

  private forget(run: Run): void {
    const at = this.running.indexOf(run);
    if (at >= 0) this.running.splice(at, 1);
  }

  // ── checks ──────────────────────────────────────────────────────────────────────────────────────────────────────

  private checkStart(run: Run, jobs: readonly FetchedJob[]): void {
    const { pod, entityId, ns, isRead, token } = run;
    this.note('  starts', pod.id, entityId, jobs[0]?.name, ns, `token ${token}`);
    const here = this.running.filter(other => other.entityId === entityId && other.pod === pod);
    const alongside = here.filter(other => !this.isGivenUp(other));
    const max = isRead && alongside.every(other => other.isRead) ? MAX_READS : this.concurrency;
    if (alongside.length >= max) this.violate(`I1: ${ns} starts on ${pod.id} alongside ${alongside.map(o => o.ns)}`);
    const newest = this.newestToken.get(entityId) ?? 0n;
    if (token < newest) this.violate(`I4: ${ns} starts under ${token}, after ${newest}`);
    if (token <= (this.spentToken.get(entityId) ?? 0n)) this.violate(`race 39: ${ns} starts under the spent ${token}`);
    this.newestToken.set(entityId, token > newest ? token : newest);
    const again = ns.find(n => this.hasReturned(n));
    if (this.isGentle && again !== undefined) this.violate(`I5: ${again} has returned, and runs again`);
    if (this.isOrdered) this.checkOrder(run, jobs);
  }

  private spend({ entityId, token }: Run): void {
    if (token > (this.spentToken.get(entityId) ?? 0n)) this.spentToken.set(entityId, token);
  }

  /** I6: no older job waits or runs, unless both are reads. Ids of jobs grow in the order in which the store accepts them. */
  private checkOrder({ entityId, ns, isRead }: Run, jobs: readonly FetchedJob[]): void {
    const { wait = [], active = [] } = this.server.find({ type: 'account', id: entityId }) ?? {};
    const oldest = Math.min(...jobs.map(({ id }) => Number(id)));
    const isBefore = ({ id, name }: StoredJob) => Number(id) < oldest && !(isRead && name === 'read');
    const first = [...wait, ...active.filter(job => !this.hasEnded(job))].find(isBefore);
    if (first) this.violate(`I6: ${ns} starts before ${first.data}`);
  }

  private hasReturned(n: number): boolean {
    const run = this.lastRun.get(n);
    return run?.state === 'returned' && !run.isOverTime;
  }

  /** The end of its last attempt is on its way to the store. */
  private hasEnded({ data, attemptsMade, mustFail }: StoredJob): boolean {
    const run = this.lastRun.get((JSON.parse(data) as { n: number }).n);
    if (mustFail !== undefined || run?.state === 'returned') return true;
    const isLast = attemptsMade + 1 >= ATTEMPTS;
    return run !== undefined && isLast && (run.state === 'failed' || this.isGivenUp(run));
  }
}
