/** Intake in an application on real Redis: idempotency keys, and bounded backlogs. */
import { Injectable } from '@nestjs/common';
import { BacklogFullError, JobHandler, QueueEntity, QueueEntityId, WorkerProcessor } from '../../src/index.js';
import { type RedisApp, RedisApps } from '../support/redis-apps.js';
import { type Gate, gate } from '../support/wait.js';

const started: number[] = [];
let held: Gate | undefined;

@QueueEntity('account')
class Deposit {
  constructor(
    @QueueEntityId() readonly accountId: string,
    readonly n: number,
  ) {}
}

@WorkerProcessor({ entityType: 'account', maxPending: 3 })
@Injectable()
class Accounts {
  @JobHandler('*')
  async run({ data }: { data: { n: number } }) {
    started.push(data.n);
    await held?.promise;
  }
}

describe('intake', () => {
  const apps = new RedisApps({ providers: [Accounts] });
  let app: RedisApp;

  beforeEach(async () => {
    app = await apps.start();
  });
  afterEach(async () => {
    held?.open();
    held = undefined;
    started.length = 0;
    await apps.clear();
  });
  afterAll(() => apps.quit());

  const drained = (id: string) => app.drained('account', id);

  test('an enqueue with a known key adds nothing, even when the earlier job has completed', async () => {
    const first = await app.bus.enqueue(new Deposit('1', 0), { idempotencyKey: 'request-7' });
    const again = await app.bus.enqueue(new Deposit('1', 1), { idempotencyKey: 'request-7' });
    await drained('1');
    const late = await app.bus.enqueue(new Deposit('1', 2), { idempotencyKey: 'request-7' });
    const other = await app.bus.enqueue(new Deposit('2', 3), { idempotencyKey: 'request-7' });
    await drained('2');
    await drained('1');
    expect([again.jobId, late.jobId]).toEqual([first.jobId, first.jobId]);
    expect(other.queueName).not.toBe(first.queueName);
    expect(started).toEqual([0, 3]);
  });

  test('an invalid key or lifetime is refused, and so is one key for two commands of an entity in a bulk', async () => {
    const refused = [
      { idempotencyKey: '' },
      { idempotencyTtlMs: 5 },
      { idempotencyKey: 'a', idempotencyTtlMs: 0 },
      { idempotencyKey: 'a', deduplication: { id: 'b' } },
    ];
    for (const options of refused) {
      await expect(app.bus.enqueue(new Deposit('1', 0), options)).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    }
    const two = [new Deposit('1', 0), new Deposit('1', 1)];
    await expect(app.bus.enqueueBulk(two, { idempotencyKey: 'a' })).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    expect(started).toEqual([]);
  });

  test('each command of a bulk may have its own key; sent again the bulk adds nothing', async () => {
    const deposits = [new Deposit('1', 0), new Deposit('1', 1), new Deposit('2', 2)];
    const send = () => app.bus.enqueueBulk(deposits, (deposit, index) => ({ idempotencyKey: `${deposit.n}/${index}` }));
    const first = await send();
    await drained('1');
    await drained('2');
    expect((await send()).map(({ jobId }) => jobId)).toEqual(first.map(({ jobId }) => jobId));
    expect(started.toSorted()).toEqual([0, 1, 2]);
  });

  test('an entity with as many jobs as its type allows accepts no more, and a bulk adds nothing', async () => {
    held = gate();
    await app.bus.enqueueBulk([0, 1].map(n => new Deposit('1', n)));
    const bulk = app.bus.enqueueBulk([new Deposit('2', 9), new Deposit('1', 2), new Deposit('1', 3)]);
    await expect(bulk).rejects.toBeInstanceOf(BacklogFullError);
    await expect(bulk).rejects.toMatchObject({ entityType: 'account', entityId: '1', maxPending: 3 });
    await app.bus.enqueue(new Deposit('1', 4));
    await expect(app.bus.enqueue(new Deposit('1', 5))).rejects.toMatchObject({ code: 'BACKLOG_FULL' });
    held.open();
    held = undefined;
    await drained('1');
    await app.bus.enqueueBulk([5, 6].map(n => new Deposit('1', n)));
    await drained('1');
    expect(started).toEqual([0, 1, 4, 5, 6]);
  });

  test('a bulk that is too large for one step is refused as a whole, and takes no room', async () => {
    const bulk = Array.from({ length: 2001 }, (_, n) => new Deposit(String(n), n));
    await expect(app.bus.enqueueBulk(bulk)).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    await app.bus.enqueue(new Deposit('7', 7));
    await drained('7');
    expect(started).toEqual([7]);
  });

  test('a bulk of a bounded type keeps its order, and is worked as it arrives', async () => {
    for (let n = 0; n < 30; n += 3) {
      await app.bus.enqueueBulk([n, n + 1, n + 2].map(n => new Deposit('1', n)));
      await drained('1');
    }
    expect(started).toEqual(Array.from({ length: 30 }, (_, n) => n));
  });
});
