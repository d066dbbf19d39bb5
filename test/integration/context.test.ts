/** The context of a caller on its way from one pod to another, on real Redis. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { execFileSync } from 'node:child_process';
import { Inject, Injectable, Module, Scope } from '@nestjs/common';
import { NestFactory, REQUEST } from '@nestjs/core';
import type { Job } from 'bullmq';
import { AtomicQueuesModule, type JobContext, JobHandler, QueueBus, WorkerProcessor } from '../../src/index.js';
import { connect, dropKeys, freshPrefix, keysUnder, redisUrl } from '../support/redis.js';
import { eventually } from '../support/wait.js';

describe('the context of a caller, with two pods', () => {
  const redis = connect();
  const prefix = freshPrefix();
  afterEach(() => dropKeys(redis, prefix));
  afterAll(() => redis.quit());

  interface Store {
    tenantId?: string;
    password?: string;
  }
  const storage = new AsyncLocalStorage<Store>();
  const seen: unknown[] = [];

  /** What a request-scoped repository finds as it is made. */
  @Injectable({ scope: Scope.REQUEST })
  class Repository {
    readonly tenantId = storage.getStore()?.tenantId;
    constructor(@Inject(REQUEST) readonly job: JobContext) {}
  }

  @WorkerProcessor({ entityType: 'account' })
  @Injectable()
  class Accounts {
    constructor(@Inject(Repository) private readonly repository: Repository) {}
    @JobHandler('note')
    async note({ data }: Job<{ what: string }>, _: string, { attempt }: JobContext) {
      await new Promise(resolve => setImmediate(resolve));
      const { tenantId, job } = this.repository;
      seen.push([data.what, attempt, tenantId, job.contextValues, storage.getStore()]);
      if (data.what === 'fails' && attempt === 1) throw new Error('again');
    }
  }

  const options = {
    redis: { url: redisUrl() },
    keyPrefix: prefix,
    context: {
      keys: ['tenantId'],
      get: () => storage.getStore(),
      run: <T>(values: object, callback: () => T) => storage.run(values, callback),
    },
  };
  @Module({ imports: [AtomicQueuesModule.forRoot(options)], providers: [Accounts, Repository] })
  class Worker {}
  @Module({ imports: [AtomicQueuesModule.forRoot({ ...options, producerOnly: true })] })
  class Producer {}

  test('with an AsyncLocalStorage: each attempt of a job has the values of its caller, and none if there were none', async () => {
    const create = (module: unknown) => NestFactory.createApplicationContext(module as never, { logger: false });
    const apps = [await create(Worker), await create(Producer)];
    const bus = apps[1]?.get(QueueBus) as QueueBus;
    const note = (what: string, attempts = 1) =>
      bus.enqueueJob({ entityType: 'account', entityId: '1', name: 'note', data: { what } }, { attempts });
    const passwords: string[] = [];
    await storage.run({ tenantId: 'a', password: 'secret' }, async () => {
      await note('fails', 2);
      for (const key of await keysUnder(redis, prefix)) {
        if ((await redis.type(key)) === 'hash') passwords.push(...Object.values(await redis.hgetall(key)));
      }
    });
    await note('bare');
    await storage.run({ tenantId: 'b' }, () => note('other'));
    await eventually('all have run', () => seen.length === 4);
    for (const app of apps) await app.close();
    expect(seen).toEqual([
      ['fails', 1, 'a', { tenantId: 'a' }, { tenantId: 'a' }],
      ['fails', 2, 'a', { tenantId: 'a' }, { tenantId: 'a' }],
      ['bare', 1, undefined, {}, {}],
      ['other', 1, 'b', { tenantId: 'b' }, { tenantId: 'b' }],
    ]);
    expect(passwords.length).toBeGreaterThan(0);
    expect(passwords.join()).not.toContain('secret');
  });

  test('with nestjs-cls: its store has the values that travelled, and nothing else', () => {
    const env = { ...process.env, REDIS_URL: redisUrl(), KEY_PREFIX: prefix, NODE_OPTIONS: '' };
    const output = execFileSync(process.execPath, ['build/test/support/programs/cls.js'], { env, encoding: 'utf8' });
    const of = (what: string, values: object) => ({ what, store: values, values });
    expect(JSON.parse(output)).toEqual([
      of('of a', { tenantId: 'a', isAdmin: false }),
      of('of a', { tenantId: 'a', isAdmin: false }),
      of('of nobody', {}),
      of('of b', { tenantId: 'b' }),
    ]);
  });
});
