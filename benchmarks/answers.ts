/**
 * `npm run bench:answers`: how much time a call takes that waits for its result, on an idle system, one call at a time.
 *
 * It compares `enqueueAndWait` with a plain `enqueue` and the end of its handler, alternately in one run: first on one pod, then
 * between two pods of this process. The entities already have a worker. Prints medians; `-- N` sets the calls of each (default 3000).
 */
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AtomicQueuesModule, JobHandler, QueueBus, WorkerProcessor } from 'atomic-queues';
import { startRedis } from '#dev-redis';
import { median } from './records.js';

const ENTITIES = 20;
const WARM_UP = 300;
const calls = Number(process.argv[2] ?? 3000);

let ended: () => void = () => {};

@WorkerProcessor({ entityType: 'account' })
@Injectable()
class Processor {
  @JobHandler('work')
  async work() {
    await null;
    ended();
    return { balance: 100 };
  }
}

const server = await startRedis({ alwaysPrivate: true });

async function start(producerOnly: boolean) {
  @Module({
    imports: [
      AtomicQueuesModule.forRoot({
        redis: { url: server.url },
        keyPrefix: 'bench',
        replyTimeoutMs: 10_000,
        producerOnly,
      }),
    ],
    providers: [Processor],
  })
  class App {}
  const app = await NestFactory.createApplicationContext(App, { logger: ['error', 'warn'] });
  app.enableShutdownHooks();
  return app;
}

async function compare(what: string, bus: QueueBus) {
  const times = { plain: [] as number[], awaited: [] as number[] };
  for (let k = 0; k < WARM_UP + calls; k++) {
    const job = { entityType: 'account', entityId: `e${k % ENTITIES}`, name: 'work', data: { amount: 100 } };
    const handled = new Promise<void>(resolve => {
      ended = resolve;
    });
    const plainAt = performance.now();
    await Promise.all([bus.enqueueJob(job), handled]);
    const plainMs = performance.now() - plainAt;
    const awaitedAt = performance.now();
    await bus.enqueueJobAndWait(job);
    const awaitedMs = performance.now() - awaitedAt;
    if (k < WARM_UP) continue;
    times.plain.push(plainMs);
    times.awaited.push(awaitedMs);
  }
  const [plain, awaited] = [median(times.plain), median(times.awaited)];
  return {
    '': what,
    'enqueue + handler, ms': plain.toFixed(3),
    'enqueueAndWait, ms': awaited.toFixed(3),
    ratio: (awaited / plain).toFixed(2),
  };
}

const worker = await start(false);
const producer = await start(true);
console.table([
  await compare('one pod', worker.get(QueueBus)),
  await compare('from a pod that only enqueues', producer.get(QueueBus)),
]);
await Promise.all([worker.close(), producer.close()]);
await server.stop();
