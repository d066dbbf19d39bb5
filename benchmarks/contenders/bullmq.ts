/**
 * Plain BullMQ, in the three ways in which applications use it for this purpose.
 *
 * With several pods, an entity gets one worker at a time by BullMQ's global concurrency (one queue for each entity), or because each
 * queue belongs to one pod (hashed queues).
 */
import { crc32 } from 'node:zlib';
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { type Contender, type ContenderKind, ONE_AT_A_TIME_IN_ORDER, type Payload, type Setup } from './contender.js';

const HASHED_QUEUES = 16;
const PLAIN_CONCURRENCY = 50;
const ADD = { removeOnComplete: true } as const;

function connect(redisUrl: string): Redis {
  return new Redis(redisUrl, { maxRetriesPerRequest: null });
}

/** A `Queue` and a `Worker` for each entity, made with its first job, since applications do not know their entities beforehand. */
function workerPerEntity(): Contender {
  const queues = new Map<string, Queue>();
  let make: (entity: string) => Queue;
  return {
    async start({ redisUrl, entities, pods, handle }: Setup) {
      const shared = { connection: connect(redisUrl) as never, prefix: 'bench' };
      make = entity => {
        const queue = new Queue(entity, shared);
        queues.set(entity, queue);
        new Worker<Payload>(entity, job => handle(entity, job.data), { ...shared, concurrency: 1 });
        return queue;
      };
      // Pods that do not enqueue must be told which entities there will be.
      if (pods > 1) await Promise.all(entities.map(entity => make(entity).setGlobalConcurrency(1)));
    },
    enqueue: (entity, payload) => (queues.get(entity) ?? make(entity)).add('work', payload, ADD),
  };
}

/** A fixed number of queues with one worker each; all jobs of an entity go into the same queue. */
function hashed(): Contender {
  let queues: Queue[] = [];
  return {
    async start({ redisUrl, pod, pods, handle }: Setup) {
      const shared = { connection: connect(redisUrl) as never, prefix: 'bench' };
      queues = Array.from({ length: HASHED_QUEUES }, (_, index) => new Queue(`queue${index}`, shared));
      const mine = queues.filter((_, index) => index % pods === pod);
      const workers = mine.map(
        ({ name }) => new Worker<Payload>(name, ({ data }) => handle(data.entity, data), { ...shared, concurrency: 1 }),
      );
      await Promise.all([...queues, ...workers].map(part => part.waitUntilReady()));
    },
    enqueue: (entity, payload) => queues[crc32(entity) % HASHED_QUEUES]?.add('work', payload, ADD) ?? Promise.reject(),
  };
}

/**
 * One queue with many jobs at once and without any order: the difference to it is what order costs.
 * @param around runs each handler, in a lock for example
 */
export function oneQueue(
  around?: (redis: Redis, entity: string, run: () => Promise<void>) => Promise<void>,
): Contender {
  let queue: Queue;
  return {
    async start({ redisUrl, handle }: Setup) {
      const redis = connect(redisUrl);
      const shared = { connection: redis as never, prefix: 'bench' };
      queue = new Queue('queue', shared);
      const work = ({ data }: { data: Payload }) => {
        const run = () => handle(data.entity, data);
        return around ? around(redis, data.entity, run) : run();
      };
      const worker = new Worker<Payload>('queue', work, { ...shared, concurrency: PLAIN_CONCURRENCY });
      await Promise.all([queue.waitUntilReady(), worker.waitUntilReady()]);
    },
    enqueue: (_, payload) => queue.add('work', payload, ADD),
  };
}

export const bullmqWorkerPerEntity: ContenderKind = {
  name: 'bullmq, worker per entity',
  keeps: ONE_AT_A_TIME_IN_ORDER,
  create: workerPerEntity,
};
export const bullmqHashed: ContenderKind = {
  name: `bullmq, ${HASHED_QUEUES} hashed queues`,
  keeps: ONE_AT_A_TIME_IN_ORDER,
  create: hashed,
};
export const bullmqPlain: ContenderKind = {
  name: `bullmq, one queue, concurrency ${PLAIN_CONCURRENCY}, no order`,
  keeps: { oneAtATime: false, order: false },
  create: () => oneQueue(),
};
