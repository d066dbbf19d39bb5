/** Schedules in an application on real Redis: recurring commands, from any pod, through a deploy. */
import { Injectable } from '@nestjs/common';
import {
  InvalidOptionError,
  JobHandler,
  QueueEntity,
  QueueEntityId,
  UnsupportedError,
  WorkerProcessor,
} from '../../src/index.js';
import { RedisApps } from '../support/redis-apps.js';
import { eventually } from '../support/wait.js';

const runs: { readonly name: string; readonly rate: number; readonly at: number }[] = [];
let isRunning = false;
let overlaps = 0;

@QueueEntity('account')
class AddInterest {
  constructor(
    @QueueEntityId() readonly accountId: string,
    readonly rate: number,
  ) {}
}

@WorkerProcessor({ entityType: 'account', idleTimeoutSeconds: 0.3 })
@Injectable()
class Accounts {
  @JobHandler('*')
  async run({ name, data }: { name: string; data: { rate: number } }) {
    if (isRunning) overlaps++;
    isRunning = true;
    runs.push({ name, rate: data.rate, at: Date.now() });
    await new Promise(resolve => setTimeout(resolve, 5));
    isRunning = false;
  }
}

describe('schedules', () => {
  const apps = new RedisApps({ providers: [Accounts] }, { discoveryIntervalMs: 100 });
  const { redis, prefix } = apps;

  const start = async () => {
    const app = await apps.start();
    return { app, bus: app.bus, account: app.queue('account', '42') };
  };
  afterEach(async () => {
    await apps.clear();
    runs.length = 0;
  });
  afterAll(() => apps.quit());

  test('a command with an interval runs through a deploy, until it is unscheduled; then nothing is left', async () => {
    const first = await start();
    const scheduled = await first.bus.schedule(new AddInterest('42', 3), { id: 'interest', every: 40 });
    expect(scheduled).toMatchObject({ scheduleId: 'interest', entityType: 'account', entityId: '42' });
    await eventually('three runs', () => runs.length >= 3);
    const second = await start();
    await first.app.close();
    const before = runs.length;
    await eventually('three more, elsewhere', () => runs.length >= before + 3);
    expect(await second.account.schedules()).toMatchObject([
      { id: 'interest', every: 40, jobName: 'AddInterest', data: { accountId: '42', rate: 3 } },
    ]);
    expect(await second.account.unschedule('interest')).toBe(true);
    await second.account.drain({ timeoutMs: 5000 });
    expect(runs.every(({ name, rate }) => name === 'AddInterest' && rate === 3)).toBe(true);
    expect(overlaps).toBe(0);
    await eventually('no key is left of the queue', async () => (await apps.queueKeys()).length === 0);
  });

  test('a job with a pattern runs in its seconds, and keeps no worker in between', async () => {
    const { bus, account } = await start();
    await bus.scheduleJob(
      { entityType: 'account', entityId: '42', name: 'tick', data: { rate: 1 } },
      { id: 'ticks', pattern: '*/2 * * * * *', tz: 'Europe/Vienna' },
    );
    const worker = async () => (await redis.hget(`${prefix}:account:42:queue:$:worker`, 'owner')) !== null;
    await eventually('the first run', () => runs.length > 0);
    // An idle worker is released on a beat, once a second. If the first run was late, the second may come before that.
    await eventually('no worker in between', async () => !(await worker()), undefined, 10);
    const before = runs.length;
    await eventually('one more run', () => runs.length > before);
    // A pod that has no worker when it is due inspects once a second.
    for (const { at } of runs) expect(at % 2000).toBeLessThan(1500);
    await account.unschedule('ticks');
  });

  test('scheduling again, as each pod does when it starts, changes the schedule and makes no second one', async () => {
    const [one, two] = [await start(), await start()];
    for (const [n, { bus }] of [one, two, one].entries())
      await bus.forEntity('account').schedule(new AddInterest('42', n), { id: 'interest', pattern: '0 0 1 1 *' });
    expect(await two.account.schedules()).toMatchObject([{ data: { rate: 2 } }]);
    expect(await two.account.status()).toMatchObject({ delayed: 1 });
  });

  test.each([
    [{ id: 'a:b', every: 1 }, InvalidOptionError],
    [{ id: '', every: 1 }, InvalidOptionError],
    [{ id: 's' }, InvalidOptionError],
    [{ id: 's', every: 1, pattern: '* * * * *' }, InvalidOptionError],
    [{ id: 's', every: 0.5 }, InvalidOptionError],
    [{ id: 's', every: 1e21 }, InvalidOptionError],
    [{ id: 's', every: 5, tz: 'Europe/Vienna' }, InvalidOptionError],
    [{ id: 's', pattern: 'soon' }, InvalidOptionError],
    [{ id: 's', pattern: '* * * * *', tz: 'Nowhere' }, InvalidOptionError],
    [{ id: 's', pattern: '* * * * *', limit: 3 }, InvalidOptionError],
    [undefined, InvalidOptionError],
  ])('%j is refused', async (schedule, error) => {
    const { bus, account } = await start();
    await expect(bus.schedule(new AddInterest('42', 1), schedule as never)).rejects.toThrow(error);
    expect(await account.schedules()).toEqual([]);
  });

  test('options of one job alone are refused', async () => {
    const { bus } = await start();
    for (const options of [{ jobId: 'x' }, { delay: 5 }, { idempotencyKey: 'k' }]) {
      const scheduled = bus.schedule(new AddInterest('42', 1), { id: 's', every: 1000 }, options);
      await expect(scheduled).rejects.toThrow(UnsupportedError);
    }
  });

  test('a schedule that a tool has made with an end ends, and leaves nothing', async () => {
    const { account } = await start();
    const queue = await account.getQueue();
    await queue.upsertJobScheduler('tool', { every: 30, limit: 3 }, { name: 'tick', data: { rate: 9 } });
    await eventually('it is over', async () => (await account.schedules()).length === 0 && runs.length >= 3);
    await account.drain({ timeoutMs: 5000 });
    expect(runs.map(({ rate }) => rate)).toEqual([9, 9, 9]);
    await queue.close();
  });
});
