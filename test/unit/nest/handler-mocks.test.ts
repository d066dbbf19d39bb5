/** Handlers in tests of applications: spies on their methods, and providers that replace them. */
import { jest } from '@jest/globals';
import {
  type CanActivate,
  type ExecutionContext,
  Injectable,
  type LoggerService,
  Scope,
  SetMetadata,
  UseGuards,
} from '@nestjs/common';
import { CommandHandler, CqrsModule, QueryHandler } from '@nestjs/cqrs';
import { Test, type TestingModule } from '@nestjs/testing';
import { AtomicQueuesModule } from '../../../src/nest/atomic-queues.module.js';
import { QueueBus } from '../../../src/nest/bus/queue-bus.js';
import { BatchHandler, JobHandler } from '../../../src/nest/decorators/job-handler.decorator.js';
import { QueueEntity, QueueEntityId } from '../../../src/nest/decorators/queue-entity.decorator.js';
import { WorkerProcessor } from '../../../src/nest/decorators/worker-processor.decorator.js';
import { Runtime, STORE_FACTORY } from '../../../src/nest/runtime.js';
import { memoryStore, redis } from '../../support/nest-application.js';

class Ledger {}

@WorkerProcessor({ entityType: 'plain' })
@Injectable()
class Plain {
  constructor(readonly ledger: Ledger) {}
  @JobHandler('one')
  one() {
    return 'real';
  }
  @JobHandler('other')
  other() {
    return 'real';
  }
  @BatchHandler('several', { max: 2 })
  several(jobs: readonly unknown[]) {
    return jobs.map(() => 'real');
  }
}
Reflect.defineMetadata('design:paramtypes', [Ledger], Plain);

const seen: { role: unknown; ofMethod: string; ofClass: unknown }[] = [];

@Injectable()
class Guard implements CanActivate {
  canActivate(context: ExecutionContext) {
    const handler = context.getHandler();
    seen.push({ role: Reflect.getMetadata('role', handler), ofMethod: handler.name, ofClass: context.getClass() });
    return true;
  }
}

@WorkerProcessor({ entityType: 'guarded', enhancers: true })
@UseGuards(Guard)
@Injectable()
class Guarded {
  @JobHandler('one')
  @SetMetadata('role', 'clerk')
  one() {
    return 'real';
  }
}

@QueueEntity('account')
class Withdraw {
  constructor(
    @QueueEntityId() readonly accountId: string,
    readonly amount: number,
  ) {}
}
@CommandHandler(Withdraw)
class WithdrawHandler {
  async execute(_: Withdraw): Promise<unknown> {
    return 'real';
  }
}

@QueueEntity('account')
class Balance {
  constructor(@QueueEntityId() readonly accountId: string) {}
}
@QueryHandler(Balance)
class BalanceHandler {
  async execute(_: Balance): Promise<unknown> {
    return 'real';
  }
}

type Builder = ReturnType<typeof Test.createTestingModule>;

const lines: string[] = [];
const logger: LoggerService = { log() {}, warn: line => lines.push(line), error: line => lines.push(line) };
let app: TestingModule;
let bus: QueueBus;

/** Starts an application in which some providers are overridden. */
async function start(override: (builder: Builder) => Builder = builder => builder): Promise<void> {
  const builder = Test.createTestingModule({
    imports: [AtomicQueuesModule.forRoot({ redis, replyTimeoutMs: 10_000 }), CqrsModule],
    providers: [Ledger, Plain, Guarded, WithdrawHandler, BalanceHandler],
  });
  app = await override(builder.overrideProvider(STORE_FACTORY).useValue(memoryStore)).setLogger(logger).compile();
  await app.init();
  bus = app.get(QueueBus);
}

const run = (entityType: string, name: string) => bus.enqueueJobAndWait({ entityType, entityId: '1', name });

beforeEach(() => {
  lines.length = 0;
  seen.length = 0;
});

afterEach(async () => {
  jest.restoreAllMocks();
  await app.close();
});

describe('a spy that is set after the start', () => {
  beforeEach(() => start());

  test('on a method of a processor is called', async () => {
    jest.spyOn(app.get(Plain), 'one').mockReturnValue('spied');
    expect(await run('plain', 'one')).toBe('spied');
    jest.restoreAllMocks();
    expect(await run('plain', 'one')).toBe('real');
  });

  test('on a batch handler is called', async () => {
    jest.spyOn(app.get(Plain), 'several').mockReturnValue(['spied']);
    expect(await run('plain', 'several')).toBe('spied');
  });

  test('on a method behind enhancers is called, and its guards see the metadata of the method', async () => {
    jest.spyOn(app.get(Guarded), 'one').mockReturnValue('spied');
    expect(await run('guarded', 'one')).toBe('spied');
    jest.restoreAllMocks();
    expect(await run('guarded', 'one')).toBe('real');
    expect(seen).toEqual([
      { role: 'clerk', ofMethod: 'one', ofClass: Guarded },
      { role: 'clerk', ofMethod: 'one', ofClass: Guarded },
    ]);
  });

  test('on a command handler, or a query handler, is called', async () => {
    jest.spyOn(app.get(WithdrawHandler), 'execute').mockResolvedValue('spied');
    jest.spyOn(app.get(BalanceHandler), 'execute').mockResolvedValue('spied');
    expect(await bus.enqueueAndWait(new Withdraw('1', 5))).toBe('spied');
    expect(await bus.enqueueAndWait(new Balance('1'))).toBe('spied');
  });
});

describe('a provider that replaces a handler', () => {
  class Fake {
    one() {
      return `fake ${this.constructor.name}`;
    }
  }
  @Injectable({ scope: Scope.REQUEST })
  class ScopedFake extends Fake {}

  test.each<[string, (builder: Builder) => Builder, string]>([
    ['useValue', builder => builder.overrideProvider(Plain).useValue({ one: () => 'mock' }), 'mock'],
    ['useValue with a proxy', builder => builder.overrideProvider(Plain).useValue(automock('mock')), 'mock'],
    [
      'useFactory',
      builder => builder.overrideProvider(Plain).useFactory({ factory: () => ({ one: () => 'made' }) }),
      'made',
    ],
    ['useClass', builder => builder.overrideProvider(Plain).useClass(Fake), 'fake Fake'],
    ['useClass with a scope', builder => builder.overrideProvider(Plain).useClass(ScopedFake), 'fake ScopedFake'],
  ])('of a processor, by %s, runs its jobs', async (_, override, result) => {
    await start(override);
    expect(await run('plain', 'one')).toBe(result);
  });

  test('of a processor is looked up at each call', async () => {
    const mock = { one: jest.fn(() => 'first') };
    await start(builder => builder.overrideProvider(Plain).useValue(mock));
    expect(await run('plain', 'one')).toBe('first');
    mock.one.mockReturnValue('second');
    expect(await run('plain', 'one')).toBe('second');
    mock.one = jest.fn(() => 'third');
    expect(await run('plain', 'one')).toBe('third');
  });

  test('of a processor has the guards of the class that it replaces', async () => {
    await start(builder => builder.overrideProvider(Guarded).useValue({ one: () => 'mock' }));
    expect(await run('guarded', 'one')).toBe('mock');
    expect(seen).toEqual([{ role: 'clerk', ofMethod: 'one', ofClass: Guarded }]);
  });

  test('of a processor and lacks methods is reported at start, and runs the other jobs', async () => {
    await start(builder => builder.overrideProvider(Plain).useValue({ one: () => 'mock' }));
    expect(lines).toEqual([expect.stringMatching(/stand-in for Plain lacks other, several, so .* jobs of "plain"/)]);
    expect(await run('plain', 'one')).toBe('mock');
  });

  test.each([[{}], [null], [5]])('of a processor and has no methods (%p) leaves the type to other pods', async mock => {
    await start(builder => builder.overrideProvider(Plain).useValue(mock));
    expect(lines).toEqual([expect.stringMatching(/stand-in for Plain lacks one, other, several/)]);
    const { handlers } = await app.get(Runtime).started;
    expect(handlers.hostedTypes()).toEqual(['guarded', 'account']);
  });

  test('of a command handler, or a query handler, is executed with the command', async () => {
    const withdraw = { execute: jest.fn(async () => 'mock') };
    await start(builder =>
      builder
        .overrideProvider(WithdrawHandler)
        .useValue(withdraw)
        .overrideProvider(BalanceHandler)
        .useClass(FakeBalance),
    );
    expect(await bus.enqueueAndWait(new Withdraw('1', 5))).toBe('mock');
    expect(withdraw.execute).toHaveBeenCalledWith(expect.any(Withdraw));
    expect(await bus.enqueueAndWait(new Balance('1'))).toBe('fake Balance');
  });

  test('of a command handler and has no execute is reported at start', async () => {
    await start(builder => builder.overrideProvider(WithdrawHandler).useValue({}));
    expect(lines).toContainEqual(
      expect.stringMatching(/stand-in for WithdrawHandler has no method execute, so .* "Withdraw"/),
    );
  });

  class FakeBalance {
    async execute(query: object) {
      return `fake ${query.constructor.name}`;
    }
  }

  /** Has every method, like the mocks of some libraries. */
  function automock(result: unknown): object {
    return new Proxy({}, { get: (_, name) => (name === 'then' ? undefined : () => result) });
  }
});
