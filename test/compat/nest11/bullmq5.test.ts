/** BullMQ 5, as the README says: it runs in one process with this package, and on the same queues as BullMQ 6. */
import { randomBytes } from 'node:crypto';
import { Injectable, Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { AtomicQueuesModule, JobHandler, QueueBus, WorkerProcessor } from 'atomic-queues';
import { Queue as Queue6, Worker as Worker6 } from 'bullmq';
import { Queue as Queue5, Worker as Worker5 } from 'bullmq5';

const keyPrefix = `compat-${randomBytes(4).toString('hex')}`;
const url = new URL(process.env['REDIS_URL'] ?? '');
const connection = { host: url.hostname, port: Number(url.port), maxRetriesPerRequest: null };

/** Resolves with the recorded values once there are this many. */
class Log {
  private readonly lines: string[] = [];
  private isFull: () => void = () => {};
  readonly full: Promise<string[]>;
  constructor(private readonly size: number) {
    this.full = new Promise(resolve => {
      this.isFull = () => resolve(this.lines);
    });
  }
  add(line: string): void {
    if (this.lines.push(line) === this.size) this.isFull();
  }
}

const log = new Log(4);

@WorkerProcessor({ entityType: 'account' })
@Injectable()
class AccountProcessor {
  @JobHandler('*')
  run({ data }: { data: { n: number } }, accountId: string) {
    log.add(`${accountId} ${data.n}`);
  }
}

@Module({
  imports: [AtomicQueuesModule.forRoot({ redis: { url: url.href }, keyPrefix, discoveryIntervalMs: 300 })],
  providers: [AccountProcessor],
})
class AppModule {}

test('jobs that BullMQ 5 adds to the queue of an entity run in order with those of this package', async () => {
  const app = await Test.createTestingModule({ imports: [AppModule] }).compile();
  await app.init();
  const queue = new Queue5('queue', { prefix: `${keyPrefix}:account:7`, connection });
  await queue.add('from 5', { n: 1 });
  await queue.add('from 5', { n: 2 });
  await app.get(QueueBus).enqueueJob({ entityType: 'account', entityId: '7', name: 'ours', data: { n: 3 } });
  await queue.add('from 5', { n: 4 });
  expect(await log.full).toEqual(['7 1', '7 2', '7 3', '7 4']);
  expect((await queue.getFailedCount()) + (await queue.getWaitingCount())).toBe(0);
  await queue.close();
  await app.close();
});

test('a queue of the application is worked by BullMQ 5 and by BullMQ 6, whichever of them added the job', async () => {
  for (const Worker of [Worker5, Worker6] as const) {
    const name = `${keyPrefix}-${Worker === Worker5 ? 5 : 6}`;
    const mails = new Log(2);
    const producers = [new Queue5(name, { connection }), new Queue6(name, { connection })];
    for (const producer of producers) await producer.add('mail', {});
    const worker = new Worker(name, async job => mails.add(String(job.id)), { connection });
    expect(await mails.full).toEqual(['1', '2']);
    await worker.close();
    for (const producer of producers) await producer.close();
  }
});
