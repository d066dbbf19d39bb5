/**
 * The place of this library among the hooks of an application. It is ready for calls before any other `onModuleInit`. It works nothing
 * before every other `onApplicationBootstrap` has finished (`@nestjs/cqrs` registers its handlers in one). It drains before any other
 * `onModuleDestroy`, in which an application closes the resources of its handlers.
 *
 * Nest has no hooks for that. It calls the hooks of modules by their distance from the root: at start the farthest first, at the end
 * the nearest first since Nest 11, and the farthest first in Nest 10. So there is one module at either end. The first one that is
 * called drains, and the second one has nothing left to do.
 * Neighbour: `runtime.ts` works and drains.
 */
import {
  Inject,
  Injectable,
  Module,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';

/** The root has distance 1, and no module is nearer than this one. */
const NEAREST = -1;
/** Global modules have the largest finite distance. */
// guards: hook-order.FARTHEST
const FARTHEST = Number.POSITIVE_INFINITY;

export interface Hooks {
  /** Called when all providers exist, before any other module is initialised. */
  prepare(): Promise<void>;
  /** Called after all other modules have been started. */
  work(): void;
  /** Called before any other module is destroyed, and a second time later. May be called without `work` before. */
  drain(): Promise<void>;
}

/** One instance for the whole application, even if the library's module is imported several times. */
@Injectable()
export class HookOrder implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly all: Hooks[] = [];

  constructor(@Inject(ModulesContainer) modules: ModulesContainer) {
    // Nest creates instances after it has measured distances, and before it sorts by them.
    for (const module of modules.values()) {
      if (module.metatype === AtomicQueuesLastHooks) module.distance = NEAREST;
      if (module.metatype === AtomicQueuesFirstHooks) module.distance = FARTHEST;
    }
  }

  add(hooks: Hooks): void {
    this.all.push(hooks);
  }

  async prepare(): Promise<void> {
    await Promise.all(this.all.map(hooks => hooks.prepare()));
  }

  onApplicationBootstrap(): void {
    for (const hooks of this.all) hooks.work();
  }

  async onModuleDestroy(): Promise<void> {
    await Promise.all(this.all.map(hooks => hooks.drain()));
  }
}

@Injectable()
class FirstHooks implements OnModuleInit, OnModuleDestroy {
  constructor(@Inject(HookOrder) private readonly order: HookOrder) {}

  onModuleInit(): Promise<void> {
    return this.order.prepare();
  }

  onModuleDestroy(): Promise<void> {
    return this.order.onModuleDestroy();
  }
}

/** Nest logs the names of these two modules at start. `First` and `Last` refer to the order of the hooks of a start. */
@Module({ providers: [HookOrder], exports: [HookOrder] })
class AtomicQueuesLastHooks {}

@Module({ imports: [AtomicQueuesLastHooks], providers: [FirstHooks], exports: [AtomicQueuesLastHooks] })
class AtomicQueuesFirstHooks {}

export const HookOrderModule = AtomicQueuesFirstHooks;
