/** The API of the legacy scaler. Neighbour: `core/pod/scaler.ts` scales. */
import { Inject, Injectable } from '@nestjs/common';
import { Runtime } from '../runtime.js';

/**
 * Scales the workers of each entity of this pod with its backlog, from 1 to `maxWorkersPerEntity`, every `cronInterval` ms if
 * `enableCronManager` is true. {@link AtomicQueuesEvents} reports its decisions as `scaler.spawned` and `scaler.terminated`.
 */
@Injectable()
export class CronManagerService {
  constructor(@Inject(Runtime) private readonly runtime: Runtime) {}

  /**
   * Adjusts the workers now, without waiting for the next tick. Does nothing unless `enableCronManager` is true.
   * @throws StoreUnavailableError, OutcomeUnknownError
   */
  async reconcile(): Promise<void> {
    const { engine } = await this.runtime.started;
    await engine.scale();
  }
}
