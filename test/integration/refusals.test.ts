/** A real Redis that refuses calls for a while, and executes none of them: calls are held, in order, and then executed. */
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';
import { type DevRedis, startRedis } from '#dev-redis';
import { AtomicQueuesModule } from '../../src/nest/atomic-queues.module.js';
import { QueueBus } from '../../src/nest/bus/queue-bus.js';
import { JobHandler } from '../../src/nest/decorators/job-handler.decorator.js';
import { QueueEntity, QueueEntityId } from '../../src/nest/decorators/queue-entity.decorator.js';
import { WorkerProcessor } from '../../src/nest/decorators/worker-processor.decorator.js';
import { DurableRedis } from '../support/durable-redis.js';
import { eventually } from '../support/wait.js';

const seen: number[] = [];

@QueueEntity('account')
class Note {
  constructor(
    readonly n: number,
    @QueueEntityId() readonly accountId = '1',
  ) {}
}

@QueueEntity('limited')
class Limited extends Note {}

async function start(url: string, commandTimeoutMs = 20_000) {
  @WorkerProcessor({ entityType: 'account' })
  @Injectable()
  class Accounts {
    @JobHandler('*')
    handle(job: { data: { n: number } }) {
      seen.push(job.data.n);
      return job.data.n;
    }
  }
  @Module({
    imports: [
      AtomicQueuesModule.forRoot({ redis: { url }, commandTimeoutMs, entities: { limited: { maxPending: 100 } } }),
    ],
    providers: [Accounts],
  })
  class App {}
  return NestFactory.createApplicationContext(App, { logger: false });
}

const job = (n: number) => ({ entityType: 'account', entityId: '1', name: 'note', data: { n } });
const ran = (...expected: number[]) =>
  eventually(`${expected} ran, once and in order`, () => JSON.stringify(seen) === JSON.stringify(expected));

beforeEach(() => {
  seen.length = 0;
});

describe('a server that refuses calls for a while', () => {
  let server: DevRedis;
  let admin: Redis;
  let app: Awaited<ReturnType<typeof start>>;
  const bus = () => app.get(QueueBus);
  const isRefused = async () => /errorstat_(READONLY|MASTERDOWN|NOREPLICAS|BUSY)/.test(await admin.info('errorstats'));

  beforeEach(async () => {
    server = await startRedis({ alwaysPrivate: true });
    admin = new Redis(server.url, { maxRetriesPerRequest: null, enableReadyCheck: false }).on('error', () => {});
    app = await start(server.url);
    await bus().enqueueJob(job(0));
    await ran(0);
    await admin.config('RESETSTAT');
  });
  afterEach(async () => {
    await app.close();
    admin.disconnect();
    await server.stop();
  });

  test.each<[string, () => Promise<unknown>, () => Promise<unknown>]>([
    [
      'NOREPLICAS',
      () => admin.config('SET', 'min-replicas-to-write', '1'),
      () => admin.config('SET', 'min-replicas-to-write', '0'),
    ],
    ['READONLY', () => admin.replicaof('127.0.0.1', '1'), () => admin.replicaof('NO', 'ONE')],
    [
      'MASTERDOWN',
      () => Promise.all([admin.config('SET', 'replica-serve-stale-data', 'no'), admin.replicaof('127.0.0.1', '1')]),
      () => admin.replicaof('NO', 'ONE'),
    ],
    [
      'BUSY',
      async () => {
        await admin.config('SET', 'busy-reply-threshold', '1');
        const other = new Redis(server.url);
        other.eval('while true do end', 0).then(
          () => {},
          () => other.disconnect(),
        );
        await eventually('it is busy', () =>
          admin.ping().then(
            () => false,
            ({ message }: Error) => message.startsWith('BUSY'),
          ),
        );
      },
      () => admin.script('KILL'),
    ],
  ])('%s: jobs that are enqueued meanwhile are added when it is over, once and in order', async (code, begin, end) => {
    await begin();
    const adds = [
      bus().enqueueJob(job(1)),
      bus().enqueueBulk([new Note(2), new Note(3)]),
      bus().enqueueJob(job(4)),
      bus().enqueueBulk([new Limited(5), new Limited(6)]),
    ];
    if (code !== 'BUSY') await eventually('calls are refused', isRefused);
    await end();
    await Promise.all(adds);
    await ran(0, 1, 2, 3, 4);
  });

  test('a call that waits for its result gets it, although the mailbox could not be emptied meanwhile', async () => {
    expect(await bus().enqueueJobAndWait(job(1), { timeoutMs: 10_000 })).toBe(1);
    await admin.config('SET', 'min-replicas-to-write', '1');
    const called = bus().enqueueJobAndWait(job(2), { timeoutMs: 10_000 });
    await eventually('calls are refused', isRefused);
    await admin.config('SET', 'min-replicas-to-write', '0');
    expect(await called).toBe(2);
  });

  test('for longer than commandTimeoutMs: an enqueue rejects as not added, with the error of Redis', async () => {
    await app.close();
    app = await start(server.url, 500);
    await admin.config('SET', 'min-replicas-to-write', '1');
    await expect(bus().enqueueJob(job(1))).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      message: expect.stringMatching(
        /^The enqueue was not executed within 500 ms .* takes no calls \(NOREPLICAS .*[^.]\)\. Nothing was written/,
      ),
    });
    await admin.config('SET', 'min-replicas-to-write', '0');
    await bus().enqueueJob(job(2));
    await ran(0, 2);
  });
});

test('LOADING: the application starts while Redis reads its log, and its enqueues are added when that is over', async () => {
  const server = new DurableRedis('always');
  const { url } = await server.start();
  const admin = new Redis(url, { enableReadyCheck: false, maxRetriesPerRequest: null }).on('error', () => {});
  const keys = 16_000;
  const pipeline = admin.pipeline();
  for (let n = 0; n < keys; n++) pipeline.set(`other:${n}`, 'x');
  await pipeline.exec();
  await server.crash();
  // In µs. Redis answers after every 1024 commands of its log.
  const slowly = ['--key-load-delay', '200'];
  const loaded = server.start(slowly);
  let app: Awaited<ReturnType<typeof start>> | undefined;
  try {
    const isLoading = () =>
      admin.ping().then(
        () => false,
        ({ message }: Error) => message.startsWith('LOADING'),
      );
    await eventually('Redis is loading', isLoading);
    app = await start(url);
    const added = app.get(QueueBus).enqueueJob(job(1));
    expect(await isLoading()).toBe(true);
    await added;
    await loaded;
    expect(await admin.exists('other:0', `other:${keys - 1}`)).toBe(2);
    await ran(1);
  } finally {
    await loaded;
    await app?.close();
    admin.disconnect();
    await server.end();
  }
});

test('a node of a Redis Cluster: the call is not followed, and rejects with the error of Redis', async () => {
  const server = await startRedis({ alwaysPrivate: true, args: ['--cluster-enabled', 'yes'] });
  const app = await start(server.url, 500);
  try {
    await expect(app.get(QueueBus).enqueueJob(job(1))).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      message: expect.stringMatching(/CLUSTERDOWN/),
    });
  } finally {
    await app.close();
    await server.stop();
  }
});
