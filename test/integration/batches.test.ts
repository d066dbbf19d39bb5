/** Batches in an application, on real Redis: with BullMQ's jobs, two pods, failures of some, and a pod that is cut off. */
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { type Job, UnrecoverableError } from 'bullmq';
import {
  AtomicQueuesEvents,
  AtomicQueuesModule,
  BatchFailure,
  BatchHandler,
  type EntityContext,
  EntityQueues,
  JobHandler,
  QueueBus,
  WorkerProcessor,
} from '../../src/index.js';
import { connect, dropKeys, freshPrefix, redisUrl } from '../support/redis.js';
import { eventually, type Gate, gate } from '../support/wait.js';

type Reading = Job<{ n: number }>;

const started: string[] = [];
let handle: (jobs: Reading[], context: EntityContext) => unknown = () => undefined;

@WorkerProcessor({ entityType: 'meter' })
@Injectable()
class Meters {
  @BatchHandler('reading', { max: 50 })
  async read(jobs: Reading[], meterId: string, context: EntityContext) {
    started.push(`${meterId}:${jobs.map(({ data }) => data.n).join()}`);
    return (await handle(jobs, context)) as undefined;
  }
  @BatchHandler('patient', { max: 3, maxWaitMs: 20_000 })
  async wait(jobs: Reading[], meterId: string) {
    started.push(`${meterId}:${jobs.map(({ data }) => data.n).join()}`);
  }
  @JobHandler('audit')
  audit({ data }: Reading, meterId: string) {
    started.push(`${meterId}:audit ${data.n}`);
  }
}

describe('batches', () => {
  const prefix = freshPrefix();
  const redis = connect();
  const options = { redis: { url: redisUrl() }, keyPrefix: prefix };
  @Module({ imports: [AtomicQueuesModule.forRoot(options)], providers: [Meters] })
  class App {}
  @Module({ imports: [AtomicQueuesModule.forRoot({ ...options, producerOnly: true })] })
  class Producer {}
  let app: Awaited<ReturnType<typeof NestFactory.createApplicationContext>>;

  beforeEach(async () => {
    app = await NestFactory.createApplicationContext(App, { logger: false });
  });
  afterEach(async () => {
    handle = () => undefined;
    started.length = 0;
    await app.close();
    await dropKeys(redis, prefix);
  });
  afterAll(() => redis.quit());

  const of = (entityId: string) => app.get(EntityQueues).of('meter', entityId);
  const drained = (entityId: string) => of(entityId).drain({ timeoutMs: 10_000 });
  const job = (name: string, entityId: string, n: number) => ({ entityType: 'meter', entityId, name, data: { n } });
  const add = (name: string, entityId: string, ...ns: number[]) =>
    Promise.all(ns.map(n => app.get(QueueBus).enqueueJob(job(name, entityId, n), { attempts: 3 })));
  const numbers = () => started.flatMap(batch => batch.split(':')[1]?.split(',').map(Number));
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
  /** Holds the first batch until the test opens the gate; the others end at once. */
  const holdFirst = (): Gate => {
    const held = gate();
    let isFirst = true;
    handle = () => {
      const wait = isFirst ? held.promise : undefined;
      isFirst = false;
      return wait;
    };
    return held;
  };

  test('the jobs behind a batch are the next one: 300 jobs in few calls, in order', async () => {
    const held = holdFirst();
    await add('reading', '1', 0);
    await eventually('the first has started', () => started.length === 1);
    await add('reading', '1', ...range(1, 301));
    held.open();
    await drained('1');
    expect(numbers()).toEqual(range(0, 301));
    expect(started.length).toBe(7);
  });

  test('a handler gets BullMQ jobs and may write to them; each job keeps its own result', async () => {
    const held = holdFirst();
    await app.get(QueueBus).enqueueJob(job('reading', '1', 0));
    await eventually('the first has started', () => started.length === 1);
    const kept = { removeOnComplete: false };
    for (const n of [1, 2]) await app.get(QueueBus).enqueueJob(job('reading', '1', n), kept);
    handle = async jobs => {
      await Promise.all(jobs.map(one => one.updateProgress(one.data.n)));
      return jobs.map(({ data }) => `read ${data.n}`);
    };
    held.open();
    await drained('1');
    const queue = await of('1').getQueue();
    const completed = await queue.getCompleted();
    await queue.close();
    const found = completed.map(({ data, returnvalue, progress }) => [data.n, returnvalue, progress]);
    expect(found.sort()).toEqual([
      [1, 'read 1', 1],
      [2, 'read 2', 2],
    ]);
  });

  test('failed jobs of a batch are retried alone, in order, or move to the failed jobs', async () => {
    const held = holdFirst();
    await add('reading', '1', 0);
    await eventually('the first has started', () => started.length === 1);
    await add('reading', '1', ...range(1, 6));
    await add('audit', '1', 6);
    let tries = 0;
    handle = jobs => {
      const failures = jobs.flatMap(one =>
        one.data.n === 2
          ? [{ job: one, error: new UnrecoverableError('no such meter') }]
          : one.data.n % 2 === 1 && one.attemptsMade < 2
            ? [{ job: one, error: new Error(`try ${++tries}`) }]
            : [],
      );
      if (failures.length > 0) throw new BatchFailure(failures);
    };
    held.open();
    await drained('1');
    expect(started).toEqual(['1:0', '1:1,2,3,4,5', '1:1,3,5', '1:1,3,5', '1:audit 6']);
    const failed = await of('1').list('failed');
    expect(failed.map(({ data, failedReason }) => [data, failedReason])).toEqual([[{ n: 2 }, 'no such meter']]);
  });

  test('a batch that waits starts when it is full, with jobs of other pods as well; a pause gives it back', async () => {
    const producer = await NestFactory.createApplicationContext(Producer, { logger: false });
    const other = producer.get(QueueBus);
    await add('patient', '1', 0);
    await other.enqueueJob(job('patient', '1', 1));
    await eventually('two are fetched', async () => (await of('1').status()).active === 2);
    await of('1').pause();
    await eventually('they are given back', async () => (await of('1').status()).waiting === 2);
    expect(started).toEqual([]);
    await of('1').resume();
    await eventually('they are fetched again', async () => (await of('1').status()).active === 2);
    await other.enqueueJob(job('patient', '1', 2));
    await eventually('it has started', () => started.length === 1, 5000);
    expect(started).toEqual(['1:0,1,2']);
    await producer.close();
  });

  test('the end of a batch whose claim was lost changes nothing, and its jobs run again in order', async () => {
    const told: string[] = [];
    const watch = app.get(AtomicQueuesEvents).stream.subscribe(({ type }) => told.push(type));
    const held = holdFirst();
    await add('reading', '1', 0);
    await eventually('the first has started', () => started.length === 1);
    await add('reading', '1', 1, 2, 3);
    const second = gate();
    handle = () => second.promise;
    held.open();
    await eventually('the batch runs', () => started.length === 2);
    await redis.hset(`${prefix}:meter:1:queue:$:worker`, 'owner', 'somebody', 'until', '1');
    await eventually('the pod has learnt it', () => told.includes('worker.lost'));
    handle = () => undefined;
    second.open();
    await drained('1');
    expect(numbers()).toEqual([0, 1, 2, 3, 1, 2, 3]);
    // The successor does not know which of them was at fault.
    expect(started.slice(2)).toEqual(['1:1', '1:2', '1:3']);
    watch.unsubscribe();
  });

  test('I8: an entity that collected a batch leaves no key but its fence', async () => {
    await add('patient', '1', 0, 1, 2);
    await drained('1');
    await app.close();
    const keys = await redis.keys(`${prefix}:meter:1:*`);
    expect(keys.filter(key => !key.endsWith(':events'))).toEqual([`${prefix}:meter:1:queue:$:worker`]);
    expect(await redis.hkeys(`${prefix}:meter:1:queue:$:worker`)).not.toContain('gathers');
    app = await NestFactory.createApplicationContext(App, { logger: false });
  });
});
