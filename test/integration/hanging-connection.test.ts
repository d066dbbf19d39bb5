/** Races 14 and 15: a connection that hangs, open and silent, is replaced; the others continue meanwhile. */
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AtomicQueuesModule } from '../../src/nest/atomic-queues.module.js';
import { QueueBus } from '../../src/nest/bus/queue-bus.js';
import { JobHandler } from '../../src/nest/decorators/job-handler.decorator.js';
import { WorkerProcessor } from '../../src/nest/decorators/worker-processor.decorator.js';
import { AtomicQueuesEvents } from '../../src/nest/events.js';
import { connect, dropKeys, freshPrefix } from '../support/redis.js';
import { RedisProxy } from '../support/redis-proxy.js';
import { eventually } from '../support/wait.js';

const prefix = freshPrefix();
const redis = connect();
const proxy = new RedisProxy();
const seen: number[] = [];
let app: Awaited<ReturnType<typeof start>>;

async function start() {
  @WorkerProcessor({ entityType: 'account' })
  @Injectable()
  class Accounts {
    @JobHandler('*')
    handle(job: { data: { n: number } }) {
      seen.push(job.data.n);
    }
  }
  @Module({
    imports: [
      AtomicQueuesModule.forRoot({
        redis: { url: await proxy.start() },
        keyPrefix: prefix,
        commandTimeoutMs: 1000,
        workerDefaults: { heartbeatTTL: 1 },
      }),
    ],
    providers: [Accounts],
  })
  class App {}
  return NestFactory.createApplicationContext(App, { logger: false });
}

const enqueue = (n: number) =>
  app.get(QueueBus).enqueueJob({ entityType: 'account', entityId: '1', name: 'note', data: { n } });
const runs = (n: number) => eventually(`job ${n} has run`, () => seen.includes(n));
const leaseUntil = async () => Number(await redis.hget(`${prefix}:account:1:queue:$:worker`, 'until'));

describe('a connection that hangs', () => {
  beforeAll(async () => {
    app = await start();
  });
  afterAll(async () => {
    await app.close();
    await proxy.close();
    await dropKeys(redis, prefix);
    await redis.quit();
  });

  test('for the heartbeat: claims are renewed again, and work continues', async () => {
    await enqueue(0);
    await runs(0);
    await eventually('the heartbeat is connected', () => proxy.count('heartbeat') === 1);
    proxy.freeze('heartbeat');
    const frozen = await leaseUntil();
    await eventually('the claim is renewed on a new connection', async () => (await leaseUntil()) > frozen + 1e6);
    expect(proxy.count('heartbeat')).toBe(2);
    await enqueue(1);
    await runs(1);
  });

  test('for commands: the outcome of a pending call is unknown, and the next enqueue works', async () => {
    const events: string[] = [];
    const subscription = app.get(AtomicQueuesEvents).stream.subscribe(({ type }) => events.push(type));
    proxy.freeze('commands');
    await expect(enqueue(2)).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    await enqueue(3);
    await runs(3);
    expect(proxy.count('commands')).toBe(2);
    expect(events.filter(type => type.startsWith('connection'))).toEqual(['connection.lost', 'connection.restored']);
    subscription.unsubscribe();
  });

  test('for wake-ups: the connection is replaced', async () => {
    proxy.freeze('wake-ups');
    await eventually('there is a new one', () => proxy.count('wake-ups') === 2, 25_000);
  });
});
