/**
 * The usual way with plain BullMQ: a `Queue` and a `Worker` (concurrency 1) for each entity, made when its first job
 * comes, since entities are not known beforehand.
 */
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import type { Contender, Handler } from './workloads.js';

export function bullmqWorkerPerEntity(redisUrl: string): Contender {
  const connection = new Redis(redisUrl, { maxRetriesPerRequest: null });
  const queues = new Map<string, Queue>();
  const workers: Worker[] = [];
  let handle: Handler;
  const create = (entityId: string): Queue => {
    const shared = { connection: connection as never, prefix: 'bench' };
    const queue = new Queue(entityId, shared);
    queues.set(entityId, queue);
    workers.push(new Worker(entityId, job => handle(entityId, job.data.n), { ...shared, concurrency: 1 }));
    return queue;
  };
  return {
    async start(handler) {
      handle = handler;
      await connection.ping();
    },
    enqueue: (entityId, n) => (queues.get(entityId) ?? create(entityId)).add('work', { n }, { removeOnComplete: true }),
    async stop() {
      await Promise.all(workers.map(worker => worker.close(true)));
      await Promise.all([...queues.values()].map(queue => queue.close()));
      connection.disconnect();
    },
  };
}
