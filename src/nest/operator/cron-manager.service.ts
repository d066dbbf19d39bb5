/** The legacy scaler, for those who want to run it themselves. Neighbour: `core/pod/scaler.ts` is what it does. */
import { Inject, Injectable } from '@nestjs/common';
import { Runtime } from '../runtime.js';

/**
 * Scales the workers of each entity of this pod with its backlog, from 1 to `maxWorkersPerEntity`, every `cronInterval` ms
 * where `enableCronManager` says so. What it decides is told by {@link AtomicQueuesEvents} as `scaler.spawned` and
 * `scaler.terminated`.
 */
@Injectable()
export class CronManagerService {
  constructor(@Inject(Runtime) private readonly runtime: Runtime) {}

  /**
   * Reconciles now, without waiting for the next tick. Does nothing unless `enableCronManager` is set.
   * @throws StoreUnavailableError, OutcomeUnknownError
   */
  async reconcile(): Promise<void> {
    const { engine } = await this.runtime.started;
    await engine.scale();
  }
}
