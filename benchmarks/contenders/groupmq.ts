/** groupmq: one queue with a group for each entity. Users choose how many jobs run at once, so several numbers are measured. */
import { Queue, Worker } from 'groupmq';
import { Redis } from 'ioredis';
import { type Contender, type ContenderKind, ONE_AT_A_TIME_IN_ORDER, type Payload, type Setup } from './contender.js';

/** @param autoBatch collects adds for up to 10 ms, or until there are ten */
function create(concurrency: number, autoBatch: boolean): Contender {
  let queue: Queue<Payload>;
  return {
    async start({ redisUrl, handle }: Setup) {
      const redis = new Redis(redisUrl, { maxRetriesPerRequest: null });
      queue = new Queue<Payload>({ redis: redis as never, namespace: 'bench', autoBatch });
      const worker = new Worker<Payload>({
        queue,
        concurrency,
        handler: ({ groupId, data }) => handle(groupId, data),
      });
      void worker.run();
    },
    enqueue: (groupId, data) => queue.add({ groupId, data }),
  };
}

function kind(concurrency: number, autoBatch = false): ContenderKind {
  const name = `groupmq ${autoBatch ? 'with batched adds ' : ''}at ${concurrency}`;
  return { name, keeps: ONE_AT_A_TIME_IN_ORDER, create: () => create(concurrency, autoBatch) };
}

export const groupmq: readonly ContenderKind[] = [kind(1), kind(8), kind(64), kind(64, true)];
