/**
 * An application whose handlers and callers forget an `await`, of calls that fail later. Prints what the callers are told and how
 * many jobs have failed, as JSON. A program, as Node ends a process for a rejection that nothing handles.
 *
 * Settings come by environment: REDIS_URL, KEY_PREFIX.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AtomicQueuesModule, BatchHandler, EntityQueues, JobHandler, QueueBus, WorkerProcessor } from 'atomic-queues';

/** Rejects in a later turn, when all others have ended what they were about. */
const load = async () => {
  await sleep(20);
  throw new Error('the database is down');
};

@WorkerProcessor({ entityType: 'account' })
class Accounts {
  @JobHandler('load all')
  loadAll() {
    return { items: [1, 2, 3].map(load) };
  }
  @BatchHandler('load each', { max: 10 })
  loadEach(jobs: readonly unknown[]) {
    return jobs.map(() => ({ loaded: load() }));
  }
}

const { REDIS_URL: url, KEY_PREFIX: keyPrefix } = process.env;
@Module({
  imports: [AtomicQueuesModule.forRoot({ redis: { url }, keyPrefix, replyTimeoutMs: 20_000 })],
  providers: [Accounts],
})
class App {}

const app = await NestFactory.createApplicationContext(App, { logger: false });
const bus = app.get(QueueBus);
const job = (name: string, data: unknown) => ({ entityType: 'account', entityId: '1', name, data });
const account = bus.forEntity('account');
const codes: unknown[] = [];
for (const call of [
  () => bus.enqueueJobAndWait(job('load all', {})),
  () => bus.enqueueJobAndWait(job('load each', {})),
  () => bus.enqueueJob(job('load all', { items: [1, 2, 3].map(load) })),
  () => account.enqueueJob({ entityId: '1', name: 'load all', data: [load(), load()] }),
  () =>
    bus.enqueueFlow({
      job: job('load all', { p: load() }),
      children: [{ job: job('load all', { p: load() }) }, { job: job('load each', { p: load() }) }],
    }),
])
  await call().then(
    () => codes.push('none'),
    error => codes.push(error.code),
  );
const { failed } = await app.get(EntityQueues).of('account', '1').status();
// Longer than any of them takes to reject.
await sleep(200);
await app.close();
process.stdout.write(JSON.stringify({ codes, failed }));
