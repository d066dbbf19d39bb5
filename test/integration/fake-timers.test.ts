/**
 * Fake timers belong to the tests of an application: no call and no shutdown waits for them, on real Redis. A test may hold them for
 * one call, or from before the application starts until it has closed.
 */
import { jest } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import type { Job } from 'bullmq';
import { BatchHandler, type JobContext, JobHandler, WorkerProcessor } from '../../src/index.js';
import { RedisApps } from '../support/redis-apps.js';
import { RedisProxy } from '../support/redis-proxy.js';
import { runProgram } from '../support/run-program.js';

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
  const apps = new RedisApps({ providers: [Accounts] }, { replyTimeoutMs: 20_000 });
  const proxy = new RedisProxy();
  let url: string;

  beforeAll(async () => {
    url = await proxy.start();
  });
  afterEach(async () => {
    jest.useRealTimers();
    await apps.clear();
  });
  afterAll(async () => {
    await apps.quit();
    await proxy.close();
  });

  test('during one enqueue stop no later call, and not the shutdown', async () => {
    const { bus } = await apps.start();
    expect(await bus.enqueueJobAndWait(note('1'))).toBe('1:1');
    useFakeTimers();
    await bus.enqueueJob(note('1'));
    jest.useRealTimers();
    expect(await bus.enqueueJobAndWait(note('1'))).toBe('1:1');
    await bus.enqueueJob(note('2'));
    await apps.closeAll();
  });

  test('during the first call with a result stop no later call', async () => {
    const { bus } = await apps.start();
    useFakeTimers();
    const first = bus.enqueueJobAndWait(note('1'));
    jest.useRealTimers();
    expect(await first).toBe('1:1');
    expect(await bus.enqueueJobAndWait(note('2'))).toBe('2:1');
    await apps.closeAll();
  });

  test('during calls, delays, retries, a batch and the shutdown stop nothing', async () => {
    const { bus } = await apps.start();
    useFakeTimers();
    expect(await bus.enqueueJobAndWait(note('1'))).toBe('1:1');
    expect(await bus.enqueueJobAndWait(note('2'), { delay: 20 })).toBe('2:1');
    const tried = bus.enqueueJobAndWait(note('3', { failures: 2 }), { attempts: 3, backoff: 5 });
    expect(await tried).toBe('3:3');
    expect(await bus.enqueueJobAndWait({ ...note('4'), name: 'reading' })).toBe('stored');
    await Promise.all(['5', '6'].map(id => bus.enqueueJob(note(id))));
    await apps.closeAll();
  });

  test('before the start of the application stop nothing', async () => {
    useFakeTimers();
    const { bus } = await apps.start();
    expect(await bus.enqueueJobAndWait(note('1'))).toBe('1:1');
    await apps.closeAll();
  });

  test('while Redis is lost and comes back stop nothing', async () => {
    const { bus } = await apps.start({ redis: { url } });
    expect(await bus.enqueueJobAndWait(note('1'))).toBe('1:1');
    useFakeTimers();
    proxy.reset();
    // A call under way when a connection breaks may fail. The library then connects again.
    await bus.enqueueJob(note('1')).catch(() => {});
    expect(await bus.enqueueJobAndWait(note('2'))).toBe('2:1');
    jest.useRealTimers();
    expect(await bus.enqueueJobAndWait(note('3'))).toBe('3:1');
    await apps.closeAll();
  });
});

test('the fake timers of node:test stop no call and no shutdown', async () => {
  expect(await runProgram('node-fakes')).toEqual([1, 2, 3]);
});
