/** Dead letters in an application, on real Redis: what happens to jobs that have used up their attempts, and how they return. */
import { Injectable } from '@nestjs/common';
import { AtomicQueuesEvents, EntityQueues, JobHandler, WorkerProcessor } from '../../src/index.js';
import { type RedisApp, RedisApps } from '../support/redis-apps.js';
import { eventually } from '../support/wait.js';

const started: string[] = [];
let failing: (n: number) => boolean = () => false;

@WorkerProcessor({ entityType: 'account', onExhausted: 'deadLetter' })
@Injectable()
class Accounts {
  @JobHandler('*')
  run({ data }: { data: { n: number } }, entityId: string) {
    started.push(`${entityId}:${data.n}`);
    if (failing(data.n)) throw new Error(`no account for ${data.n}`);
  }
}

describe('dead letters', () => {
  const apps = new RedisApps({ providers: [Accounts] });
  let app: RedisApp;

  beforeEach(async () => {
    app = await apps.start();
  });
  afterEach(async () => {
    failing = () => false;
    started.length = 0;
    await apps.clear();
  });
  afterAll(() => apps.quit());

  const letters = () => app.get(EntityQueues).deadLetters('account');
  const drained = (id: string) => app.drained('account', id);
  const add = (entityId: string, ...ns: number[]) =>
    Promise.all(
      ns.map(n => app.bus.enqueueJob({ entityType: 'account', entityId, name: 'x', data: { n } }, { attempts: 2 })),
    );

  test('a job that has used up its attempts makes way for the next one, and keeps its history', async () => {
    const told: string[] = [];
    const watch = app.get(AtomicQueuesEvents).stream.subscribe(({ type }) => told.push(type));
    failing = n => n === 0;
    await add('1', 0, 1);
    await drained('1');
    watch.unsubscribe();
    expect(started).toEqual(['1:0', '1:0', '1:1']);
    const [letter, ...others] = await letters().list();
    expect(others).toEqual([]);
    expect(letter).toMatchObject({
      entityId: '1',
      name: 'x',
      data: { n: 0 },
      attemptsMade: 2,
      failedReason: 'no account for 0',
    });
    expect(letter?.stacks).toEqual([
      expect.stringContaining('Error: no account'),
      expect.stringContaining('Error: no account'),
    ]);
    expect(told.filter(type => type.startsWith('job.'))).toEqual([
      'job.started',
      'job.retried',
      'job.started',
      'job.dead',
      'job.started',
      'job.completed',
    ]);
    expect(await app.queue('account', '1').status()).toMatchObject({ failed: 0 });
  });

  test('replayed jobs run in their order, behind later jobs, with all their attempts', async () => {
    failing = n => n < 3;
    await add('1', 0, 1);
    await add('2', 2);
    await drained('1');
    await drained('2');
    started.length = 0;
    failing = n => n === 1;
    await add('1', 5);
    expect(await letters().replayAll()).toBe(3);
    await drained('1');
    await drained('2');
    expect(started.filter(start => start.startsWith('1'))).toEqual(['1:5', '1:0', '1:1', '1:1']);
    expect(started).toContain('2:2');
    expect((await letters().list()).map(({ data }) => data)).toEqual([{ n: 1 }]);
  });

  test('a letter is replayed or removed by its id; a tool of BullMQ sees a failed job', async () => {
    failing = () => true;
    await add('1', 0, 1);
    await drained('1');
    failing = () => false;
    const [one, two] = await letters().list();
    const queue = await letters().getQueue();
    const failed = await queue.getFailed();
    expect(failed.map(({ data, failedReason }) => ({ data, failedReason }))).toEqual([
      { data: { n: 1 }, failedReason: 'no account for 1' },
      { data: { n: 0 }, failedReason: 'no account for 0' },
    ]);
    await queue.close();
    expect(await letters().replay(two?.letterId ?? '')).toBeDefined();
    expect(await letters().replay(two?.letterId ?? '')).toBeUndefined();
    expect(await letters().remove(one?.letterId ?? '')).toBe(true);
    expect(await letters().list()).toEqual([]);
    await drained('1');
    expect(started.slice(-1)).toEqual(['1:1']);
    await expect(letters().list({ limit: 0 })).rejects.toMatchObject({ code: 'INVALID_OPTION' });
  });

  test('a whole type is paused and resumed, with entities that come later', async () => {
    const type = app.get(EntityQueues).ofType('account');
    await add('1', 0);
    await drained('1');
    await type.pause();
    await add('1', 1);
    await add('2', 2);
    expect(await app.queue('account', '2').status()).toMatchObject({ waiting: 1, isPaused: true });
    await type.resume();
    await drained('1');
    await drained('2');
    expect(started.sort()).toEqual(['1:0', '1:1', '2:2']);
    await eventually('nobody is paused', async () => !(await app.queue('account', '2').status()).isPaused);
  });
});
