/** The usual distributed lock: one BullMQ queue, and a mutex per entity in Redis around each handler. Keeps no order. */
import type { Redis } from 'ioredis';
import { Mutex } from 'redis-semaphore';
import { oneQueue } from './bullmq.js';
import type { ContenderKind } from './contender.js';

async function locked(redis: Redis, entity: string, run: () => Promise<void>): Promise<void> {
  const mutex = new Mutex(redis as never, entity, { acquireTimeout: Number.POSITIVE_INFINITY });
  await mutex.acquire();
  try {
    await run();
  } finally {
    await mutex.release();
  }
}

export const mutexPerEntity: ContenderKind = {
  name: 'mutex per entity, no order',
  keeps: { oneAtATime: true, order: false },
  create: () => oneQueue(locked),
};
