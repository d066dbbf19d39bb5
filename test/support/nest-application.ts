/** A Nest application on the store in memory: all of the Nest layer is real, and only Redis is not. */
import { type LoggerService, Module, type ModuleMetadata } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import type { EngineConfig } from '../../src/core/options/config.js';
import { AtomicQueuesModule } from '../../src/nest/atomic-queues.module.js';
import type { AtomicQueuesModuleOptions } from '../../src/nest/options/module-options.js';
import { STORE_FACTORY, type StoreFactory } from '../../src/nest/runtime.js';
import { systemClock } from '../../src/nest/system.js';
import { MemoryEntityStore } from '../../src/store/memory/memory-store.js';
import { MemoryServer } from '../../src/store/memory/server.js';

export const memoryStore = (_: AtomicQueuesModuleOptions, config: EngineConfig) =>
  new MemoryEntityStore(new MemoryServer(systemClock, config.leaseMs), config, 'pod');

export const redis = { host: 'never-connected' };

const silent: LoggerService = { log() {}, warn() {}, error() {} };

/** The module under test among others; not yet initialised. */
export function compile(metadata: ModuleMetadata, createStore: StoreFactory = memoryStore): Promise<TestingModule> {
  return Test.createTestingModule(metadata)
    .overrideProvider(STORE_FACTORY)
    .useValue(createStore)
    .setLogger(silent)
    .compile();
}

/** An application whose root imports the module under test; not yet initialised. */
export function application(
  providers: ModuleMetadata['providers'],
  { imports = [], ...options }: Partial<AtomicQueuesModuleOptions> & Pick<ModuleMetadata, 'imports'> = {},
  createStore: StoreFactory = memoryStore,
): Promise<TestingModule> {
  @Module({ imports: [AtomicQueuesModule.forRoot({ redis, ...options }), ...imports], providers })
  class App {}
  return compile({ imports: [App] }, createStore);
}
