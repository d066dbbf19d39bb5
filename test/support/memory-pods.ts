/** A cluster of engines on one memory store and one manual clock: it stands still until a test moves the clock. */

import type { WaitOptions } from '../../src/core/calls/pending-calls.js';
import { Engine } from '../../src/core/engine.js';
import type { BatchHandling } from '../../src/core/handlers/batch-options.js';
import { HandlerTable } from '../../src/core/handlers/handler-table.js';
import type { LifecycleEvent } from '../../src/core/model/events.js';
import type { EntityContext, FetchedJob, JobContext, JobOptions, JobRunner } from '../../src/core/model/job.js';
import { BatchFailure } from '../../src/core/model/job-errors.js';
import type { EngineOptions } from '../../src/core/options/options.js';
import { resolveOptions } from '../../src/core/options/resolve.js';
import { MemoryEntityStore } from '../../src/store/memory/memory-store.js';
import { MemoryServer } from '../../src/store/memory/server.js';
import { ManualClock, settle } from './clock.js';
import { FaultyStore } from './faulty-store.js';
import { RecordingLog } from './log.js';
import type { Batches, Running, RunningBatch } from './running-handlers.js';
import { type Gate, gate } from './wait.js';

export const LEASE_MS = 3000;

/** What differs from test to test; the names are explained in the class. */
type ClusterSettings = Partial<Pick<MemoryPods, 'instant' | 'atOnce' | 'shared'>>;

export class MemoryPods {
  readonly clock = new ManualClock();
  readonly server = new MemoryServer(this.clock, LEASE_MS);
  /** Starts in their order, as `pod:entity:n`. */
  readonly starts: string[] = [];
  readonly running: Running[] = [];
  /** Batches in the order of their starts, as `pod:entity:n,n,n`. */
  readonly batches: string[] = [];
  readonly runningBatches: RunningBatch[] = [];
  readonly pods: Pod[] = [];
  /** Handlers return at once. */
  instant = true;
  /** How many handlers of an entity may run at once. */
  atOnce = 1;
  /** The names of jobs that are shared reads, on each pod that starts from now on; as many as `mostReads` may run at once. */
  shared: readonly string[] = [];
  mostReads = 16;
  /** The names of jobs for which the next pods have handlers. */
  types: readonly string[] = ['account'];
  /** The last step of handlers, with their result. */
  returns: (pod: Pod, n: number, context: JobContext) => unknown = () => undefined;
  /** The last step of batch handlers. */
  inBatch: (pod: Pod) => unknown = () => undefined;

  constructor(settings: ClusterSettings = {}) {
    Object.assign(this, settings);
  }

  /** @param jobNames the names of jobs that the pod has handlers for. */
  async pod(
    name: string,
    options: EngineOptions = {},
    jobNames: readonly string[] = ['*'],
    batches: Batches = {},
  ): Promise<Pod> {
    const pod = new Pod(name, this, options, { jobNames, batches });
    this.pods.push(pod);
    await pod.engine.connect();
    pod.engine.work();
    // All that follows connect() has run.
    await null;
    await settle();
    return pod;
  }

  /** The pod has ended jobs 0 and 1 of an entity, runs job 2, and has fetched job 3. More are waiting. */
  async prefetchOn(pod: Pod, ...more: number[]): Promise<void> {
    await pod.add('1', 0, 1, 2, 3, ...more);
    await this.job(0).end();
    await this.job(1).end();
    expect(this.active()).toEqual([2, 3]);
  }

  /**
   * The owner is about to release its idle entity, and waits for a renewal; meanwhile another pod adds job 1, of which the
   * owner is not told. Returns what lets the renewal through.
   */
  async addBehindRelease(owner: Pod, other: Pod): Promise<() => void> {
    this.instant = true;
    this.server.inspections.wake = () => {};
    await owner.add('1', 0);
    await this.clock.advance(14_990);
    const letThrough = owner.store.hold('renew');
    await this.clock.advance(10);
    await other.add('1', 1);
    return letThrough;
  }

  /** What the server has stored of an account. */
  stored(id = '1') {
    return this.server.entity({ type: 'account', id });
  }

  /** Why jobs of an account have failed. */
  failedReasons(id = '1') {
    return this.stored(id).failed.map(({ outcome }) => outcome?.value);
  }

  /** Which jobs of an account are fetched. */
  active(id = '1'): number[] {
    return this.stored(id).active.map(({ data }) => JSON.parse(data).n);
  }

  /** Ends everything, and checks that no worker and no timer is left. */
  async close(): Promise<void> {
    this.instant = true;
    for (const running of [...this.running, ...this.runningBatches]) await running.end();
    for (const pod of this.pods) {
      pod.store.mend();
      await Promise.all([pod.engine.close(), this.clock.advance(20_000)]);
    }
    await this.clock.advance(60_000);
    expect([...this.running, ...this.runningBatches]).toHaveLength(0);
    expect(this.clock.pendingTimers).toBe(0);
  }

  async handle(pod: string, n: number, context: JobContext): Promise<void> {
    const { entityId } = context;
    this.starts.push(`${pod}:${entityId}:${n}`);
    const beside = this.running.filter(other => other.entityId === entityId);
    const isRead = this.shared.includes((context.job as { name: string }).name);
    const atOnce = isRead && beside.every(other => other.isRead) ? this.mostReads : this.atOnce;
    if (beside.length >= atOnce) throw new Error(`${pod}:${entityId}:${n} overlaps ${beside[0]?.pod}:${beside[0]?.n}`);
    if (this.instant) return;
    const ended: Gate = gate();
    const running: Running = {
      pod,
      entityId,
      n,
      isRead,
      context,
      end: async () => {
        ended.open();
        await settle();
      },
      fail: async (thrown = new Error('the handler threw')) => {
        ended.fail(thrown);
        await settle();
      },
    };
    this.running.push(running);
    try {
      await ended.promise;
    } finally {
      this.forget(running);
    }
  }

  async handleBatch(pod: string, jobs: readonly FetchedJob[], context: EntityContext): Promise<unknown> {
    const ns = jobs.map(({ data }) => (data as { n: number }).n);
    this.batches.push(`${pod}:${context.entityId}:${ns.join()}`);
    const beside = [...this.running, ...this.runningBatches].filter(other => other.entityId === context.entityId);
    if (beside.length >= this.atOnce) throw new Error(`${pod}:${context.entityId}:${ns.join()} overlaps`);
    if (this.instant) return undefined;
    const ended = gate<unknown>();
    const settled = async (act: () => void) => {
      act();
      await settle();
    };
    const running: RunningBatch = {
      pod,
      entityId: context.entityId,
      ns,
      jobs,
      context,
      end: result => settled(() => ended.open(result)),
      fail: (thrown = new Error('the handler threw')) => settled(() => ended.fail(thrown)),
      failSome: failures => {
        const named = Object.entries(failures).map(([n, error]) => ({ job: jobs[ns.indexOf(Number(n))] ?? {}, error }));
        return settled(() => ended.fail(new BatchFailure(named)));
      },
    };
    this.runningBatches.push(running);
    try {
      return await ended.promise;
    } finally {
      this.runningBatches.splice(this.runningBatches.indexOf(running), 1);
    }
  }

  /** The batch handler that is running; only one may be. */
  get batch(): RunningBatch {
    const [running, ...more] = this.runningBatches;
    if (!running || more.length > 0)
      throw new Error(`${this.runningBatches.length} batches are running; started so far: ${this.batches.join(' ')}`);
    return running;
  }

  /** Forgets a handler that runs on a pod that is cut off: another one may start meanwhile. */
  forget(running: Running): void {
    const at = this.running.indexOf(running);
    if (at >= 0) this.running.splice(at, 1);
  }

  /** The handler of job n, which must be running. */
  job(n: number): Running {
    const found = this.running.find(running => running.n === n);
    if (!found) throw new Error(`job ${n} is not running; started so far: ${this.starts.join(' ')}`);
    return found;
  }
}

/** A cluster with one pod, A. */
export async function startPodA(settings: ClusterSettings = {}): Promise<{ cluster: MemoryPods; a: Pod }> {
  const cluster = new MemoryPods(settings);
  return { cluster, a: await cluster.pod('A') };
}

export class Pod {
  readonly store: FaultyStore;
  readonly engine: Engine;
  readonly log = new RecordingLog();
  readonly events: LifecycleEvent[] = [];

  constructor(
    readonly name: string,
    cluster: MemoryPods,
    options: EngineOptions,
    { jobNames, batches }: { readonly jobNames: readonly string[]; readonly batches: Batches },
  ) {
    const sharedTypes = new Set(cluster.shared.length > 0 ? ['account'] : []);
    const config = resolveOptions({ workerDefaults: { heartbeatTTL: LEASE_MS / 1000 }, ...options }, sharedTypes);
    this.store = new FaultyStore(new MemoryEntityStore(cluster.server, config, name));
    const handlers = new HandlerTable();
    const run: JobRunner = async (job, context) => {
      const { n } = job.data as { n: number };
      await cluster.handle(name, n, context);
      return cluster.returns(this, n, context);
    };
    for (const type of cluster.types) {
      for (const jobName of jobNames) handlers.add(type, jobName, { runner: run, origin: name });
    }
    for (const [jobName, { max, maxWaitMs = 0, validator }] of Object.entries(batches)) {
      const run: BatchHandling['run'] = async (jobs, context) => {
        const result = await cluster.handleBatch(name, jobs, context);
        await cluster.inBatch(this);
        return result;
      };
      const batch = { max, maxWaitMs, run };
      handlers.add('account', jobName, { batch, origin: name, validator });
    }
    for (const jobName of cluster.shared) handlers.share('account', jobName, name);
    const events = { observed: true, emit: (event: LifecycleEvent) => void this.events.push(event) };
    const { clock } = cluster;
    this.engine = new Engine({ store: this.store.asStore(), config, handlers, clock, log: this.log, events });
  }

  /** How often the pod has made this call to its store. */
  count(call: string): number {
    return this.store.calls.filter(made => made === call).length;
  }

  add(entityId: string, ...ns: number[]): Promise<void> {
    return this.addNamed('withdraw', entityId, ...ns);
  }

  /** Adds a job for the next hour: its entity is idle, and does not rest. */
  async addForLater(entityId: string, n: number): Promise<void> {
    const options = { delay: 3_600_000 };
    await this.engine.enqueue({ entityType: 'account', entityId, name: 'withdraw', data: { n }, options });
    await settle();
  }

  /** Enqueues a job and waits for its result. */
  call(entityId: string, n: number, wait: WaitOptions = {}, options: JobOptions = {}): Promise<unknown> {
    const request = { entityType: 'account', entityId, name: 'withdraw', data: { n }, options };
    return this.engine.enqueueAndWait(request, { timeoutMs: 10_000, ...wait });
  }

  async addNamed(name: string, entityId: string, ...ns: number[]): Promise<void> {
    await Promise.all(ns.map(n => this.engine.enqueue({ entityType: 'account', entityId, name, data: { n } })));
    await settle();
  }
}
