/** A primary that sentinels know of: how it is found, and that all four connections of a pod follow it. */
import { jest } from '@jest/globals';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';
import { type DevRedis, startRedis, startSentinel } from '#dev-redis';
import { AtomicQueuesModule } from '../../src/nest/atomic-queues.module.js';
import { QueueBus } from '../../src/nest/bus/queue-bus.js';
import { JobHandler } from '../../src/nest/decorators/job-handler.decorator.js';
import { WorkerProcessor } from '../../src/nest/decorators/worker-processor.decorator.js';
import { EntityQueues } from '../../src/nest/operator/entity-queues.js';
import type { RedisConnectionOptions, SentinelOptions } from '../../src/store/redis/connection/options.js';
import { RedisProxy } from '../support/redis-proxy.js';
import { Sentinels } from '../support/sentinels.js';
import { eventually } from '../support/wait.js';

const ROLES = ['commands', 'heartbeat', 'replies', 'wake-ups'];
/** Longer than this test waits for anything: no connection is replaced because it is silent. */
const PATIENT_MS = 120_000;

async function start(redis: RedisConnectionOptions) {
  @WorkerProcessor({ entityType: 'account' })
  @Injectable()
  class Accounts {
    @JobHandler('*')
    handle(job: { data: { n: number } }) {
      return job.data.n;
    }
  }
  @Module({
    imports: [
      AtomicQueuesModule.forRoot({ redis, commandTimeoutMs: PATIENT_MS, workerDefaults: { heartbeatTTL: 60 } }),
    ],
    providers: [Accounts],
  })
  class App {}
  return NestFactory.createApplicationContext(App, { logger: false });
}
type App = Awaited<ReturnType<typeof start>>;

const call = (app: App, n: number) =>
  app
    .get(QueueBus)
    .enqueueJobAndWait({ entityType: 'account', entityId: '1', name: 'note', data: { n } }, { timeoutMs: PATIENT_MS });

/** What the connections of pods to a server are for. */
async function rolesAt({ url }: DevRedis): Promise<string[]> {
  const redis = new Redis(url);
  try {
    const names = String(await redis.client('LIST')).matchAll(/ name=atomic-queues:[^:]+:(\S+)/g);
    return [...names].map(([, role = '']) => role).sort();
  } finally {
    redis.disconnect();
  }
}

describe('three sentinels', () => {
  let sentinels: Sentinels | undefined;
  let app: App | undefined;

  beforeAll(async () => {
    sentinels = await Sentinels.start();
  }, 60_000);
  afterEach(async () => {
    await app?.close();
    app = undefined;
  });
  afterAll(() => sentinels?.stop());

  test('if the first one is frozen, the next one is asked; once it is back it is listened to, and nothing was printed', async () => {
    const [first] = sentinels?.addresses ?? [];
    if (!sentinels || !first) return;
    const print = jest.spyOn(console, 'error').mockImplementation(() => {});
    const redis = new Redis(first.url, { enableReadyCheck: false });
    await redis.ping();
    await first.signal('SIGSTOP');
    try {
      app = await start(sentinels.connection);
      expect(await call(app, 1)).toBe(1);
    } finally {
      await first.signal('SIGCONT');
    }
    const listeners = async () => String(await redis.client('LIST')).split(' sub=1 ').length - 1;
    await eventually('it is listened to', async () => (await listeners()) >= ROLES.length, 8000);
    expect(print.mock.calls).toEqual([]);
    redis.disconnect();
    print.mockRestore();
  });

  test('natMap replaces the address that they return by the one that leads there', async () => {
    if (!sentinels) return;
    const primary = await sentinels.primary();
    const proxy = new RedisProxy(primary.url);
    const { hostname, port } = new URL(await proxy.start());
    try {
      const natMap = { [`127.0.0.1:${primary.port}`]: { host: hostname, port: Number(port) } };
      app = await start({ ...sentinels.connection, natMap });
      expect(await call(app, 1)).toBe(1);
      expect(proxy.count('commands')).toBe(1);
    } finally {
      await app?.close();
      app = undefined;
      await proxy.close();
    }
  });

  test('getQueue() of an entity finds the primary as well', async () => {
    if (!sentinels) return;
    app = await start(sentinels.connection);
    const queue = await app.get(EntityQueues).of('account', '1').getQueue();
    try {
      expect(await queue.getWaitingCount()).toBe(0);
      expect(queue.opts.connection).toMatchObject({ failoverDetector: true, role: 'master' });
    } finally {
      await queue.close();
    }
  });

  test.each(['SIGSTOP', 'SIGKILL'] as const)(
    'the primary is ended by %s: all four connections follow to the new one, and leave the old one alone',
    async signal => {
      if (!sentinels) return;
      const old = await sentinels.primary();
      // As a user's own instance, whose options are made safe.
      app = await start(
        signal === 'SIGKILL' ? sentinels.connection : new Redis({ ...sentinels.connection, lazyConnect: true }),
      );
      expect(await call(app, 1)).toBe(1);
      await eventually('all are connected', async () => (await rolesAt(old)).join() === ROLES.join());
      await old.signal(signal);
      const primary = await sentinels.hasReplaced(old);
      await eventually('all follow', async () => (await rolesAt(primary)).join() === ROLES.join());
      expect(await call(app, 2)).toBe(2);
      if (signal === 'SIGKILL') return;
      await old.signal('SIGCONT');
      await eventually('the old one is left', async () => (await rolesAt(old)).length === 0);
    },
    60_000,
  );
});

test('wrong credentials of a sentinel keep the application from starting, like wrong credentials of Redis', async () => {
  const server = await startRedis({ alwaysPrivate: true });
  const sentinel = await startSentinel([`sentinel monitor primary 127.0.0.1 ${server.port} 1`, 'requirepass secret']);
  try {
    if (!sentinel) return;
    const redis: SentinelOptions = { sentinels: [{ host: '127.0.0.1', port: sentinel.port }], name: 'primary' };
    await expect(start({ ...redis, sentinelPassword: 'wrong' })).rejects.toMatchObject({
      code: 'AUTHENTICATION_FAILED',
    });
    const app = await start({ ...redis, sentinelPassword: 'secret' });
    expect(await call(app, 1)).toBe(1);
    await app.close();
  } finally {
    await sentinel?.stop();
    await server.stop();
  }
});
