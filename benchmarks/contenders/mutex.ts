/** The usual distributed lock: one BullMQ queue, and a mutex per entity in Redis around each handler. Keeps no order. */
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { Mutex } from 'redis-semaphore';
import type { Contender, ContenderKind, Payload, Setup } from './contender.js';

const CONCURRENCY = 50;

function create(): Contender {
  let queue: Queue;
  return {
    async start({ redisUrl, handle }: Setup) {
      const redis = new Redis(redisUrl, { maxRetriesPerRequest: null });
      const shared = { connection: redis as never, prefix: 'bench' };
      queue = new Queue('queue', shared);
      const locked = async ({ data }: { data: Payload }) => {
        const mutex = new Mutex(redis as never, data.entity, { acquireTimeout: Number.POSITIVE_INFINITY });
        await mutex.acquire();
        try {
          await handle(data.entity, data);
        } finally {
          await mutex.release();
        }
      };
      const worker = new Worker<Payload>('queue', locked, { ...shared, concurrency: CONCURRENCY });
      await Promise.all([queue.waitUntilReady(), worker.waitUntilReady()]);
    },
    enqueue: (_, payload) => queue.add('work', payload, { removeOnComplete: true }),
  };
}

export const mutexPerEntity: ContenderKind = {
  name: 'mutex per entity, no order',
  keeps: { oneAtATime: true, order: false },
  create,
};
