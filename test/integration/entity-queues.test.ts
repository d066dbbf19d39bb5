/** `EntityQueues` in an application, on real Redis: a pause, and a job that blocks its entity. */
import { Injectable } from '@nestjs/common';
import { UnrecoverableError } from 'bullmq';
import { JobHandler, WorkerProcessor } from '../../src/index.js';
import { type RedisApp, RedisApps } from '../support/redis-apps.js';
import { eventually, type Gate, gate } from '../support/wait.js';

const started: number[] = [];
let failing: ((n: number) => unknown) | undefined;
let held: Gate | undefined;

@WorkerProcessor({ entityType: 'account', onExhausted: 'block' })
@Injectable()
class Accounts {
  @JobHandler('*')
  async run({ data }: { data: { n: number } }) {
    started.push(data.n);
    const error = failing?.(data.n);
    if (error) throw error;
    await held?.promise;
  }
}

describe('EntityQueues', () => {
  const apps = new RedisApps({ providers: [Accounts] });
  let worker: RedisApp;
  let operator: RedisApp;

  beforeEach(async () => {
    worker = await apps.start();
    operator = await apps.start({ producerOnly: true }, { providers: [] });
  });
  afterEach(async () => {
    failing = undefined;
    held?.open();
    held = undefined;
    started.length = 0;
    await apps.clear();
  });
  afterAll(() => apps.quit());

  const account = () => operator.queue('account', 1);
  const add = (...ns: number[]) =>
    Promise.all(
      ns.map(n =>
        worker.bus.enqueueJob(
          { entityType: 'account', entityId: 1, name: 'x', data: { n } },
          { attempts: 2, backoff: 1 },
        ),
      ),
    );

  test('a pause by another pod: the running job ends, and no other job starts', async () => {
    held = gate();
    await add(0, 1, 2, 3);
    await eventually('the first runs', () => started.length === 1);
    await account().pause();
    held.open();
    held = undefined;
    await eventually('nothing is fetched any more', async () => (await account().status()).active === 0);
    expect(await account().status()).toMatchObject({ waiting: 3, active: 0, delayed: 0, failed: 0, isPaused: true });
    await add(4);
    await account().resume();
    await eventually('all have run', () => started.length === 5);
    expect(started).toEqual([0, 1, 2, 3, 4]);
  });

  test('a job that has used up its attempts blocks its entity until an operator decides', async () => {
    failing = n => n === 0 && new Error('no such account');
    await add(0, 1);
    await eventually('it blocks', async () => (await account().status()).blockedBy !== undefined);
    expect((await account().status()).blockedBy).toEqual({ jobId: '1', reason: 'no such account' });
    expect(started).toEqual([0, 0]);
    failing = undefined;
    expect(await account().retryBlocked()).toBe(true);
    await eventually('all have run', () => started.length === 4);
    expect(started).toEqual([0, 0, 0, 1]);
    expect(await account().retryBlocked()).toBe(false);
  });

  test('a job with an unrecoverable error blocks its entity at once; skipped or dropped it makes way', async () => {
    failing = n => n < 2 && new UnrecoverableError('never');
    await add(0, 1, 2);
    await eventually('the first blocks', async () => (await account().status()).blockedBy?.jobId === '1');
    await account().skipBlocked();
    await eventually('the second blocks', async () => (await account().status()).blockedBy?.jobId === '2');
    await account().dropBlocked();
    await eventually('the third runs', () => started.includes(2));
    expect(started).toEqual([0, 1, 2]);
    await eventually('one has failed', async () => (await account().status()).failed === 1);
  });

  test('drop() removes waiting jobs; the running job ends, and later jobs run', async () => {
    held = gate();
    await add(0, 1, 2, 3);
    await eventually('the first runs', () => started.length === 1);
    await account().drop();
    await add(4);
    held.open();
    held = undefined;
    await account().drain({ timeoutMs: 5000 });
    expect(started).toEqual([0, 4]);
  });

  test('drain() resolves when nothing is left, and reports what is left when it takes too long', async () => {
    held = gate();
    await add(0, 1);
    await eventually('the first runs', () => started.length === 1);
    await expect(account().drain({ timeoutMs: 50 })).rejects.toMatchObject({
      code: 'DRAIN_TIMEOUT',
      message: expect.stringMatching(/account:1 is not drained after 50 ms: 1 jobs wait, 1 run/),
    });
    const drained = account().drain();
    held.open();
    held = undefined;
    await drained;
    expect(started).toEqual([0, 1]);
    await expect(account().drain({ timeoutMs: -1 })).rejects.toMatchObject({ code: 'INVALID_OPTION' });
  });

  test('list() and getQueue() show the waiting jobs', async () => {
    await account().pause();
    await add(0, 1, 2);
    const listed = await account().list('waiting', { from: 1, limit: 1 });
    expect(listed).toMatchObject([{ jobId: '2', name: 'x', data: { n: 1 }, attemptsMade: 0 }]);
    const queue = await account().getQueue();
    expect((await queue.getJobs(['wait'])).map(({ id }) => id).sort()).toEqual(['1', '2', '3']);
    expect(await queue.isPaused()).toBe(true);
    await queue.close();
    for (const [state, options] of [['nowhere'], ['waiting', { from: -1 }], ['failed', { limit: 0 }]] as const) {
      await expect(account().list(state as 'failed', options)).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    }
    await account().resume();
    await account().drain();
  });

  test('an invalid entity is refused', () => {
    expect(() => operator.queue('account', '')).toThrow(expect.objectContaining({ code: 'INVALID_ENTITY' }));
  });
});
