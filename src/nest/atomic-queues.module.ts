/** The Nest module: options in, services out. Neighbour: `runtime.ts` builds and runs the engine. */
import { ConfigurableModuleBuilder, type DynamicModule, Module } from '@nestjs/common';
import { QueueBus } from './bus/queue-bus.js';
import { AtomicQueuesEvents } from './events.js';
import { CronManagerService } from './operator/cron-manager.service.js';
import { EntityQueues } from './operator/entity-queues.js';
import { SpawnQueueService } from './operator/spawn-queue.service.js';
import { type AtomicQueuesModuleOptions, checkGiven } from './options/module-options.js';
import { MODULE_OPTIONS, Runtime, redisStoreFactory, STORE_FACTORY } from './runtime.js';
import { HookOrderModule } from './start/hook-order.js';

const { ConfigurableModuleClass, OPTIONS_TYPE, ASYNC_OPTIONS_TYPE } =
  new ConfigurableModuleBuilder<AtomicQueuesModuleOptions>({
    optionsInjectionToken: MODULE_OPTIONS,
  })
    .setClassMethodName('forRoot')
    .setFactoryMethodName('createAtomicQueuesOptions')
    .setExtras({ isGlobal: true }, (definition, { isGlobal }) => ({ ...definition, global: isGlobal }))
    .build();

const services = [QueueBus, EntityQueues, AtomicQueuesEvents, SpawnQueueService, CronManagerService];

/**
 * The module: one queue and one worker per entity.
 *
 * Import `forRoot(options)` or `forRootAsync({ imports, inject, useFactory | useClass | useExisting })` once, in the root module. It is
 * global unless `isGlobal` is false. A second import is refused. The start fails with an `InvalidOptionError` for an invalid option, a
 * `HandlerConflictError` for contradicting handlers, and an `AuthenticationError` when Redis refuses the credentials.
 *
 * @example
 * ```ts
 * @Module({ imports: [CqrsModule, AtomicQueuesModule.forRoot({ redis: { host: 'localhost', port: 6379 } })] })
 * export class AppModule {}
 * ```
 */
@Module({
  imports: [HookOrderModule],
  providers: [
    ...services,
    Runtime,
    { provide: STORE_FACTORY, useValue: redisStoreFactory },
    // forRoot() replaces this. Without it, the start fails with an error that names the remedy.
    { provide: MODULE_OPTIONS, useValue: null },
  ],
  exports: services,
})
export class AtomicQueuesModule extends ConfigurableModuleClass {
  /** Options as an object. @throws InvalidOptionError if there are none, such as an untyped configuration that is undefined. */
  static override forRoot(options: typeof OPTIONS_TYPE): DynamicModule {
    checkGiven(options);
    // biome-ignore lint/complexity/noThisInStatic: Nest's method reads `this`, which is the module that is imported.
    return super.forRoot(options);
  }

  /** Options from a factory. @throws InvalidOptionError if the argument is no object. */
  static override forRootAsync(options: typeof ASYNC_OPTIONS_TYPE): DynamicModule {
    checkGiven(options);
    // biome-ignore lint/complexity/noThisInStatic: Nest's method reads `this`, which is the module that is imported.
    return super.forRootAsync(options);
  }
}
