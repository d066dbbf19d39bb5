/** Compiled, never run: TypeScript finds the types under any module resolution, and they hold. */
import { type AtomicQueuesModuleOptions, type EnqueuedJob, QueueBus, StoreUnavailableError } from 'atomic-queues';

export const options: AtomicQueuesModuleOptions = { redis: { host: 'localhost', port: 6379 } };
export const send = (bus: QueueBus): Promise<EnqueuedJob> =>
  bus.enqueueJob({ entityType: 'account', entityId: 1n, name: 'note', data: {} });
export const isSafe = (error: unknown): boolean => error instanceof StoreUnavailableError && error.code !== '';
// @ts-expect-error an unknown option
export const wrong: AtomicQueuesModuleOptions = { redis: {}, keyprefix: 'x' };
