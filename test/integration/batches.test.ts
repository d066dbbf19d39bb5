/** Batches in an application, on real Redis: with BullMQ's jobs, two pods, failures of some, and a pod that is cut off. */
import { Injectable } from '@nestjs/common';
import { type Job, UnrecoverableError } from 'bullmq';
import {
  AtomicQueuesEvents,
  BatchFailure,
  BatchHandler,
  type EntityContext,
  JobHandler,
  WorkerProcessor,
} from '../../src/index.js';
import { type RedisApp, RedisApps } from '../support/redis-apps.js';
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
  const apps = new RedisApps({ providers: [Meters] });
  const { redis, prefix } = apps;
  let app: RedisApp;

  beforeEach(async () => {
    app = await apps.start();
  });
  afterEach(async () => {
    handle = () => undefined;
    started.length = 0;
    await apps.clear();
  });
  afterAll(() => apps.quit());

  const of = (entityId: string) => app.queue('meter', entityId);
  const drained = (entityId: string) => app.drained('meter', entityId, 10_000);
  const job = (name: string, entityId: string, n: number) => ({ entityType: 'meter', entityId, name, data: { n } });
  const add = (name: string, entityId: string, ...ns: number[]) =>
    Promise.all(ns.map(n => app.bus.enqueueJob(job(name, entityId, n), { attempts: 3 })));
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
    await app.bus.enqueueJob(job('reading', '1', 0));
    await eventually('the first has started', () => started.length === 1);
    const kept = { removeOnComplete: false };
    for (const n of [1, 2]) await app.bus.enqueueJob(job('reading', '1', n), kept);
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
    const { bus: other } = await apps.start({ producerOnly: true }, { providers: [] });
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
  });
});
