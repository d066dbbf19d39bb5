/** The context of a caller on its way from one pod to another, on real Redis. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { Inject, Injectable, Scope } from '@nestjs/common';
import { REQUEST } from '@nestjs/core';
import type { Job } from 'bullmq';
import { type JobContext, JobHandler, WorkerProcessor } from '../../src/index.js';
import { keysUnder } from '../support/redis.js';
import { RedisApps } from '../support/redis-apps.js';
import { runProgram } from '../support/run-program.js';
import { eventually } from '../support/wait.js';

describe('the context of a caller, with two pods', () => {
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

  const context = {
    keys: ['tenantId'],
    get: () => storage.getStore(),
    run: <T>(values: object, callback: () => T) => storage.run(values, callback),
  };
  const apps = new RedisApps({ providers: [Accounts, Repository] }, { context });
  const { redis, prefix } = apps;
  afterEach(() => apps.clear());
  afterAll(() => apps.quit());

  test('with an AsyncLocalStorage: each attempt of a job has the values of its caller, and none if there were none', async () => {
    await apps.start();
    const { bus } = await apps.start({ producerOnly: true }, { providers: [] });
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
    expect(seen).toEqual([
      ['fails', 1, 'a', { tenantId: 'a' }, { tenantId: 'a' }],
      ['fails', 2, 'a', { tenantId: 'a' }, { tenantId: 'a' }],
      ['bare', 1, undefined, {}, {}],
      ['other', 1, 'b', { tenantId: 'b' }, { tenantId: 'b' }],
    ]);
    expect(passwords.length).toBeGreaterThan(0);
    expect(passwords.join()).not.toContain('secret');
  });

  test('with nestjs-cls: its store has the values that travelled, and nothing else', async () => {
    const of = (what: string, values: object) => ({ what, store: values, values });
    expect(await runProgram('cls')).toEqual([
      of('of a', { tenantId: 'a', isAdmin: false }),
      of('of a', { tenantId: 'a', isAdmin: false }),
      of('of nobody', {}),
      of('of b', { tenantId: 'b' }),
    ]);
  });
});
