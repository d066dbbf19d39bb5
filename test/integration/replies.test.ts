/** Waiting for results in applications on real Redis: many calls over several pods, and what breaks on the way. */
import { Inject, Injectable } from '@nestjs/common';
import { CommandHandler, CqrsModule, type ICommandHandler, QueryHandler } from '@nestjs/cqrs';
import { HandlerError, JobHandler, QueueBus, QueueEntity, QueueEntityId, WorkerProcessor } from '../../src/index.js';
import { Command, Query } from '../support/cqrs.js';
import { dropKeys, keysUnder } from '../support/redis.js';
import { RedisApps } from '../support/redis-apps.js';
import { RedisProxy } from '../support/redis-proxy.js';
import { eventually, type Gate, gate } from '../support/wait.js';

@QueueEntity('account')
class Add extends Command<{ sum: number }> {
  constructor(
    @QueueEntityId() readonly accountId: string,
    readonly n: number,
  ) {
    super();
  }
}

@QueueEntity('account')
class Sum extends Query<number> {
  constructor(@QueueEntityId() readonly accountId: string) {
    super();
  }
}

/** One for all pods of this process, in place of a database. */
const sums = new Map<string, number>();
const held = new Map<string, Gate>();
const ran: string[] = [];

@CommandHandler(Add)
class AddHandler implements ICommandHandler<Add> {
  async execute({ accountId, n }: Add) {
    if (n < 0) throw Object.assign(new RangeError('less than nothing'), { code: 'E_NEGATIVE' });
    const sum = (sums.get(accountId) ?? 0) + n;
    // If two ran at once, one of them would be lost.
    await new Promise(resolve => setImmediate(resolve));
    sums.set(accountId, sum);
    return { sum };
  }
}

@QueryHandler(Sum)
class SumHandler {
  async execute({ accountId }: Sum) {
    return sums.get(accountId) ?? 0;
  }
}

@WorkerProcessor({ entityType: 'account', idleTimeoutSeconds: 60 })
@Injectable()
class Accounts {
  constructor(@Inject(QueueBus) private readonly bus: QueueBus) {}

  @JobHandler('hold')
  async hold(_job: unknown, id: string) {
    ran.push(id);
    await held.get(id)?.promise;
    return `held ${id}`;
  }

  @JobHandler('path')
  async path({ data: [next, ...rest] }: { data: string[] }): Promise<unknown> {
    if (next === undefined) return 'end';
    return this.bus.enqueueJobAndWait({ entityType: 'account', entityId: next, name: 'path', data: rest });
  }
}

describe('waiting for results', () => {
  const apps = new RedisApps(
    { imports: [CqrsModule.forRoot()], providers: [AddHandler, SumHandler, Accounts] },
    { replyTimeoutMs: 20_000 },
  );
  const { redis, prefix } = apps;

  afterEach(async () => {
    for (const { open } of held.values()) open();
    await apps.clear();
    held.clear();
    sums.clear();
    ran.length = 0;
  });
  afterAll(() => apps.quit());

  /** Connections of the library, by pod. */
  const connections = async () => {
    const names = [...String(await redis.client('LIST')).matchAll(/name=atomic-queues:([^:\s]+):(\S+)/g)];
    const byPod = new Map<string, string[]>();
    for (const [, pod = '', role = ''] of names) byPod.set(pod, [...(byPod.get(pod) ?? []), role]);
    return byPod;
  };
  const mailboxes = async () => (await keysUnder(redis, prefix)).filter(key => key.endsWith(':answers'));
  const hold = (entityId: string) => ({ entityType: 'account', entityId, name: 'hold' });

  test('the caller gets the handler’s result for a command, a query, a named job, and within a scope', async () => {
    const { bus } = await apps.start();
    const { sum } = await bus.enqueueAndWait(new Add('1', 5));
    expect(sum).toBe(5);
    expect(await bus.forEntity('account').enqueueAndWait(new Sum('1'))).toBe(5);
    expect(await bus.enqueueJobAndWait<string>(hold('2'))).toBe('held 2');
    expect(await bus.forEntity('account').enqueueJobAndWait({ entityId: '3', name: 'hold' })).toBe('held 3');
  });

  test('the error of a CQRS handler arrives with its name and code', async () => {
    const { bus } = await apps.start();
    const call = bus.enqueueAndWait(new Add('1', -1));
    await expect(call).rejects.toBeInstanceOf(HandlerError);
    await expect(call).rejects.toMatchObject({ originalName: 'RangeError', originalCode: 'E_NEGATIVE' });
  });

  test('1,000 calls at once, over 100 entities and 3 pods: all settle, with at most 4 connections a pod', async () => {
    const pods = await Promise.all([apps.start(), apps.start(), apps.start()]);
    const calls = Array.from({ length: 1000 }, (_, k) =>
      pods[k % 3]?.bus.enqueueAndWait(new Add(`e${k % 100}`, k % 7 === 0 ? -1 : 1)),
    );
    const outcomes = await Promise.allSettled(calls);
    const four = ['commands', 'heartbeat', 'replies', 'wake-ups'];
    const roles = async () => [...(await connections()).values()].map(pod => pod.toSorted());
    // The heartbeats have a thread, which takes its time to start.
    await eventually('all have connected', async () => (await roles()).every(({ length }) => length >= 4));
    expect(await roles()).toEqual([four, four, four]);
    const failed = outcomes.filter(({ status }) => status === 'rejected');
    expect(failed).toHaveLength(143);
    for (const outcome of failed) expect(outcome).toMatchObject({ reason: { originalName: 'RangeError' } });
    // Every call of an entity has another sum, in the order of the calls.
    for (let e = 0; e < 100; e++) {
      const got = outcomes
        .filter((_, k) => k % 100 === e)
        .flatMap(o => (o.status === 'fulfilled' ? [o.value?.sum] : []));
      expect(got.toSorted((x, y) => Number(x) - Number(y))).toEqual(got.map((_, i) => i + 1));
    }
    // The next read, which follows at once, removes what was read.
    const lengths = async () => Promise.all((await mailboxes()).map(box => redis.xlen(box)));
    await eventually('mailboxes are empty', async () => (await lengths()).every(length => length === 0));
  });

  test('a pod that waits for nothing has three connections, and no mailbox', async () => {
    const { bus } = await apps.start();
    await bus.enqueue(new Add('1', 5));
    await eventually('it has run', () => sums.get('1') === 5);
    const counts = async () => [...(await connections()).values()].map(({ length }) => length);
    await eventually('its thread has connected', async () => (await counts())[0] === 3);
    expect(await mailboxes()).toEqual([]);
  });

  test('a mailbox that is not read expires', async () => {
    const { bus } = await apps.start();
    await bus.enqueueAndWait(new Add('1', 5));
    const [box = ''] = await mailboxes();
    expect(await redis.pttl(box)).toBeGreaterThan(0);
  });

  test('handlers may wait for others on several pods; a circle is refused at once, by name', async () => {
    const [{ bus }] = await Promise.all([apps.start(), apps.start()]);
    const path = (...ids: string[]) =>
      bus.enqueueJobAndWait({ entityType: 'account', entityId: ids[0] ?? '', name: 'path', data: ids.slice(1) });
    expect(await path('a', 'b', 'c', 'd')).toBe('end');
    const circle = path('a', 'b', 'c', 'a');
    await expect(circle).rejects.toMatchObject({
      code: 'HANDLER_FAILED',
      message: expect.stringMatching(/account:a → account:b → account:c → account:a/),
    });
  });

  test('a signal with cancelJob removes a job that has not started', async () => {
    const app = await apps.start();
    const { bus } = app;
    held.set('1', gate());
    const first = bus.enqueueJobAndWait(hold('1'));
    await eventually('it runs', () => ran.length === 1);
    const giveUp = new AbortController();
    const second = bus.enqueueJobAndWait(hold('1'), { signal: giveUp.signal, cancelJob: true });
    await eventually('it waits', async () => (await app.queue('account', '1').status()).waiting === 1);
    giveUp.abort();
    await expect(second).rejects.toMatchObject({ code: 'WAIT_ABORTED', isJobRemoved: true });
    held.get('1')?.open();
    expect(await first).toBe('held 1');
    expect(ran).toHaveLength(1);
  });

  test('the caller of a dropped job learns it long before its timeout', async () => {
    const app = await apps.start();
    const { bus } = app;
    held.set('1', gate());
    const first = bus.enqueueJobAndWait(hold('1'));
    await eventually('it runs', () => ran.length === 1);
    const second = bus.enqueueJobAndWait(hold('1'));
    const queue = app.queue('account', '1');
    await eventually('it waits', async () => (await queue.status()).waiting === 1);
    await queue.drop();
    await expect(second).rejects.toMatchObject({ code: 'JOB_REMOVED', entityId: '1' });
    held.get('1')?.open();
    await first;
  });

  test('a caller learns that its job is gone when Redis has lost all data', async () => {
    const { bus } = await apps.start({ producerOnly: true });
    const call = bus.enqueueJobAndWait(hold('1'));
    await eventually('it is there', async () => (await keysUnder(redis, prefix)).some(key => key.endsWith(':wait')));
    await dropKeys(redis, prefix);
    await expect(call).rejects.toMatchObject({ code: 'JOB_REMOVED' });
  });

  test('a caller whose reply was lost gets the result of the kept job', async () => {
    const proxy = new RedisProxy();
    const { bus } = await apps.start({ redis: { url: await proxy.start() } });
    await bus.enqueueAndWait(new Add('warm', 1));
    // The connection for replies hangs, and the mailbox is deleted.
    proxy.freeze('replies');
    held.set('1', gate());
    const call = bus.enqueueJobAndWait<string>(hold('1'), { removeOnComplete: false });
    await eventually('it runs', () => ran.length === 1);
    held.get('1')?.open();
    await eventually('it is told', async () => (await redis.xlen((await mailboxes())[0] ?? '')) > 0);
    await redis.del(...(await mailboxes()));
    expect(await call).toBe('held 1');
    await apps.closeAll();
    await proxy.close();
  });

  test('a caller whose connection for replies hangs gets its result all the same', async () => {
    const proxy = new RedisProxy();
    const { bus } = await apps.start({ redis: { url: await proxy.start() } });
    await bus.enqueueAndWait(new Add('1', 1));
    proxy.freeze('replies');
    expect(await bus.enqueueAndWait(new Add('1', 1))).toEqual({ sum: 2 });
    await apps.closeAll();
    await proxy.close();
  });

  test('a caller whose connections all break while it waits gets its reply', async () => {
    const proxy = new RedisProxy();
    const { bus } = await apps.start({ redis: { url: await proxy.start() }, producerOnly: true });
    await apps.start();
    held.set('1', gate());
    const call = bus.enqueueJobAndWait(hold('1'));
    await eventually('it runs', () => ran.length === 1);
    proxy.reset();
    held.get('1')?.open();
    expect(await call).toBe('held 1');
    await apps.closeAll();
    await proxy.close();
  });

  test('a call whose enqueue lost its response is settled by the reply to the job', async () => {
    const proxy = new RedisProxy();
    const { bus } = await apps.start({ redis: { url: await proxy.start() }, producerOnly: true });
    const worker = await apps.start();
    await bus.enqueueAndWait(new Add('1', 1));
    proxy.cutNextAnswer();
    expect(await bus.enqueueAndWait(new Add('1', 1))).toEqual({ sum: 2 });
    expect(await worker.bus.enqueueAndWait(new Sum('1'))).toBe(2);
    await apps.closeAll();
    await proxy.close();
  });

  test('two enqueues under one key have one job and one reply; the second caller learns which job it is', async () => {
    const { bus } = await apps.start();
    held.set('1', gate());
    const first = bus.enqueueJobAndWait(hold('1'), { idempotencyKey: 'k' });
    const second = bus.enqueueJobAndWait(hold('1'), { idempotencyKey: 'k' });
    await eventually('it runs', () => ran.length === 1);
    held.get('1')?.open();
    expect(await first).toBe('held 1');
    await expect(second).rejects.toMatchObject({ code: 'ANSWER_GIVEN' });
    await expect(bus.enqueueJobAndWait(hold('1'), { idempotencyKey: 'k' })).rejects.toMatchObject({
      code: 'ANSWER_GIVEN',
    });
    expect(ran).toHaveLength(1);
  });
});
