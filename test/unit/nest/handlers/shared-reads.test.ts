/** Shared reads as an application declares them: which jobs they include, and which declarations are refused. */
import { CommandHandler, CqrsModule, QueryHandler } from '@nestjs/cqrs';
import { QueueBus } from '../../../../src/nest/bus/queue-bus.js';
import { BatchHandler, JobHandler } from '../../../../src/nest/decorators/job-handler.decorator.js';
import { QueueEntity, QueueEntityId } from '../../../../src/nest/decorators/queue-entity.decorator.js';
import { WorkerProcessor } from '../../../../src/nest/decorators/worker-processor.decorator.js';
import { Runtime } from '../../../../src/nest/runtime.js';
import { application } from '../../../support/nest-application.js';
import { eventually, type Gate, gate } from '../../../support/wait.js';

@QueueEntity('account', { shared: true })
class Balance {
  constructor(@QueueEntityId() readonly accountId: string) {}
}
@QueueEntity('account')
class Withdraw {
  constructor(@QueueEntityId() readonly accountId: string) {}
}

/** Handlers that run, by name, and the gate that lets all of them end. */
const running: string[] = [];
let held: Gate;

async function run(name: string) {
  running.push(name);
  await held.promise;
  running.splice(running.indexOf(name), 1);
}

@QueryHandler(Balance)
class BalanceHandler {
  execute() {
    return run('balance');
  }
}
@CommandHandler(Withdraw)
class WithdrawHandler {
  execute() {
    return run('withdraw');
  }
}
@WorkerProcessor({ entityType: 'account' })
class Accounts {
  @JobHandler('history', { shared: true })
  history() {
    return run('history');
  }
  @JobHandler('audit')
  audit() {
    return run('audit');
  }
}

const conflict = (message: RegExp) =>
  expect.objectContaining({ code: 'HANDLER_CONFLICT', message: expect.stringMatching(message) });
const invalid = (message: RegExp) =>
  expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringMatching(message) });
const CQRS = { imports: [CqrsModule] };

describe('shared reads', () => {
  beforeEach(() => {
    held = gate();
    running.length = 0;
  });

  test('run alongside each other for queries of a class and jobs of a name, and all others run alone', async () => {
    const app = await application([Accounts, BalanceHandler, WithdrawHandler], CQRS);
    await app.init();
    const bus = app.get(QueueBus);
    await bus.enqueueBulk([new Balance('1'), new Balance('1')]);
    await bus.enqueueJob({ entityType: 'account', entityId: '1', name: 'history' });
    await eventually('three run', () => running.length === 3);
    await bus.enqueue(new Withdraw('1'));
    await bus.enqueueJob({ entityType: 'account', entityId: '1', name: 'audit' });
    await bus.enqueue(new Balance('1'));
    expect(running.toSorted()).toEqual(['balance', 'balance', 'history']);
    const first = held;
    held = gate();
    first.open();
    await eventually('the write runs', () => running.includes('withdraw'));
    expect(running).toEqual(['withdraw']);
    held.open();
    await app.close();
    expect(running).toEqual([]);
  });

  test('do not include a class for another entity type', async () => {
    @WorkerProcessor({ entityType: 'order' })
    class Orders {
      @JobHandler('*') any() {}
    }
    const app = await application([Orders, BalanceHandler], CQRS);
    await app.init();
    const { handlers, config } = await app.get(Runtime).started;
    expect([handlers.isShared('account', 'Balance'), handlers.isShared('order', 'Balance')]).toEqual([true, false]);
    expect([config.entityType('account').maxReads, config.entityType('order').maxReads]).toEqual([16, 1]);
    await app.close();
  });

  test('include a subclass only by its own decorator', async () => {
    class Same extends Balance {}
    @QueueEntity('account')
    class Other extends Balance {}
    @QueryHandler(Same)
    class SameHandler extends BalanceHandler {}
    @QueryHandler(Other)
    class OtherHandler extends BalanceHandler {}
    const app = await application([SameHandler, OtherHandler], CQRS);
    await app.init();
    const { handlers } = await app.get(Runtime).started;
    expect([handlers.isShared('account', 'Same'), handlers.isShared('account', 'Other')]).toEqual([true, false]);
    await app.close();
  });

  test.each([
    ['a shared that is not a boolean', { shared: 'yes' }, /QueueEntity of Some: shared must be a boolean/],
    ['a typo', { share: true }, /QueueEntity of Some\.share; known here: name, schema, shared/],
  ])('with %s are refused at import', (_, options, message) => {
    class Some {}
    expect(() => QueueEntity('account', options as never)(Some)).toThrow(invalid(message));
  });

  test.each([
    ['a shared that is not a boolean', 'x', { shared: 1 }, /Some\.read: shared must be a boolean/],
    ['a typo', 'x', { share: true }, /Some\.read\.share; known here: schema, shared/],
    ["'*'", '*', { shared: true }, /Some\.read: '\*' can't be shared, since jobs of any name may write/],
  ])('with %s on a method are refused at import', (_, name, options, message) => {
    class Some {
      read() {}
    }
    expect(() => JobHandler(name, options as never)(Some.prototype, 'read', {})).toThrow(invalid(message));
  });

  test('on a batch handler are refused at import', () => {
    class Some {
      read() {}
    }
    const options = { max: 2, shared: true } as never;
    expect(() => BatchHandler('x', options)(Some.prototype, 'read', {})).toThrow(invalid(/shared; known here: max/));
  });

  test.each([{ maxWorkersPerEntity: 2 }, { workerConfig: { concurrency: 3 } }])(
    'of a type with several handlers at once are refused at start, because they would run alongside writes (%j)',
    async account => {
      const app = await application([Accounts], { entities: { account } });
      await expect(app.init()).rejects.toEqual(invalid(/entities\.account: it has shared reads.*concurrency/));
    },
  );

  describe('with another handler for the jobs of a class, and another declaration,', () => {
    @WorkerProcessor({ entityType: 'account' })
    class Plain {
      @JobHandler('Balance') balance() {}
    }
    @WorkerProcessor({ entityType: 'account' })
    class Batch {
      @BatchHandler('Balance', { max: 2 }) balance() {}
    }
    @WorkerProcessor({ entityType: 'account' })
    class Wildcard {
      @JobHandler('*') any() {}
    }
    @WorkerProcessor({ entityType: 'account' })
    class Agreeing {
      @JobHandler('Balance', { shared: true }) balance() {}
    }

    test.each([Plain, Batch])('are refused at start in addition to a handler of CQRS (%p)', async processor => {
      const app = await application([processor, BalanceHandler], CQRS);
      await expect(app.init()).rejects.toEqual(conflict(/QueueEntity of Balance.*"Balance" of "account".*\.balance/));
    });

    test.each([Plain, Batch, Wildcard])(
      'are refused with the first enqueue without a handler of CQRS (%p)',
      async processor => {
        const app = await application([processor]);
        await app.init();
        await expect(app.get(QueueBus).enqueue(new Balance('1'))).rejects.toEqual(conflict(/QueueEntity of Balance/));
        await app.close();
      },
    );

    test('are accepted if both declarations agree', async () => {
      const app = await application([Agreeing, BalanceHandler], CQRS);
      await app.init();
      await app.get(QueueBus).enqueue(new Balance('1'));
      await app.close();
    });

    test('are accepted on a pod that only enqueues', async () => {
      const app = await application([]);
      await app.init();
      await app.get(QueueBus).enqueue(new Balance('1'));
      await app.close();
    });
  });
});
