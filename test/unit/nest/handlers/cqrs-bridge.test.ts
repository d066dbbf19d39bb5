/** The bridge to CQRS: which classes it registers, how it rebuilds a command, and how the command reaches the buses. */
import { Injectable } from '@nestjs/common';
import { CommandHandler, CqrsModule, QueryHandler } from '@nestjs/cqrs';
import { HandlerTable } from '../../../../src/core/handlers/handler-table.js';
import { QueueBus } from '../../../../src/nest/bus/queue-bus.js';
import { JobCommand, JobQuery } from '../../../../src/nest/decorators/job-command.decorator.js';
import { QueueEntity, QueueEntityId } from '../../../../src/nest/decorators/queue-entity.decorator.js';
import { HANDLER_METADATA, registerCqrsHandlers } from '../../../../src/nest/handlers/cqrs-bridge.js';
import { rebuild } from '../../../../src/nest/handlers/rebuild-command.js';
import { Validators } from '../../../../src/nest/handlers/validators.js';
import { entity, jobContext } from '../../../support/job-context.js';
import { RecordingLog } from '../../../support/log.js';
import { application } from '../../../support/nest-application.js';
import { eventually } from '../../../support/wait.js';

@QueueEntity('account', { name: 'account.withdraw' })
class Withdraw {
  @QueueEntityId() readonly accountId: string = '';
  constructor(readonly amount: number) {}
}

@QueueEntity('order')
class FindOrder {
  constructor(@QueueEntityId() readonly orderId: string) {}
}

@JobCommand('sweep')
class Sweep {}

@JobQuery()
class Count {}

class Unrouted {}

@CommandHandler(Withdraw)
class WithdrawHandler {
  async execute() {}
}
@QueryHandler(FindOrder)
class FindOrderHandler {
  async execute() {}
}
@CommandHandler(Sweep)
class SweepHandler {
  async execute() {}
}
@QueryHandler(Count)
class CountHandler {
  async execute() {}
}
@CommandHandler(Unrouted)
class UnroutedHandler {
  async execute() {}
}

const job = (name: string, data: unknown) => ({
  id: '1',
  name,
  data,
  attempt: 1,
  attemptsMade: 0,
  options: {},
  envelope: {},
  native: () => undefined,
});

const register = async (classes: (new () => object)[], bus: object = {}, declaredTypes: string[] = []) => {
  const handlers = new HandlerTable();
  const providers = classes.map(target => ({ target, instance: new target(), isStatic: true }));
  const moduleRef = { get: () => bus } as never;
  await registerCqrsHandlers({
    providers,
    handlers,
    moduleRef,
    declaredTypes,
    validators: new Validators(),
    log: new RecordingLog(),
  });
  return handlers;
};

describe('the registration of CQRS handlers', () => {
  test('finds the metadata of cqrs at the expected keys', () => {
    expect(Reflect.getMetadata(HANDLER_METADATA.command, WithdrawHandler)).toBe(Withdraw);
    expect(Reflect.getMetadata(HANDLER_METADATA.query, FindOrderHandler)).toBe(FindOrder);
  });

  test('covers routed commands and queries, under their declared names, and hosts their types', async () => {
    const handlers = await register([WithdrawHandler, FindOrderHandler, UnroutedHandler]);
    expect(handlers.commandClass('account.withdraw')).toBe(Withdraw);
    expect(handlers.commandClass('FindOrder')).toBe(FindOrder);
    expect(handlers.commandClass('Withdraw')).toBeUndefined();
    expect(handlers.commandClass('Unrouted')).toBeUndefined();
    expect(handlers.hostedTypes()).toEqual(['account', 'order']);
  });

  test('covers commands without a type of their own, for the types that the options name', async () => {
    const handlers = await register([SweepHandler, CountHandler], {}, ['account', 'order']);
    expect(handlers.commandClass('sweep')).toBe(Sweep);
    expect(handlers.commandClass('Count')).toBe(Count);
    expect(handlers.hostedTypes()).toEqual(['account', 'order']);
  });

  test('refuses two classes of one name, but not one handler that two modules provide', async () => {
    @QueueEntity('order', { name: 'account.withdraw' })
    class Other {}
    @CommandHandler(Other)
    class OtherHandler {
      async execute() {}
    }
    await expect(register([WithdrawHandler, OtherHandler])).rejects.toMatchObject({
      code: 'HANDLER_CONFLICT',
      message: expect.stringMatching(/WithdrawHandler.*OtherHandler/),
    });
    const handlers = await register([WithdrawHandler, WithdrawHandler]);
    expect(handlers.commandClass('account.withdraw')).toBe(Withdraw);
  });

  test('names the remedy if CqrsModule is missing', async () => {
    const app = await application([WithdrawHandler]);
    await expect(app.init()).rejects.toMatchObject({
      code: 'INVALID_COMMAND',
      message: expect.stringMatching(/WithdrawHandler.*CommandBus.*Import CqrsModule/),
    });
  });
});

describe('a rebuilt command', () => {
  test('with nested data keeps names that are forbidden only on the instance', () => {
    const data = JSON.parse('{"nested":{"__proto__":{"polluted":1}},"amount":1}');
    const instance = rebuild(Withdraw, { data }) as Withdraw & { nested: object };
    expect(Object.keys(instance.nested)).toEqual(['__proto__']);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  test('does not run a setter of the class', () => {
    class WithSetter {
      set amount(_: number) {
        throw new Error('run');
      }
    }
    expect(rebuild(WithSetter, { data: { amount: 3 } })).toEqual(expect.objectContaining({ amount: 3 }));
  });

  test.each([['text'], [5], [null], [[1, 2]]])('is not made from the data %j', data => {
    expect(() => rebuild(Withdraw, { data })).toThrow(
      expect.objectContaining({ code: 'INVALID_COMMAND', message: expect.stringMatching(/Withdraw/) }),
    );
  });
});

describe('the execution of a command', () => {
  const run = async (execute: (command: object) => Promise<unknown>) => {
    const handlers = await register([WithdrawHandler], { execute });
    return handlers.find(entity, 'account.withdraw').runner(job('account.withdraw', { amount: 5 }), jobContext());
  };

  test('passes a real instance to the bus, whose result is the result of the job', async () => {
    const seen: object[] = [];
    const answer = await run(async command => {
      seen.push(command);
      return 'done';
    });
    expect(answer).toBe('done');
    expect(seen[0]).toBeInstanceOf(Withdraw);
    expect(seen[0]).toEqual(expect.objectContaining({ amount: 5 }));
  });

  test('works in an application for commands and queries, also those enqueued during the start', async () => {
    const seen: unknown[] = [];
    @CommandHandler(Withdraw)
    class Handler {
      async execute(command: Withdraw) {
        seen.push(command);
      }
    }
    @QueryHandler(FindOrder)
    class Finder {
      async execute(query: FindOrder) {
        seen.push(query);
      }
    }
    @Injectable()
    class Eager {
      constructor(private readonly bus: QueueBus) {}
      async onApplicationBootstrap() {
        await this.bus.enqueue(Object.assign(new Withdraw(5), { accountId: '1' }));
      }
    }
    const app = await application([Handler, Finder, Eager], { imports: [CqrsModule] });
    await app.init();
    await app.get(QueueBus).enqueue(new FindOrder('2'));
    await eventually('both have run', () => seen.length === 2);
    expect(seen[0]).toBeInstanceOf(Withdraw);
    expect(seen[1]).toBeInstanceOf(FindOrder);
    await app.close();
  });
});
