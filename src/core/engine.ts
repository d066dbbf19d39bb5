/**
 * The core as a whole: a framework such as Nest starts it, enqueues through it, drains and closes it.
 * Owns: the order of start and stop. Its parts do the work.
 */

import { PendingCalls, type WaitOptions } from './calls/pending-calls.js';
import { Enqueuer } from './enqueue/enqueuer.js';
import type { FlowOf } from './enqueue/flow.js';
import { type EnqueuedFlow, type EnqueuedJob, type JobRequest, type ScheduledJob } from './enqueue/requests.js';
import type { HandlerTable } from './handlers/handler-table.js';
import { detached } from './model/detached.js';
import type { EntityRef } from './model/entity.js';
import { ClosedError, rejecting } from './model/errors.js';
import type { EventSink } from './model/events.js';
import type { Schedule } from './model/schedule.js';
import type { EngineConfig } from './options/config.js';
import { Propagation, type Tracer } from './payload/caller-context.js';
import { Announcer } from './pod/announcer.js';
import { ClaimSources } from './pod/claim-sources.js';
import { Discovery } from './pod/discovery.js';
import { Heartbeat } from './pod/heartbeat.js';
import { HostLookup } from './pod/host-lookup.js';
import { Leftovers } from './pod/leftovers.js';
import { Scaler } from './pod/scaler.js';
import { SlowRuns } from './pod/slow-runs.js';
import { WorkerManager } from './pod/worker-manager.js';
import type { Clock } from './ports/clock.js';
import type { Log } from './ports/log.js';
import type { DeadLetters, EntityControl, Schedules } from './ports/operator.js';
import type { EntityStore } from './ports/store.js';
import { jobWord } from './run/run-job.js';
import type { EntityWorker } from './work/entity-worker.js';

/** Maximum number of jobs in the log line about an incomplete shutdown. */
const MAX_NAMED_JOBS = 5;

export interface EngineParts {
  readonly store: EntityStore;
  readonly config: EngineConfig;
  /** Complete before {@link Engine.work}. */
  readonly handlers: HandlerTable;
  readonly clock: Clock;
  readonly log: Log;
  /** Receives the events of workers and jobs. */
  readonly events?: EventSink;
  /** Carries the trace of a caller to the handler of its job. */
  readonly tracer?: Tracer;
  /**
   * Names this process, if a test runner has started it. Test processes should share no `keyPrefix` with another process, as pods
   * of a deployment do; those that do are warned.
   */
  readonly testProcess?: string | undefined;
}

export class Engine {
  private readonly manager: WorkerManager;
  private readonly heartbeat: Heartbeat;
  private readonly sources: ClaimSources;
  private readonly discovery: Discovery;
  private readonly leftovers: Leftovers;
  private readonly announcer: Announcer;
  private readonly scaler: Scaler | undefined;
  private readonly slowRuns: SlowRuns;
  private readonly enqueuer: Enqueuer;
  private readonly calls: PendingCalls;
  private isWorking = false;
  private connected: Promise<void> | undefined;
  private draining: Promise<EntityWorker[]> | undefined;
  private closing: Promise<void> | undefined;

  constructor(private readonly parts: EngineParts) {
    const { store, config, tracer } = parts;
    const propagation = config.context || tracer ? new Propagation(config.context, tracer) : undefined;
    this.manager = new WorkerManager({
      ...parts,
      propagation,
      requestRenewal: () => this.heartbeat.request(),
      lost: claim => this.heartbeat.onLost(claim),
      capacityFreed: () => this.sources.sweepNow(),
    });
    const { manager } = this;
    this.heartbeat = new Heartbeat({ ...parts, manager });
    this.sources = new ClaimSources({ ...parts, manager });
    this.discovery = new Discovery(parts);
    this.leftovers = new Leftovers(parts);
    this.announcer = new Announcer(parts);
    const hosts = new HostLookup(parts);
    this.slowRuns = new SlowRuns({ ...parts, manager });
    if (config.scaleEveryMs !== undefined) this.scaler = new Scaler(config.scaleEveryMs, { ...parts, manager });
    this.enqueuer = new Enqueuer({
      store,
      config,
      manager,
      clock: parts.clock,
      propagation,
      added: type => hosts.onAdded(type),
    });
    this.calls = new PendingCalls({
      replies: store.replies,
      config,
      clock: parts.clock,
      hosts,
      add: (request, envelope) => this.enqueuer.enqueue(request, envelope),
    });
  }

  /**
   * Resolves when the store is connected: jobs can be added. Rejects if that can't be, as with wrong credentials.
   * @param onUnreachable is called for each attempt that failed and is repeated. Only that of the first call counts.
   */
  connect(onUnreachable?: (reason: string) => void): Promise<void> {
    // guards: engine.connect
    this.connected ??= detached(() => this.parts.store.start(onUnreachable));
    return this.connected;
  }

  /** Works jobs from now on, or from when the store is connected. */
  work(): void {
    // guards: engine.work
    detached(() => this.workOnceConnected());
  }

  private workOnceConnected(): void {
    this.connect().then(
      () => {
        const { config, handlers } = this.parts;
        if (this.draining || config.producerOnly || handlers.hostedTypes().length === 0) return;
        this.isWorking = true;
        this.manager.open();
        this.heartbeat.start();
        this.sources.start();
        this.discovery.start();
        this.leftovers.start();
        this.announcer.start();
        this.scaler?.start();
        this.slowRuns.start();
      },
      () => {}, // connect() reports it
    );
  }

  /** Adds one job. Rejects with a typed error; see each for whether the job was added. */
  enqueue(request: JobRequest): Promise<EnqueuedJob> {
    return this.enqueuer.enqueue(request);
  }

  /** Adds one job, and resolves with its result. Rejects with a typed error; see each for whether the job was added. */
  enqueueAndWait(request: JobRequest, options: WaitOptions): Promise<unknown> {
    return rejecting(() => this.calls.call(request, options));
  }

  /** Adds jobs together, in their order. Rejects with a BulkEnqueueError that says which were not added. */
  enqueueBulk(requests: readonly JobRequest[]): Promise<EnqueuedJob[]> {
    return this.enqueuer.enqueueBulk(requests);
  }

  /** Adds a parent and its children, all or none. Rejects with a typed error. */
  enqueueFlow(request: FlowOf<JobRequest>): Promise<EnqueuedFlow> {
    return this.enqueuer.enqueueFlow(request);
  }

  /** Sets a schedule, which adds its job again and again. Rejects with a typed error. */
  schedule(request: JobRequest, schedule: Schedule): Promise<ScheduledJob> {
    return this.enqueuer.schedule(request, schedule);
  }

  /** The actions of an operator on one entity, on any pod. */
  get control(): EntityControl {
    return this.parts.store.control;
  }

  get deadLetters(): DeadLetters {
    return this.parts.store.deadLetters;
  }

  get schedules(): Schedules {
    return this.parts.store.schedules;
  }

  /** Asks a pod with free capacity to inspect the entity. */
  requestWorker(entity: EntityRef): Promise<void> {
    return this.parts.store.requestWorker(entity);
  }

  /** Scales the workers of all entities of this pod with their backlogs, now, if that is enabled. */
  async scale(): Promise<void> {
    await detached(() => this.scaler?.scale());
  }

  /** Claims no more entities, waits for running jobs for a bounded time, and hands the entities over. Enqueueing goes on. */
  async drain(): Promise<void> {
    await detached(() => this.drained());
  }

  /**
   * Drains and disconnects. A handler that did not end in time is told to stop by its signal. Its claim stays until it has
   * ended, or the process exits: it never runs elsewhere at the same time (race 12). That claim does not keep the process alive.
   */
  close(): Promise<void> {
    this.closing ??= detached(() => this.drainAndDisconnect());
    return this.closing;
  }

  private drained(): Promise<EntityWorker[]> {
    if (!this.draining) {
      this.sources.stop();
      this.discovery.stop();
      this.leftovers.stop();
      this.scaler?.stop();
      this.draining = this.manager.drain(this.parts.config.shutdownTimeoutMs);
      if (this.isWorking) {
        this.announcer.stop();
        this.heartbeat.request();
      }
    }
    return this.draining;
  }

  private async drainAndDisconnect(): Promise<void> {
    const unfinished = await this.drained();
    this.enqueuer.close();
    // guards: engine.drainAndDisconnect
    await this.calls.close();
    const running = unfinished.filter(worker => worker.isRunning);
    if (running.length === 0) return this.disconnect();
    this.parts.log.warn(unendedLine(running, this.parts.config.shutdownTimeoutMs));
    for (const worker of running) worker.stopHandlers(new ClosedError('This pod shuts down and waits no longer.'));
    this.parts.store.linger();
    void Promise.all(running.map(worker => worker.drain())).then(() => this.disconnect());
  }

  private async disconnect(): Promise<void> {
    this.heartbeat.stop();
    this.slowRuns.stop();
    for (const worker of this.manager.all()) worker.abandon();
    await this.parts.store.close();
  }
}

function unendedLine(running: readonly EntityWorker[], withinMs: number): string {
  const jobs = running.flatMap(({ entity, runningJobs }) => runningJobs.map(job => ({ entity, job })));
  const named = jobs.slice(0, MAX_NAMED_JOBS).map(({ entity, job }) => jobWord(job, entity));
  if (jobs.length > named.length) named.push(`${jobs.length - named.length} more`);
  const [what, stay] =
    jobs.length === 1
      ? ['1 job', 'Its entity stays claimed until it does']
      : [`${jobs.length} jobs`, 'Their entities stay claimed until they do'];
  return `${what} did not end within ${withinMs} ms: ${named.join(', ')}. ${stay}, or the process exits.`;
}
