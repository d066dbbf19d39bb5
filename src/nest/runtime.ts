/**
 * The engine within a Nest application: built when the application has its providers, connected as it starts, at work
 * once all of it has started, drained and closed through Nest's hooks.
 *
 * Connects in `onApplicationBootstrap`, so that the hooks of others can enqueue; works after all of them and drains
 * before all `onModuleDestroy` hooks (`hook-order.ts`), while what handlers need lives; disconnects in
 * `onApplicationShutdown`, the last one, so that handlers and requests can enqueue until then.
 */
import { randomBytes } from 'node:crypto';
import {
  Inject,
  Injectable,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import { ModuleRef, ModulesContainer } from '@nestjs/core';
import { HandlerTable } from '../core/dispatch.js';
import { entityWithDurationsInMs } from '../core/durations.js';
import { Engine } from '../core/engine.js';
import type { EntityOptions } from '../core/engine-options.js';
import { ClosedError, messageOf, StoreUnavailableError } from '../core/errors.js';
import type { EventSink } from '../core/events.js';
import { type EngineConfig, resolveOptions } from '../core/options.js';
import type { EntityStore, Timer } from '../core/ports.js';
import { registerCqrsHandlers } from '../cqrs/bridge.js';
import { RedisEntityStore } from '../store/redis/redis-store.js';
import type { EntityTypeName } from './entity-types.js';
import { AtomicQueuesEvents } from './events.js';
import { exploreProcessors } from './explorer.js';
import { HookOrder } from './hook-order.js';
import { type AtomicQueuesModuleOptions, checkModuleOptions, type EntitiesOptions } from './options.js';
import { providersOf } from './provider.js';
import { nestLog, systemClock } from './system.js';
import { openTracer } from './tracing.js';
import { loadClassValidator, Validators } from './validators.js';

/** Injection token of the module's options. */
export const MODULE_OPTIONS = Symbol.for('atomic-queues:options');
/** Injection token of what makes the store; tests put another in its place. */
export const STORE_FACTORY = Symbol.for('atomic-queues:store');

export type StoreFactory = (options: AtomicQueuesModuleOptions, config: EngineConfig, events: EventSink) => EntityStore;

const DEFAULT_COMMAND_TIMEOUT_MS = 5000;

/** `enableShutdownHooks()` is usually called right after the application was created. */
export const SHUTDOWN_HOOKS_CHECK_MS = 5000;

export const createRedisStore: StoreFactory = (options, config, events) =>
  new RedisEntityStore({
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
  /** Everything has been found and checked; not yet connected. */
  | { readonly name: 'built'; readonly parts: Started }
  | { readonly name: 'started'; readonly parts: Started };

@Injectable()
export class Runtime implements OnModuleInit, OnApplicationBootstrap, OnApplicationShutdown {
  private readonly log = nestLog();
  private readonly commandTimeoutMs: number;
  private state: State = { name: 'new' };
  private hooksCheck: Timer | undefined;
  private resolveReady: (started: Started) => void = () => {};
  private rejectReady: (error: unknown) => void = () => {};
  private readonly ready = new Promise<Started>((resolve, reject) => {
    this.resolveReady = resolve;
    this.rejectReady = reject;
  });

  constructor(
    @Inject(MODULE_OPTIONS) private readonly options: AtomicQueuesModuleOptions,
    @Inject(STORE_FACTORY) private readonly createStore: StoreFactory,
    @Inject(ModulesContainer) private readonly modules: ModulesContainer,
    @Inject(ModuleRef) private readonly moduleRef: ModuleRef,
    @Inject(HookOrder) hookOrder: HookOrder,
    @Inject(AtomicQueuesEvents) private readonly events: AtomicQueuesEvents,
  ) {
    checkModuleOptions(options);
    this.commandTimeoutMs = options.commandTimeoutMs ?? DEFAULT_COMMAND_TIMEOUT_MS;
    hookOrder.add({ work: () => this.engine?.work(), drain: async () => this.engine?.drain() });
    // Nobody may be waiting: an unhandled rejection would hide the error that Nest itself reports.
    this.ready.catch(() => {});
  }

  /**
   * The engine; what is enqueued before the application has started waits for it, `commandTimeoutMs` at most: a hook
   * or a factory that waits for an enqueue keeps the application from ever starting.
   */
  get started(): Started | Promise<Started> {
    return this.state.name === 'started' ? this.state.parts : this.waitForStart();
  }

  async onModuleInit(): Promise<void> {
    const handlers = new HandlerTable();
    const providers = providersOf(this.modules);
    const processorOptions = exploreProcessors(providers, handlers);
    const validators = new Validators(await loadClassValidator());
    await registerCqrsHandlers({
      providers,
      handlers,
      moduleRef: this.moduleRef,
      declaredTypes: Object.keys(this.options.entities ?? {}),
      validators,
    });
    const entities = mergeEntities(this.options.entities, processorOptions);
    const config = resolveOptions({ ...this.options, entities }, handlers.sharedTypes());
    // What is wrong with a type is told at start, not when its first job comes.
    for (const type of handlers.hostedTypes()) config.entityType(type);
    handlers.checkBatches(config);
    const tracer = this.options.tracing ? await openTracer(this.log) : undefined;
    const events = this.events.sink;
    const store = this.createStore(this.options, config, events);
    const engine = new Engine({ store, config, handlers, clock: systemClock, log: this.log, events, tracer });
    this.state = { name: 'built', parts: { engine, config, handlers, validators } };
  }

  async onApplicationBootstrap(): Promise<void> {
    if (this.state.name !== 'built') return;
    const { parts } = this.state;
    try {
      await this.connect(parts.engine);
    } catch (error) {
      this.rejectReady(error);
      throw error;
    }
    this.state = { name: 'started', parts };
    if (parts.handlers.hostedTypes().length > 0 && !parts.config.producerOnly) {
      this.hooksCheck = systemClock.after(SHUTDOWN_HOOKS_CHECK_MS, () => this.checkShutdownHooks());
    }
    this.resolveReady(parts);
  }

  async onApplicationShutdown(): Promise<void> {
    this.rejectReady(new ClosedError());
    this.hooksCheck?.cancel();
    await this.engine?.close();
  }

  private get engine(): Engine | undefined {
    return this.state.name === 'new' ? undefined : this.state.parts.engine;
  }

  private checkShutdownHooks(): void {
    if (process.listenerCount('SIGTERM') > 0) return;
    this.log.warn(
      'Nothing listens to SIGTERM: a deploy kills running jobs, and others wait for their leases to run out. Call app.enableShutdownHooks().',
    );
  }

  /** An application comes up without Redis, and works as soon as it is there; wrong credentials are reported at once. */
  private async connect(engine: Engine): Promise<void> {
    // However late it fails, no connection may go on trying.
    const connecting = engine.connect().catch(async error => {
      await engine.close();
      throw error;
    });
    const isLate = await new Promise<boolean>((resolve, reject) => {
      const timer = systemClock.after(this.commandTimeoutMs, () => resolve(true));
      connecting.then(() => resolve(false), reject).finally(() => timer.cancel());
    });
    if (!isLate) return;
    this.log.warn(
      `Redis could not be reached within ${this.commandTimeoutMs} ms; the application starts without it, and goes on trying.`,
    );
    connecting.catch(error => this.log.error(`Not connected: ${messageOf(error)}`));
  }

  private waitForStart(): Promise<Started> {
    return new Promise((resolve, reject) => {
      const timer = systemClock.after(this.commandTimeoutMs, () =>
        reject(
          new StoreUnavailableError(
            `The application has not started within ${this.commandTimeoutMs} ms; nothing was enqueued. Before onApplicationBootstrap enqueue without awaiting.`,
          ),
        ),
      );
      this.ready.then(resolve, reject).finally(() => timer.cancel());
    });
  }
}

/** Options of a processor win over those of its type in `entities`, one by one. */
function mergeEntities(
  entities: EntitiesOptions = {},
  processors: ReadonlyMap<string, EntityOptions>,
): Record<string, EntityOptions> {
  const merged = { ...entities } as Record<string, EntityOptions>;
  for (const [type, own] of processors) {
    const given = Object.hasOwn(entities, type) ? entities[type as EntityTypeName] : undefined;
    const base = given && entityWithDurationsInMs(`entities.${type}`, given);
    const workerConfig = own.workerConfig && { ...base?.workerConfig, ...own.workerConfig };
    merged[type] = { ...base, ...own, ...(workerConfig && { workerConfig }) };
  }
  return merged;
}
