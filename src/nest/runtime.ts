/**
 * The engine within a Nest application: built when the application has its providers, connected as it starts, at work
 * once all of it has started, drained and closed through Nest's hooks.
 *
 * Is built before all `onModuleInit` hooks, works after all `onApplicationBootstrap` hooks and drains before all
 * `onModuleDestroy` hooks (`hook-order.ts`), while what handlers need lives. Connects when a hook enqueues, in
 * `onApplicationBootstrap` at the latest (`lazyConnect`: with the first call); disconnects in `onApplicationShutdown`, the last
 * one, so that handlers and requests can enqueue until then.
 * Neighbours: calls wait in `start-gate.ts`; `first-connection.ts` says how long the start waits for Redis.
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
import { entityWithDurationsInMs } from '../core/options/durations.js';
import type { EntityOptions } from '../core/options/options.js';
import { resolveOptions } from '../core/options/resolve.js';
import type { Timer } from '../core/ports/clock.js';
import { setImmediate } from '../core/ports/own-timers.js';
import type { EntityStore } from '../core/ports/store.js';
import { createRedisStore } from '../store/redis/redis-store.js';
import type { EntityTypeName } from './entity-types.js';
import { AtomicQueuesEvents } from './events.js';
import { isCqrsHandler, registerCqrsHandlers } from './handlers/cqrs-bridge.js';
import { exploreProcessors, isProcessor } from './handlers/explorer.js';
import { providersOf } from './handlers/provider.js';
import { loadClassValidator, Validators } from './handlers/validators.js';
import { type AtomicQueuesModuleOptions, checkModuleOptions, type EntitiesOptions } from './options/module-options.js';
import { reportAtStart } from './start/boot-report.js';
import { firstConnection } from './start/first-connection.js';
import { HookOrder } from './start/hook-order.js';
import { checkOneModule } from './start/one-module.js';
import { StartGate } from './start/start-gate.js';
import { nestLog, systemClock, testProcess } from './system.js';
import { openTracer } from './tracing.js';

/** Injection token of the module's options. */
export const MODULE_OPTIONS = Symbol.for('atomic-queues:options');
/** Injection token of what makes the store; tests put another in its place. */
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

/** What {@link Runtime} is once the application has its providers. */
export interface Started {
  readonly engine: Engine;
  readonly config: EngineConfig;
  readonly handlers: HandlerTable;
  readonly validators: Validators;
}

type State =
  | { readonly name: 'new' }
  /** Everything has been found and checked; connects with the first call. */
  | { readonly name: 'built'; readonly parts: Started }
  | { readonly name: 'started'; readonly parts: Started };

@Injectable()
export class Runtime implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly log = nestLog();
  private readonly commandTimeoutMs: number;
  private state: State = { name: 'new' };
  private readonly gate = new StartGate<Started>();
  private connecting: Promise<void> | undefined;
  /** All hooks of the start have been called. */
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
   * The engine. The first call connects; what comes before the application has its providers waits for them, `commandTimeoutMs` at most:
   * a factory that waits for an enqueue keeps the application from ever starting.
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
   * @throws NotStartedError if they run here, and not before the hooks of the start are through: a hook that waits for them would wait
   * in vain.
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
    // What is wrong with a type is told at start, not when its first job comes.
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

  /** Once. Calls go on when Redis answers, or cannot be reached for now; they learn what no retry can mend. */
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
    // After the calls that have waited, and those that come until then through the open gate: a call that waits no more must not overtake
    // one whose turn among the microtasks is still to come.
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

  /** From now on, or from when Redis is there. */
  private beginWork(parts: Started): void {
    parts.engine.work();
    if (canWork(parts)) this.hooksCheck = systemClock.after(SHUTDOWN_HOOKS_CHECK_MS, () => this.checkShutdownHooks());
  }

  private checkShutdownHooks(): void {
    if (process.listenerCount('SIGTERM') > 0) return;
    this.log.warn(
      'Nothing listens to SIGTERM: a deploy kills running jobs, and others wait for their leases to run out. Call app.enableShutdownHooks().',
    );
  }

  private whyNotStarted(): string {
    const within = `within ${this.commandTimeoutMs} ms; nothing was enqueued.`;
    return this.state.name === 'new'
      ? `The application has not started ${within} In a constructor or a factory enqueue without awaiting; await it from onModuleInit on.`
      : `Redis has not answered ${within}`;
  }
}

function canWork({ handlers, config }: Started): boolean {
  return handlers.hostedTypes().length > 0 && !config.producerOnly;
}

/** Options of a processor win over those of its type in `entities`, one by one. */
function mergeEntities(
  entities: EntitiesOptions = {},
  processors: ReadonlyMap<string, EntityOptions>,
): Record<string, EntityOptions> {
  const merged = { ...entities } as Record<string, EntityOptions>;
  for (const [type, own] of processors) {
    const given = Object.hasOwn(entities, type) ? entities[type as EntityTypeName] : undefined;
    // guards: runtime.mergeEntities
    const base = given && entityWithDurationsInMs(`entities.${type}`, given);
    const workerConfig = own.workerConfig && { ...base?.workerConfig, ...own.workerConfig };
    merged[type] = { ...base, ...own, ...(workerConfig && { workerConfig }) };
  }
  return merged;
}
