/** The queue bus: which queue a command goes to, which data it carries, and which calls are refused. */
import { Injectable } from '@nestjs/common';
import type { TestingModule } from '@nestjs/testing';
import type { NewJob } from '../../../../src/core/model/job.js';
import type { EntityStore } from '../../../../src/core/ports/store.js';
import { QueueBus } from '../../../../src/nest/bus/queue-bus.js';
import { JobHandler } from '../../../../src/nest/decorators/job-handler.decorator.js';
import { QueueEntity, QueueEntityId } from '../../../../src/nest/decorators/queue-entity.decorator.js';
import { WorkerProcessor } from '../../../../src/nest/decorators/worker-processor.decorator.js';
import { application, memoryStore } from '../../../support/nest-application.js';

@QueueEntity('account')
class Withdraw {
  constructor(
    readonly amount: number,
    @QueueEntityId() readonly accountId: string | number,
  ) {}
}

@QueueEntity('account', { name: 'account.close' })
class Close {
  readonly accountId = 'by-type';
  readonly key = 'by-processor';
}

class Plain {
  readonly accountId = 7;
  readonly key = 'by-processor';
}

@WorkerProcessor({ entityType: 'account', defaultEntityId: 'key' })
@Injectable()
class Accounts {
  @JobHandler('*')
  any() {}
}

describe('the queue bus', () => {
  let sent: NewJob[];
  let app: TestingModule | undefined;
  const entities = { account: { defaultEntityId: 'accountId' } };

  const start = async (providers: Parameters<typeof application>[0] = [], options = {}) => {
    sent = [];
    app = await application(providers, options, (moduleOptions, config): EntityStore => {
      const store = memoryStore(moduleOptions, config);
      const { add } = store;
      store.add = (job, hint) => {
        sent.push(job);
        return add.call(store, job, hint);
      };
      return store;
    });
    await app.init();
    return app.get(QueueBus);
  };
  afterEach(async () => {
    await app?.close();
    app = undefined;
  });

  test('ignores a delay whose end has passed, and refuses an invalid one', async () => {
    const bus = await start();
    await bus.enqueue(new Withdraw(5, 'a'), { delay: -3 });
    expect(sent[0]?.options).toMatchObject({ delay: 0 });
    for (const delay of [Number.NaN, Number.NEGATIVE_INFINITY]) {
      await expect(bus.enqueue(new Withdraw(5, 'a'), { delay })).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    }
    expect(sent).toHaveLength(1);
  });

  test('sends a command to its entity under its name, with its own properties', async () => {
    const bus = await start();
    const receipt = await bus.enqueue(new Withdraw(5, 42), { jobId: 'once' });
    expect(receipt).toEqual({ jobId: 'once', entityType: 'account', entityId: '42', queueName: expect.any(String) });
    expect(sent).toEqual([
      expect.objectContaining({
        entity: { type: 'account', id: '42' },
        name: 'Withdraw',
        data: '{"amount":5,"accountId":42}',
        options: expect.objectContaining({ jobId: 'once' }),
      }),
    ]);
  });

  test('finds the id by the decorator, then by the processor, then by the entity type', async () => {
    let bus = await start([Accounts], { entities });
    await bus.enqueue(new Withdraw(1, 'decorated'));
    await bus.enqueue(new Close());
    expect(sent.map(({ entity }) => entity.id)).toEqual(['decorated', 'by-processor']);
    await app?.close();
    bus = await start([], { entities });
    await bus.enqueue(new Close());
    await bus.forProcessor(Accounts).enqueue(new Close());
    expect(sent.map(({ entity }) => entity.id)).toEqual(['by-type', 'by-processor']);
    await app?.close();
    bus = await start();
    await expect(bus.enqueue(new Close())).rejects.toMatchObject({
      code: 'INVALID_COMMAND',
      message: expect.stringMatching(/Close.*@QueueEntityId.*defaultEntityId/),
    });
  });

  test('needs no decorator on a class within a scope, which has the type', async () => {
    const bus = await start([], { entities });
    const scoped = bus.forEntity('account');
    await scoped.enqueue(new Plain());
    await scoped.enqueueBulk([new Plain(), new Withdraw(1, 8)]);
    await scoped.enqueueJob({ entityId: 9n, name: 'audit', data: [1] });
    expect(sent.map(({ entity, name }) => `${entity.type}/${entity.id}/${name}`)).toEqual([
      'account/7/Plain',
      'account/7/Plain',
      'account/8/Withdraw',
      'account/9/audit',
    ]);
  });

  test('keeps the order of a bulk, and sends it only if all its commands are valid', async () => {
    const bus = await start();
    await bus.enqueueBulk([new Withdraw(1, 'a'), new Withdraw(2, 'b'), new Withdraw(3, 'a')]);
    expect(sent.map(({ data }) => JSON.parse(data).amount)).toEqual([1, 2, 3]);
    await expect(bus.enqueueBulk([new Withdraw(4, 'a'), new Plain()])).rejects.toMatchObject({
      code: 'INVALID_COMMAND',
      message: expect.stringMatching(/Plain.*@QueueEntity/),
    });
    expect(sent).toHaveLength(3);
    await expect(bus.enqueueBulk(new Withdraw(1, 'a') as never)).rejects.toMatchObject({ code: 'INVALID_COMMAND' });
  });

  test('keeps the order of calls in one tick, of all its methods', async () => {
    const bus = await start();
    const named = (n: number) => ({ entityType: 'account', entityId: 'a', name: 'x', data: { amount: n } });
    await Promise.all([
      bus.enqueueJob(named(1)),
      bus.enqueueBulk([new Withdraw(2, 'a')]),
      bus.enqueue(new Withdraw(3, 'a')),
      bus.forEntity('account').enqueueJob(named(4)),
      bus.enqueue(new Withdraw(5, 'a')),
    ]);
    expect(sent.map(({ data }) => JSON.parse(data).amount)).toEqual([1, 2, 3, 4, 5]);
  });

  test('refuses an id of a wrong kind, and a missing id property', async () => {
    const bus = await start();
    await expect(bus.enqueue(new Withdraw(1, {} as never))).rejects.toMatchObject({ code: 'INVALID_ENTITY' });
    const missing = Object.assign(Object.create(Withdraw.prototype), { amount: 1 });
    await expect(bus.enqueue(missing)).rejects.toMatchObject({
      code: 'INVALID_ENTITY',
      message: expect.stringMatching(/Withdraw has no property "accountId".*plain property/),
    });
  });

  test('refuses malformed named jobs', async () => {
    const bus = await start();
    await expect(bus.enqueueJob(undefined as never)).rejects.toMatchObject({ code: 'INVALID_COMMAND' });
    await expect(bus.enqueueJob({ entityId: 1, name: 'x' } as never)).rejects.toMatchObject({ code: 'INVALID_ENTITY' });
    await expect(bus.forEntity('').enqueueJob({ entityId: 1, name: 'x' })).rejects.toMatchObject({
      code: 'INVALID_ENTITY',
    });
    expect(sent).toEqual([]);
  });

  test('refuses a forProcessor() argument that is not a processor', async () => {
    const bus = await start();
    for (const none of [Plain, undefined]) {
      expect(() => bus.forProcessor(none as never)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
    }
  });

  test('refuses a producer that does not know the queue names of a processor, because its jobs would never be found', async () => {
    @WorkerProcessor({ entityType: 'account', queueName: id => `account-${id}-queue` })
    class Named {}
    let bus = await start();
    const job = { entityId: 1, name: 'audit' };
    const expected = { code: 'INVALID_OPTION', message: expect.stringMatching(/Named.*entities\.account\.queueName/) };
    await expect(bus.forProcessor(Named).enqueueJob(job)).rejects.toMatchObject(expected);
    await expect(bus.forProcessor(Named).enqueue(new Withdraw(1, 1))).rejects.toMatchObject(expected);
    expect(sent).toEqual([]);
    await app?.close();
    bus = await start([], { entities: { account: { queueName: (id: string) => `account-${id}-queue` } } });
    await bus.forProcessor(Named).enqueueJob(job);
    await app?.close();
    bus = await start([Named]);
    await bus.forProcessor(Named).enqueueJob(job);
    expect(sent).toHaveLength(1);
  });
});
