/**
 * Which thread renews claims: one of its own, or the main thread if there can be no other. What the thread does for a blocked
 * process is in `test/e2e/blocked-event-loop.test.ts`, when it does it in `test/unit/store/redis/renewal/lease-keeper.test.ts`.
 */
import { Worker } from 'node:worker_threads';
import { jest } from '@jest/globals';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';
import { resolveOptions } from '../../src/core/options/resolve.js';
import { AtomicQueuesModule } from '../../src/nest/atomic-queues.module.js';
import { QueueBus } from '../../src/nest/bus/queue-bus.js';
import { systemClock } from '../../src/nest/system.js';
import type { RenewalArguments } from '../../src/store/redis/renewal/renewal-connection.js';
import type { RenewalsOptions } from '../../src/store/redis/renewal/renewals.js';
import { RecordingLog } from '../support/log.js';
import { connect, dropKeys, freshPrefix, redisUrl } from '../support/redis.js';
import { RedisEntity } from '../support/redis-entity.js';
import { RedisProxy } from '../support/redis-proxy.js';
import { eventually } from '../support/wait.js';

const LEASE_MS = 1000;
const POD = { types: ['account'], takesMore: true, workers: 1 };
const ANSWER = { lost: [0], kicked: [], dormant: [], loads: [{ pods: 1, workers: 1 }] };
const prefix = freshPrefix();

describe('renewals', () => {
  const log = new RecordingLog();
  const redis = connect();
  const options: RenewalsOptions = {
    redis: { url: redisUrl() },
    podId: prefix,
    systemPrefix: `${prefix}:$:`,
    leaseMs: LEASE_MS,
    blockLimitMs: 30_000,
    clock: systemClock,
    log,
  };
  const theirs: Redis[] = [];
  let renewals: Awaited<ReturnType<typeof make>>;

  async function make(changed: Partial<RenewalsOptions>) {
    const { Renewals } = await import('../../src/store/redis/renewal/renewals.js');
    return new Renewals({ ...options, ...changed });
  }
  const instance = (settings: object) => {
    theirs.push(new Redis(redisUrl(), { lazyConnect: true, ...settings }));
    return theirs.at(-1) as Redis;
  };
  const connections = async () =>
    String(await redis.client('LIST')).split(`name=atomic-queues:${prefix}:heartbeat `).length - 1;
  const claim: RenewalArguments = [`${prefix}:account:1:queue`, 'account', '1', 1, 0, 1000, '', 0];
  const isServed = () => redis.exists(`${prefix}:$:pods:account`);

  beforeEach(() => {
    log.lines.length = 0;
  });
  afterEach(async () => {
    await renewals.close();
    jest.resetModules();
    await dropKeys(redis, prefix);
  });
  afterAll(() => redis.quit());

  test('a thread that starts while it is closed holds the process until it has ended', async () => {
    const unref = jest.spyOn(Worker.prototype, 'unref');
    try {
      renewals = await make({});
      renewals.renew([], POD).catch(() => {});
      const [worker] = unref.mock.contexts as Worker[];
      const closing = renewals.close();
      worker?.emit('online');
      await closing;
      expect(unref).toHaveBeenCalledTimes(1);
    } finally {
      unref.mockRestore();
    }
  });

  test('through the thread: each gets a response, over one connection, and both end', async () => {
    renewals = await make({});
    expect(await renewals.renew([claim], POD)).toMatchObject(ANSWER);
    expect([await connections(), await isServed()]).toEqual([1, 1]);
    await renewals.close();
    await expect(renewals.renew([], POD)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    expect(log.lines).toEqual([]);
  });

  test('through the thread: an ioredis instance leads to its server, and its own strategies are left out', async () => {
    renewals = await make({ redis: instance({ retryStrategy: () => 1, reconnectOnError: () => false }) });
    expect(await renewals.renew([claim], POD)).toMatchObject(ANSWER);
    expect(log.lines).toEqual([]);
  });

  test.each<[string, () => Partial<RenewalsOptions>]>([
    ['options that cannot be sent to a thread', () => ({ redis: instance({ natMap: () => null }) })],
    ['a bundle, where the code of the thread is not found', () => ({})],
  ])('%s: from the main thread, with one warning that names the remedy', async (what, changed) => {
    if (what.startsWith('a bundle')) {
      jest.unstable_mockModule('../support/thread-file.cjs', () => ({
        threadFile: '/nowhere/renewal-thread.entry.js',
      }));
    }
    renewals = await make(changed());
    for (let beat = 0; beat < 3; beat++) {
      expect(await renewals.renew([claim], POD)).toMatchObject(ANSWER);
    }
    expect([await connections(), await isServed()]).toEqual([1, 1]);
    expect(log.lines).toEqual([expect.stringMatching(/^warn .*external.*eventLoopBlockLimitMs to 0/)]);
  });

  test('eventLoopBlockLimitMs 0: from the main thread, without a warning', async () => {
    renewals = await make({ blockLimitMs: 0 });
    expect(await renewals.renew([claim], POD)).toMatchObject(ANSWER);
    expect(log.lines).toEqual([]);
  });
});

test('a pod that works nothing has neither thread nor connection for them', async () => {
  const proxy = new RedisProxy();
  const url = await proxy.start();
  @Module({ imports: [AtomicQueuesModule.forRoot({ redis: { url }, keyPrefix: prefix })] })
  class Producer {}
  const app = await NestFactory.createApplicationContext(Producer, { logger: false });
  const redis = connect();
  try {
    await app.get(QueueBus).enqueueJob({ entityType: 'account', entityId: '1', name: 'note' });
    expect([proxy.count('commands'), proxy.count('heartbeat')]).toEqual([1, 0]);
  } finally {
    await app.close();
    await proxy.close();
    await dropKeys(redis, prefix);
    await redis.quit();
  }
});

test('race 15: a pod whose commands get no responses lets its claims run out, and the thread does not keep them', async () => {
  const proxy = new RedisProxy();
  const on = await RedisEntity.create();
  try {
    const config = resolveOptions({ workerDefaults: { heartbeatTTL: LEASE_MS / 1000 } });
    const pod = await on.cluster.pod(config, 'silent', await proxy.start());
    const { claim } = await on.cold(pod, 1);
    const until = async () => Number(await on.redis.hget(on.key('$:worker'), 'until'));
    await pod.renew([{ claim, idle: false }], POD);
    proxy.freeze('commands');
    const unanswered = expect(pod.take(claim)).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    // What the heartbeat asks before each beat.
    await eventually('it is silent', () => pod.isSilentFor(LEASE_MS));
    const last = await until();
    await eventually('the claim has run out', async () => Number((await on.redis.time())[0]) * 1e6 > last);
    expect(await until()).toBe(last);
    await unanswered;
  } finally {
    await on.close();
    await proxy.close();
  }
});
