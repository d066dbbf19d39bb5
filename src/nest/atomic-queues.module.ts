/** The Nest module: options in, `QueueBus` out. Everything else is `runtime.ts`. */
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
 * One queue and one worker per entity.
 *
 * `forRoot(options)` or `forRootAsync({ imports, inject, useFactory | useClass | useExisting })`; global unless
 * `isGlobal: false`. Import it once in an application: a second one is refused. Rejects at start with an `InvalidOptionError` for an unknown option, a `HandlerConflictError` for
 * contradicting handlers, an `AuthenticationError` when Redis refuses the credentials.
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
    // forRoot() puts the options in its place; without it, the start fails with an error that says so.
    { provide: MODULE_OPTIONS, useValue: null },
  ],
  exports: services,
})
export class AtomicQueuesModule extends ConfigurableModuleClass {
  /** @throws InvalidOptionError if there are no options: an untyped configuration that is undefined, say. */
  static override forRoot(options: typeof OPTIONS_TYPE): DynamicModule {
    checkGiven(options);
    // biome-ignore lint/complexity/noThisInStatic: Nest's method reads `this`, which is the module that is imported.
    return super.forRoot(options);
  }

  /** @throws InvalidOptionError if there is no object that says how the options are made. */
  static override forRootAsync(options: typeof ASYNC_OPTIONS_TYPE): DynamicModule {
    checkGiven(options);
    // biome-ignore lint/complexity/noThisInStatic: Nest's method reads `this`, which is the module that is imported.
    return super.forRootAsync(options);
  }
}
