/**
 * The engine within a Nest application: built when the application has its providers, started with it, drained and
 * closed through Nest's hooks.
 *
 * Drains in `onModuleDestroy`, the first hook of a shutdown, while the connections of handlers still live; disconnects in
 * `onApplicationShutdown`, the last one, so that handlers and requests can enqueue until then.
 */

import { randomBytes } from 'node:crypto';
import {
  Inject,
  Injectable,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { ModuleRef, ModulesContainer } from '@nestjs/core';
import { HandlerTable } from '../core/dispatch.js';
import { Engine } from '../core/engine.js';
import { ClosedError, messageOf } from '../core/errors.js';
import { type EngineConfig, type EntityOptions, resolveOptions } from '../core/options.js';
import type { EntityStore } from '../core/ports.js';
import { registerCqrsHandlers } from '../cqrs/bridge.js';
import { RedisEntityStore } from '../store/redis/redis-store.js';
import { exploreProcessors, providersOf } from './explorer.js';
import { type AtomicQueuesModuleOptions, checkModuleOptions } from './options.js';
import { nestLog, systemClock } from './system.js';

/** Injection token of the module's options. */
export const MODULE_OPTIONS = Symbol.for('atomic-queues:options');
/** Injection token of what makes the store; tests put another in its place. */
export const STORE_FACTORY = Symbol.for('atomic-queues:store');

export type StoreFactory = (options: AtomicQueuesModuleOptions, config: EngineConfig) => EntityStore;

const DEFAULT_COMMAND_TIMEOUT_MS = 5000;

export const createRedisStore: StoreFactory = (options, config) =>
  new RedisEntityStore({
    redis: options.redis,
    keyPrefix: options.keyPrefix ?? 'aq',
    commandTimeoutMs: options.commandTimeoutMs ?? DEFAULT_COMMAND_TIMEOUT_MS,
    config,
    clock: systemClock,
    log: nestLog(),
    podId: randomBytes(6).toString('hex'),
  });

/** What {@link Runtime} is once the application has its providers. */
export interface Started {
  readonly engine: Engine;
  readonly config: EngineConfig;
  readonly handlers: HandlerTable;
}

@Injectable()
export class Runtime implements OnModuleInit, OnApplicationBootstrap, OnModuleDestroy, OnApplicationShutdown {
  private readonly log = nestLog();
  private current: Started | undefined;
  private resolveReady: (started: Started) => void = () => {};
  private rejectReady: (error: Error) => void = () => {};
  private readonly ready = new Promise<Started>((resolve, reject) => {
    this.resolveReady = resolve;
    this.rejectReady = reject;
  });

  constructor(
    @Inject(MODULE_OPTIONS) private readonly options: AtomicQueuesModuleOptions,
    @Inject(STORE_FACTORY) private readonly createStore: StoreFactory,
    @Inject(ModulesContainer) private readonly modules: ModulesContainer,
    @Inject(ModuleRef) private readonly moduleRef: ModuleRef,
  ) {
    checkModuleOptions(options);
    // Nobody may be waiting: an unhandled rejection would hide the error that Nest itself reports.
    this.ready.catch(() => {});
  }

  /** The engine; what is enqueued before the application has started waits for it. */
  get started(): Started | Promise<Started> {
    return this.current ?? this.ready;
  }

  async onModuleInit(): Promise<void> {
    const handlers = new HandlerTable();
    const providers = providersOf(this.modules);
    const processorOptions = exploreProcessors(providers, handlers);
    await registerCqrsHandlers({
      providers,
      handlers,
      moduleRef: this.moduleRef,
      declaredTypes: Object.keys(this.options.entities ?? {}),
    });
    const config = resolveOptions({
      ...engineOptions(this.options),
      entities: mergeEntities(this.options.entities, processorOptions),
    });
    const store = this.createStore(this.options, config);
    const engine = new Engine({ store, config, handlers, clock: systemClock, log: this.log });
    this.current = { engine, config, handlers };
  }

  async onApplicationBootstrap(): Promise<void> {
    if (!this.current) return;
    const { engine } = this.current;
    const waitMs = this.options.commandTimeoutMs ?? DEFAULT_COMMAND_TIMEOUT_MS;
    const starting = engine.start().catch(async error => {
      await engine.close();
      throw error;
    });
    this.resolveReady(this.current);
    // An application comes up without Redis, and works as soon as it is there; wrong credentials are reported at once.
    const late = new Promise<'late'>(resolve => systemClock.after(waitMs, () => resolve('late')));
    if ((await Promise.race([starting, late])) !== 'late') return;
    this.log.warn(
      `Redis could not be reached within ${waitMs} ms; the application starts without it, and goes on trying.`,
    );
    starting.catch(error => this.log.error(`Not started: ${messageOf(error)}`));
  }

  async onModuleDestroy(): Promise<void> {
    await this.current?.engine.drain();
  }

  async onApplicationShutdown(): Promise<void> {
    this.rejectReady(new ClosedError());
    await this.current?.engine.close();
  }
}

function engineOptions({ workerDefaults, defaultJobOptions, shutdownTimeoutMs }: AtomicQueuesModuleOptions) {
  return { workerDefaults, defaultJobOptions, shutdownTimeoutMs };
}

/** Options of a processor win over those of its type in `entities`. */
function mergeEntities(
  entities: Readonly<Record<string, EntityOptions>> = {},
  processors: ReadonlyMap<string, EntityOptions>,
): Record<string, EntityOptions> {
  const merged: Record<string, EntityOptions> = { ...entities };
  for (const [type, options] of processors) {
    merged[type] = { ...(Object.hasOwn(merged, type) ? merged[type] : {}), ...options };
  }
  return merged;
}
