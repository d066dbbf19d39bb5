/**
 * Drains before any module's own `onModuleDestroy`, in which an application closes what its handlers need.
 *
 * Nest has no hook for that. It calls those of modules by their distance from the root: since Nest 11 the nearest
 * first, so that a global module (the farthest of all) comes last; in Nest 10 the other way round. Hence one module at
 * either end; whichever comes first drains, and the second finds nothing left to do.
 * Neighbour: `runtime.ts` says what draining is.
 */
import { Inject, Injectable, Module, type OnModuleDestroy } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';

/** The root has distance 1, and no module comes before this one. */
const NEAREST = -1;

/** What is to be drained; one for the whole application. */
@Injectable()
export class DrainFirst implements OnModuleDestroy {
  private readonly drains: (() => Promise<void>)[] = [];

  constructor(@Inject(ModulesContainer) modules: ModulesContainer) {
    // Instances are made after Nest has measured distances, and before it sorts by them.
    for (const module of modules.values()) {
      if (module.metatype === NearestModule) module.distance = NEAREST;
      if (module.metatype === FarthestModule) module.distance = Number.MAX_VALUE;
    }
  }

  add(drain: () => Promise<void>): void {
    this.drains.push(drain);
  }

  async onModuleDestroy(): Promise<void> {
    await Promise.all(this.drains.map(drain => drain()));
  }
}

@Injectable()
class DrainFarthest implements OnModuleDestroy {
  constructor(@Inject(DrainFirst) private readonly first: DrainFirst) {}

  onModuleDestroy(): Promise<void> {
    return this.first.onModuleDestroy();
  }
}

@Module({ providers: [DrainFirst], exports: [DrainFirst] })
class NearestModule {}

@Module({ imports: [NearestModule], providers: [DrainFarthest], exports: [NearestModule] })
class FarthestModule {}

export const DrainFirstModule = FarthestModule;
