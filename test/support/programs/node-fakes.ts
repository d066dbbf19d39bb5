/**
 * An application under the fake timers of Node's own test runner, which replace the functions of `node:timers` too. Prints the
 * results of its calls, as JSON. A program, as Jest gives test files global objects of their own.
 *
 * Settings come by environment: REDIS_URL, KEY_PREFIX.
 */
import { mock } from 'node:test';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AtomicQueuesModule, JobHandler, QueueBus, WorkerProcessor } from 'atomic-queues';
import type { Job } from 'bullmq';

@WorkerProcessor({ entityType: 'account' })
class Accounts {
  @JobHandler('note')
  note({ data }: Job<{ n: number }>) {
    return data.n;
  }
}

const { REDIS_URL: url, KEY_PREFIX: keyPrefix } = process.env;
@Module({
  imports: [AtomicQueuesModule.forRoot({ redis: { url }, keyPrefix, replyTimeoutMs: 20_000 })],
  providers: [Accounts],
})
class App {}

const app = await NestFactory.createApplicationContext(App, { logger: ['error', 'warn'] });
const call = (n: number) =>
  app
    .get(QueueBus)
    .enqueueJobAndWait({ entityType: 'account', entityId: '1', name: 'note', data: { n } }, { delay: 1 });
const results = [await call(1)];
mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'setImmediate', 'Date'] });
results.push(await call(2));
mock.timers.reset();
results.push(await call(3));
mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'setImmediate', 'Date'] });
await app.close();
process.stdout.write(JSON.stringify(results));
