/**
 * Race 10: jobs that are added outside the library, by BullMQ's own means, on real Redis: found within
 * `discoveryIntervalMs` and a sweep, or at once if a worker is requested.
 */
import { Injectable } from '@nestjs/common';
import { Queue } from 'bullmq';
import { JobHandler, SpawnQueueService, WorkerProcessor } from '../../src/index.js';
import { redisUrl } from '../support/redis.js';
import { RedisApps } from '../support/redis-apps.js';
import { eventually } from '../support/wait.js';

const done: string[] = [];
let mayFail = true;

@WorkerProcessor({ entityType: 'account', idleTimeoutSeconds: 0.2 })
@Injectable()
class Accounts {
  @JobHandler('*')
  run({ data }: { data: { n: string } }) {
    if (data.n === 'failing' && mayFail) throw new Error('not yet');
    done.push(data.n);
  }
}

describe('jobs that are added outside the library', () => {
  const apps = new RedisApps({ providers: [Accounts] }, { discoveryIntervalMs: 300 });
  const { redis, prefix } = apps;
  const queues: Queue[] = [];

  afterEach(async () => {
    for (const queue of queues.splice(0)) await queue.close();
    await apps.clear();
    done.length = 0;
    mayFail = true;
  });
  afterAll(() => apps.quit());

  const queueOf = (id: string, name = 'queue', of = `${prefix}:account:${id}`) => {
    const queue = new Queue(name, { prefix: of, connection: { url: redisUrl() } as never });
    queues.push(queue);
    return queue;
  };
  const isReleased = async (id: string) => !(await redis.hexists(`${prefix}:account:${id}:queue:$:worker`, 'owner'));

  test('by a plain Queue.add to an unknown entity are found', async () => {
    await apps.start();
    await queueOf('new').add('x', { n: 'added' });
    await eventually('it runs', () => done.includes('added'));
  });

  test('by a retry of a failed job, as in Bull Board, are found on an unowned entity', async () => {
    const app = await apps.start();
    await app.bus.enqueueJob({ entityType: 'account', entityId: '1', name: 'x', data: { n: 'failing' } });
    await eventually(
      'it fails, and the entity is released',
      async () => (await redis.exists(`${prefix}:account:1:queue:failed`)) === 1 && (await isReleased('1')),
    );
    const [failed] = await queueOf('1').getFailed();
    mayFail = false;
    await failed?.retry();
    await eventually('it runs again', () => done.includes('failing'));
  });

  test('a queue with a custom name is known for a day after its last job', async () => {
    const app = await apps.start({ entities: { account: { queueName: id => `account-${id}` } } });
    await app.bus.enqueueJob({ entityType: 'account', entityId: '1', name: 'x', data: { n: 'first' } });
    await eventually(
      'it is released',
      async () => done.includes('first') && !(await redis.hexists(`${prefix}:account-1:$:worker`, 'owner')),
    );
    await queueOf('1', 'account-1', prefix).add('x', { n: 'second' });
    await eventually('it runs', () => done.includes('second'));
  });

  test('race 10: a queue that BullMQ itself resumes runs again when the search finds it', async () => {
    const app = await apps.start();
    const queue = queueOf('1');
    await queue.pause();
    await app.bus.enqueueJob({ entityType: 'account', entityId: '1', name: 'x', data: { n: 'paused' } });
    await eventually(
      'it is parked',
      async () => (await redis.zscore(`${prefix}:$:due:account`, '1')) === null && (await isReleased('1')),
    );
    expect(done).toEqual([]);
    await queue.resume();
    await eventually('it runs', () => done.includes('paused'));
  });

  test('without a search they wait until a worker is requested', async () => {
    const app = await apps.start({ discoveryIntervalMs: 0 });
    await queueOf('1').add('x', { n: 'asked for' });
    await app.get(SpawnQueueService).request('account', '1');
    await eventually('it runs', () => done.includes('asked for'));
    await expect(app.get(SpawnQueueService).request('account', '')).rejects.toMatchObject({ code: 'INVALID_ENTITY' });
  });

  test('an entity for which no pod has capacity is in the spawn queue, an ordinary queue of BullMQ', async () => {
    const producer = await apps.start({ producerOnly: true });
    await producer.bus.enqueueJob({ entityType: 'account', entityId: 'a:1', name: 'x', data: { n: 'later' } });
    const spawn = queueOf('', 'account', `${prefix}:$:spawn`);
    // A job that another tool adds to it is no request, and harms none.
    await spawn.add('not ours', {});
    const request = (await spawn.getWaiting()).find(({ id }) => id?.startsWith('for-'));
    expect(request).toMatchObject({ id: 'for-a%3A1', name: 'spawn' });
    await apps.start({ workerDefaults: { stalledInterval: 60_000 } });
    await eventually('it runs', () => done.includes('later'));
    await eventually('the request is gone', async () => (await spawn.count()) === 0);
    expect(await spawn.getJobCounts('completed', 'failed', 'active')).toEqual({ completed: 0, failed: 0, active: 0 });
  });
});
