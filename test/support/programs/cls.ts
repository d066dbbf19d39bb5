/**
 * Two pods of one application whose context is kept by nestjs-cls: one enqueues, the other works. Prints what each job has found,
 * as JSON. A program, as the test runner can't load that package together with Nest 12.
 *
 * Settings come by environment: REDIS_URL, KEY_PREFIX.
 */
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AtomicQueuesModule, currentJob, JobHandler, QueueBus, WorkerProcessor } from 'atomic-queues';
import type { Job } from 'bullmq';
import { ClsModule, ClsService, type ClsStore } from 'nestjs-cls';

const found: unknown[] = [];
let allFound: () => void = () => {};
const done = new Promise<void>(resolve => {
  allFound = resolve;
});

@Injectable()
class Repository {
  constructor(private readonly cls: ClsService) {}
  async save(what: string) {
    await new Promise(resolve => setImmediate(resolve));
    found.push({ what, store: { ...this.cls.get() }, values: currentJob()?.contextValues });
    this.cls.set('written', what);
    if (found.length === 4) allFound();
  }
}

@WorkerProcessor({ entityType: 'account' })
@Injectable()
class AccountProcessor {
  constructor(private readonly repository: Repository) {}
  @JobHandler('note')
  async note({ data }: Job<{ what: string; isFailing?: boolean }>) {
    await this.repository.save(data.what);
    if (data.isFailing && currentJob()?.attempt === 1) throw new Error('again');
  }
}

const pod = (producerOnly: boolean) => {
  @Module({
    imports: [
      ClsModule.forRoot({ global: true }),
      AtomicQueuesModule.forRootAsync({
        inject: [ClsService],
        useFactory: (cls: ClsService) => ({
          redis: { url: process.env['REDIS_URL'] },
          keyPrefix: process.env['KEY_PREFIX'],
          producerOnly,
          context: {
            keys: ['tenantId', 'isAdmin'],
            get: () => cls.get(),
            run: (values, callback) => cls.runWith(values as ClsStore, callback),
          },
        }),
      }),
    ],
    providers: producerOnly ? [] : [AccountProcessor, Repository],
  })
  class App {}
  return NestFactory.createApplicationContext(App, { logger: false });
};

const worker = await pod(false);
const producer = await pod(true);
const bus = producer.get(QueueBus);
const cls = producer.get(ClsService);
const note = (what: string, isFailing = false) =>
  bus.enqueueJob(
    { entityType: 'account', entityId: '1', name: 'note', data: { what, isFailing } },
    { attempts: isFailing ? 2 : 1 },
  );
await cls.run(async () => {
  cls.set('tenantId', 'a');
  cls.set('isAdmin', false);
  cls.set('password', 'secret');
  await note('of a', true);
});
await note('of nobody');
await cls.run(async () => {
  cls.set('tenantId', 'b');
  await note('of b');
});
await done;
await producer.close();
await worker.close();
process.stdout.write(JSON.stringify(found));
