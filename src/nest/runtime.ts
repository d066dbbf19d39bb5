/**
 * The engine within a Nest application, and its place in the application's life:
 *
 * - built before all `onModuleInit` hooks, when all providers exist (`hook-order.ts`);
 * - connected when a hook enqueues, in `onApplicationBootstrap` at the latest (`lazyConnect`: with the first call);
 * - at work after all `onApplicationBootstrap` hooks;
 * - drained before all `onModuleDestroy` hooks, while the resources of handlers are still open;
 * - disconnected in `onApplicationShutdown`, the last hook, so that handlers and requests can enqueue until then.
 *
 * Neighbours: calls wait in `start-gate.ts`; `first-connection.ts` decides how long the start waits for Redis.
 */
import { randomBytes } from 'node:crypto';
import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { ModuleRef, ModulesContainer } from '@nestjs/core';
import { Engine } from '../core/engine.js';
import { HandlerTable } from '../core/handlers/handler-table.js';
import { ClosedError, NotStartedError } from '../core/model/errors.js';
import type { EventSink } from '../core/model/events.js';
import { StoreUnavailableError } from '../core/model/store-errors.js';
import { type EngineConfig } from '../core/options/config.js';
import { resolveOptions } from '../core/options/resolve.js';
import type { Timer } from '../core/ports/clock.js';
import { setImmediate } from '../core/ports/own-timers.js';
import type { EntityStore } from '../core/ports/store.js';
import { createRedisStore } from '../store/redis/redis-store.js';
import { AtomicQueuesEvents } from './events.js';
import { isCqrsHandler, registerCqrsHandlers } from './handlers/cqrs-bridge.js';
import { exploreProcessors, isProcessor } from './handlers/explorer.js';
import { providersOf } from './handlers/provider.js';
import { loadClassValidator, Validators } from './handlers/validators.js';
import { mergeEntities } from './options/merge-entities.js';
import { type AtomicQueuesModuleOptions, checkModuleOptions } from './options/module-options.js';
import { reportAtStart } from './start/boot-report.js';
import { firstConnection } from './start/first-connection.js';
import { HookOrder } from './start/hook-order.js';
import { checkOneModule } from './start/one-module.js';
import { StartGate } from './start/start-gate.js';
import { nestLog, systemClock, testProcess } from './system.js';
import { openTracer } from './tracing.js';

/** Injection token of the module's options. */
export const MODULE_OPTIONS = Symbol.for('atomic-queues:options');
/** Injection token of the store's factory. Tests replace it. */
export const STORE_FACTORY = Symbol.for('atomic-queues:store');

export type StoreFactory = (
  options: AtomicQueuesModuleOptions,
  config: EngineConfig,
  events: EventSink,
) => EntityStore | Promise<EntityStore>;

const DEFAULT_COMMAND_TIMEOUT_MS = 5000;

/** `enableShutdownHooks()` is usually called right after the application was created. */
export const SHUTDOWN_HOOKS_CHECK_MS = 5000;

export const redisStoreFactory: StoreFactory = (options, config, events) =>
  createRedisStore({
    redis: options.redis,
    keyPrefix: options.keyPrefix ?? 'aq',
    commandTimeoutMs: options.commandTimeoutMs ?? DEFAULT_COMMAND_TIMEOUT_MS,
    config,
    clock: systemClock,
    log: nestLog(),
    events,
    onEvictingRedis: options.onEvictingRedis,
    podId: randomBytes(6).toString('hex'),
  });

/** The parts of {@link Runtime} once all providers exist. */
export interface Started {
  readonly engine: Engine;
  readonly config: EngineConfig;
  readonly handlers: HandlerTable;
  readonly validators: Validators;
}

type State =
  | { readonly name: 'new' }
  /** All handlers and options are found and checked. The first call connects. */
  | { readonly name: 'built'; readonly parts: Started }
  | { readonly name: 'started'; readonly parts: Started };

@Injectable()
export class Runtime implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly log = nestLog();
  private readonly commandTimeoutMs: number;
  private state: State = { name: 'new' };
  private readonly gate = new StartGate<Started>();
  private connecting: Promise<void> | undefined;
  /** Whether all hooks of the start have been called. */
  private hasBootstrapped = false;
  private readonly closing = new AbortController();
  private hooksCheck: Timer | undefined;

  constructor(
    @Inject(MODULE_OPTIONS) private readonly options: AtomicQueuesModuleOptions,
    @Inject(STORE_FACTORY) private readonly createStore: StoreFactory,
    @Inject(ModulesContainer) private readonly modules: ModulesContainer,
    @Inject(ModuleRef) private readonly moduleRef: ModuleRef,
    @Inject(HookOrder) hookOrder: HookOrder,
    @Inject(AtomicQueuesEvents) private readonly events: AtomicQueuesEvents,
  ) {
    checkOneModule(modules, MODULE_OPTIONS);
    checkModuleOptions(options);
    this.commandTimeoutMs = options.commandTimeoutMs ?? DEFAULT_COMMAND_TIMEOUT_MS;
    hookOrder.add({
      prepare: () => this.build(),
      work: () => this.work(),
      drain: async () => this.engine?.drain(),
    });
  }

  /**
   * The engine. The first call connects. A call before all providers exist waits for them, for `commandTimeoutMs` at most: a factory that
   * awaits an enqueue would otherwise keep the application from starting.
   */
  get started(): Started | Promise<Started> {
    if (this.state.name === 'started') return this.state.parts;
    const waiting = this.gate.wait(this.commandTimeoutMs, () => new StoreUnavailableError(this.whyNotStarted()));
    // guards: runtime.started
    if (this.state.name === 'built' && !this.gate.isSettled) this.connect(this.state.parts).catch(() => {});
    return waiting;
  }

  /**
   * Called before a call waits for jobs of a type.
   * @throws NotStartedError if this pod runs these jobs and the hooks of the start have not finished: a hook that waits for them would
   * wait in vain.
   */
  checkWorks(entityType: string): void {
    // guards: runtime.checkWorks
    if (this.hasBootstrapped || this.state.name === 'new') return;
    const { config, handlers } = this.state.parts;
    if (!config.producerOnly && handlers.hosts(entityType)) throw new NotStartedError(entityType);
  }

  private async build(): Promise<void> {
    const handlers = new HandlerTable();
    const providers = providersOf(this.modules, target => isProcessor(target) || isCqrsHandler(target));
    const processorOptions = exploreProcessors(providers, handlers, this.log);
    const validators = new Validators(await loadClassValidator());
    await registerCqrsHandlers({
      providers,
      handlers,
      moduleRef: this.moduleRef,
      declaredTypes: Object.keys(this.options.entities ?? {}),
      validators,
      log: this.log,
    });
    const entities = mergeEntities(this.options.entities, processorOptions);
    const config = resolveOptions({ ...this.options, entities }, handlers.sharedTypes());
    // Reports invalid options of a type at start, and not with its first job.
    for (const type of handlers.hostedTypes()) config.entityType(type);
    handlers.checkBatches(config);
    const tracer = this.options.tracing ? await openTracer(this.log) : undefined;
    const events = this.events.sink;
    const store = await this.createStore(this.options, config, events);
    const surroundings = { clock: systemClock, log: this.log, events, tracer, testProcess: testProcess() };
    const engine = new Engine({ store, config, handlers, ...surroundings });
    const parts = { engine, config, handlers, validators };
    this.state = { name: 'built', parts };
    reportAtStart({ config, handlers, configuredTypes: Object.keys(this.options.entities ?? {}), log: this.log });
    if (this.gate.isWaitedFor) this.connect(parts).catch(() => {});
  }

  async onApplicationBootstrap(): Promise<void> {
    if (this.state.name === 'new' || this.options.lazyConnect) return;
    await this.connect(this.state.parts);
  }

  async onApplicationShutdown(): Promise<void> {
    this.gate.close(new ClosedError());
    this.closing.abort();
    this.hooksCheck?.cancel();
    await this.engine?.close();
  }

  private get engine(): Engine | undefined {
    return this.state.name === 'new' ? undefined : this.state.parts.engine;
  }

  /** Connects once. Waiting calls continue when Redis responds or is unreachable for now, and reject with errors that no retry can fix. */
  private connect(parts: Started): Promise<void> {
    if (this.connecting) return this.connecting;
    const { commandTimeoutMs: timeoutMs, log } = this;
    const waitsForRetries = this.options.onEvictingRedis === 'refuse';
    const options = { timeoutMs, waitsForRetries, log, closing: this.closing.signal };
    this.connecting = firstConnection(parts.engine, options).then(
      () => this.start(parts),
      error => {
        this.gate.close(error);
        throw error;
      },
    );
    if (this.hasBootstrapped) this.beginWork(parts);
    return this.connecting;
  }

  private start(parts: Started): void {
    this.gate.open(parts);
    // Only after all calls that waited, and later ones that come through the open gate. Otherwise a direct call could overtake one whose
    // microtask is still queued.
    // guards: runtime.start
    setImmediate(() => {
      this.state = { name: 'started', parts };
    });
  }

  private work(): void {
    this.hasBootstrapped = true;
    if (this.state.name === 'new') return;
    const { parts } = this.state;
    if (this.connecting) this.beginWork(parts);
    else if (canWork(parts)) this.log.info('lazyConnect: this pod connects, and works jobs, from its first call on.');
  }

  /** Starts to work now, or as soon as Redis is there. */
  private beginWork(parts: Started): void {
    parts.engine.work();
    if (canWork(parts)) this.hooksCheck = systemClock.after(SHUTDOWN_HOOKS_CHECK_MS, () => this.checkShutdownHooks());
  }

  private checkShutdownHooks(): void {
    if (process.listenerCount('SIGTERM') > 0) return;
    this.log.warn(
      'Nothing listens to SIGTERM: a deploy kills running jobs, and their entities wait until their leases run out. Call app.enableShutdownHooks().',
    );
  }

  private whyNotStarted(): string {
    const within = `within ${this.commandTimeoutMs} ms. Nothing was enqueued.`;
    return this.state.name === 'new'
      ? `The application has not started ${within} In a constructor or a factory, enqueue without awaiting. Await from onModuleInit on.`
      : `Redis has not responded ${within} Try again later.`;
  }
}

function canWork({ handlers, config }: Started): boolean {
  return handlers.hostedTypes().length > 0 && !config.producerOnly;
}
