/**
 * Fake timers belong to the tests of an application: no call and no shutdown waits for them, on real Redis. A test may hold them for
 * one call, or from before the application starts until it has closed.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { jest } from '@jest/globals';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { Job } from 'bullmq';
import {
  AtomicQueuesModule,
  type AtomicQueuesModuleOptions,
  BatchHandler,
  type JobContext,
  JobHandler,
  QueueBus,
  WorkerProcessor,
} from '../../src/index.js';
import { connect, dropKeys, freshPrefix, redisUrl } from '../support/redis.js';
import { RedisProxy } from '../support/redis-proxy.js';

const FAKES: readonly [name: string, use: () => void][] = [
  ['modern fake timers', () => void jest.useFakeTimers()],
  ['modern fake timers at another time', () => void jest.useFakeTimers({ now: 0 })],
  ['legacy fake timers', () => void jest.useFakeTimers({ legacyFakeTimers: true })],
];

@WorkerProcessor({ entityType: 'account' })
@Injectable()
class Accounts {
  @JobHandler('note')
  note({ data }: Job<{ failures?: number }>, id: string, { attempt }: JobContext) {
    if (attempt <= (data.failures ?? 0)) throw new Error('again');
    return `${id}:${attempt}`;
  }
  @BatchHandler('reading', { max: 2, maxWaitMs: 10 })
  store(jobs: Job[]) {
    return jobs.map(() => 'stored');
  }
}

const note = (entityId: string, data: object = {}) => ({ entityType: 'account', entityId, name: 'note', data });

describe.each(FAKES)('%s', (_, useFakeTimers) => {
  const redis = connect();
  const proxy = new RedisProxy();
  let url: string;
  let prefix: string;
  const apps: { close(): Promise<void> }[] = [];

  beforeAll(async () => {
    url = await proxy.start();
  });
  beforeEach(() => {
    prefix = freshPrefix();
  });
  afterEach(async () => {
    jest.useRealTimers();
    while (apps.length > 0) await apps.pop()?.close();
    await dropKeys(redis, prefix);
  });
  afterAll(async () => {
    await redis.quit();
    await proxy.close();
  });

  const start = async (options: Partial<AtomicQueuesModuleOptions> = {}) => {
    const imports = [
      AtomicQueuesModule.forRoot({ redis: { url: redisUrl() }, keyPrefix: prefix, replyTimeoutMs: 20_000, ...options }),
    ];
    @Module({ imports, providers: [Accounts] })
    class App {}
    const app = await NestFactory.createApplicationContext(App, { logger: false });
    apps.push(app);
    return { close: () => apps.pop()?.close(), bus: app.get(QueueBus) };
  };

  test('during one enqueue stop no later call, and not the shutdown', async () => {
    const { bus, close } = await start();
    expect(await bus.enqueueJobAndWait(note('1'))).toBe('1:1');
    useFakeTimers();
    await bus.enqueueJob(note('1'));
    jest.useRealTimers();
    expect(await bus.enqueueJobAndWait(note('1'))).toBe('1:1');
    await bus.enqueueJob(note('2'));
    await close();
  });

  test('during the first call with a result stop no later call', async () => {
    const { bus, close } = await start();
    useFakeTimers();
    const first = bus.enqueueJobAndWait(note('1'));
    jest.useRealTimers();
    expect(await first).toBe('1:1');
    expect(await bus.enqueueJobAndWait(note('2'))).toBe('2:1');
    await close();
  });

  test('during calls, delays, retries, a batch and the shutdown stop nothing', async () => {
    const { bus, close } = await start();
    useFakeTimers();
    expect(await bus.enqueueJobAndWait(note('1'))).toBe('1:1');
    expect(await bus.enqueueJobAndWait(note('2'), { delay: 20 })).toBe('2:1');
    const tried = bus.enqueueJobAndWait(note('3', { failures: 2 }), { attempts: 3, backoff: 5 });
    expect(await tried).toBe('3:3');
    expect(await bus.enqueueJobAndWait({ ...note('4'), name: 'reading' })).toBe('stored');
    await Promise.all(['5', '6'].map(id => bus.enqueueJob(note(id))));
    await close();
  });

  test('before the start of the application stop nothing', async () => {
    useFakeTimers();
    const { bus, close } = await start();
    expect(await bus.enqueueJobAndWait(note('1'))).toBe('1:1');
    await close();
  });

  test('while Redis is lost and comes back stop nothing', async () => {
    const { bus, close } = await start({ redis: { url } });
    expect(await bus.enqueueJobAndWait(note('1'))).toBe('1:1');
    useFakeTimers();
    proxy.reset();
    // A call under way when a connection breaks may fail. The library then connects again.
    await bus.enqueueJob(note('1')).catch(() => {});
    expect(await bus.enqueueJobAndWait(note('2'))).toBe('2:1');
    jest.useRealTimers();
    expect(await bus.enqueueJobAndWait(note('3'))).toBe('3:1');
    await close();
  });
});

test('the fake timers of node:test stop no call and no shutdown', async () => {
  const redis = connect();
  const prefix = freshPrefix();
  const env = { ...process.env, REDIS_URL: redisUrl(), KEY_PREFIX: prefix, NODE_OPTIONS: '' };
  try {
    const program = ['build/test/support/programs/node-fakes.js'];
    const { stdout } = await promisify(execFile)(process.execPath, program, { env, timeout: 25_000 });
    expect(JSON.parse(stdout)).toEqual([1, 2, 3]);
  } finally {
    await dropKeys(redis, prefix);
    await redis.quit();
  }
});
