/** The module in a Nest application: its forms, the checks at start, and the order of start and shutdown. */
import { Inject, Injectable, Module } from '@nestjs/common';
import { CommandHandler, CqrsModule } from '@nestjs/cqrs';
import { AuthenticationError } from '../../../src/core/model/store-errors.js';
import { AtomicQueuesModule } from '../../../src/nest/atomic-queues.module.js';
import { QueueBus } from '../../../src/nest/bus/queue-bus.js';
import { JobHandler } from '../../../src/nest/decorators/job-handler.decorator.js';
import { QueueEntity, QueueEntityId } from '../../../src/nest/decorators/queue-entity.decorator.js';
import { WorkerProcessor } from '../../../src/nest/decorators/worker-processor.decorator.js';
import { CronManagerService } from '../../../src/nest/operator/cron-manager.service.js';
import { SHUTDOWN_HOOKS_CHECK_MS, type StoreFactory } from '../../../src/nest/runtime.js';
import { systemClock } from '../../../src/nest/system.js';
import { application, compile, memoryStore, redis } from '../../support/nest-application.js';
import { eventually, gate } from '../../support/wait.js';

const note = { entityType: 'account', entityId: 1, name: 'note' };

describe('the module', () => {
  @Injectable()
  class Options {
    createAtomicQueuesOptions() {
      return { redis, entities: { account: { queueName: (id: string) => `accounts-${id}` } } };
    }
  }
  @Module({ providers: [Options], exports: [Options] })
  class OptionsModule {}

  test.each([
    [
      'useFactory',
      {
        imports: [OptionsModule],
        inject: [Options],
        useFactory: (options: Options) => options.createAtomicQueuesOptions(),
      },
    ],
    ['useClass', { useClass: Options }],
    ['useExisting', { imports: [OptionsModule], useExisting: Options }],
  ])('can be imported as forRootAsync with %s', async (_, form) => {
    let queueName: string | undefined;
    const createStore: StoreFactory = (options, config) => {
      queueName = config.entityType('account').queueName?.('1');
      return memoryStore(options, config);
    };
    const app = await compile({ imports: [AtomicQueuesModule.forRootAsync(form)] }, createStore);
    await app.init();
    await app.close();
    expect(queueName).toBe('accounts-1');
  });

  test('is global, unless isGlobal is false', async () => {
    @Injectable()
    class Service {
      constructor(@Inject(QueueBus) readonly bus: QueueBus) {}
    }
    @Module({ providers: [Service] })
    class Feature {}
    const app = await compile({ imports: [AtomicQueuesModule.forRoot({ redis }), Feature] });
    expect(app.get(Service, { strict: false }).bus).toBe(app.get(QueueBus));
    await expect(
      compile({ imports: [AtomicQueuesModule.forRoot({ redis, isGlobal: false }), Feature] }),
    ).rejects.toThrow(/QueueBus/);
  });

  test.each([undefined, null])('refuses forRoot() and forRootAsync() with %s, and says what to import', nothing => {
    const error = expect.objectContaining({
      code: 'INVALID_OPTION',
      message: expect.stringMatching(/^AtomicQueuesModule got no options\. Import AtomicQueuesModule\.forRoot\(/),
    });
    expect(() => AtomicQueuesModule.forRoot(nothing as never)).toThrow(error);
    expect(() => AtomicQueuesModule.forRootAsync(nothing as never)).toThrow(error);
  });

  test('has the name of the library in the modules that Nest names at start', () => {
    const below = (module: object): { name: string }[] =>
      (Reflect.getMetadata('imports', module) ?? []).flatMap((one: { name: string }) => [one, ...below(one)]);
    expect(below(AtomicQueuesModule).map(({ name }) => name)).toEqual([
      'AtomicQueuesFirstHooks',
      'AtomicQueuesLastHooks',
    ]);
  });

  test('imports the subclass in forRoot() of a subclass', () => {
    class OfTests extends AtomicQueuesModule {}
    expect(OfTests.forRoot({ redis }).module).toBe(OfTests);
    expect(OfTests.forRootAsync({ useFactory: () => ({ redis }) }).module).toBe(OfTests);
  });

  test('refuses an option that the factory misspells', async () => {
    const useFactory = () => ({ redis, entitys: {} }) as never;
    await expect(compile({ imports: [AtomicQueuesModule.forRootAsync({ useFactory })] })).rejects.toMatchObject({
      code: 'INVALID_OPTION',
    });
  });
});

describe('the lookup of handlers at start', () => {
  @WorkerProcessor({ entityType: 'account' })
  @Injectable()
  class Accounts {
    @JobHandler('note')
    note() {}
  }

  const refused = async (providers: Parameters<typeof application>[0], options = {}) => {
    const app = await application(providers, options);
    return app.init().then(
      () => undefined,
      error => error,
    );
  };

  test('refuses two processors with one job name, in two modules', async () => {
    @WorkerProcessor({ entityType: 'account' })
    class Others {
      @JobHandler('note')
      note() {}
    }
    @Module({ providers: [Others] })
    class OthersModule {}
    expect(await refused([Accounts], { imports: [OthersModule] })).toMatchObject({
      code: 'HANDLER_CONFLICT',
      message: expect.stringMatching(/Others\.note/),
    });
  });

  test('refuses a handler outside of a processor, also on a controller', async () => {
    class Stray {
      @JobHandler('x')
      x() {}
    }
    @Module({ controllers: [Stray] })
    class Controllers {}
    const expected = { code: 'INVALID_COMMAND', message: expect.stringMatching(/Stray.*@WorkerProcessor/) };
    expect(await refused([Stray])).toMatchObject(expected);
    expect(await refused([], { imports: [Controllers] })).toMatchObject(expected);
  });

  test('finds a processor made by a factory, and one under two tokens, once', async () => {
    const seen: unknown[] = [];
    @WorkerProcessor({ entityType: 'account' })
    class Made {
      @JobHandler('note')
      note(_: unknown, entityId: string) {
        seen.push(entityId);
      }
    }
    const providers = [
      { provide: Made, useFactory: async () => new Made() },
      { provide: 'alias', useExisting: Made },
      { provide: 'nothing', useValue: undefined },
    ];
    const app = await application(providers);
    await app.init();
    await app.get(QueueBus).enqueueJob(note);
    await eventually('it runs', () => seen.length === 1);
    expect(seen).toEqual(['1']);
    await app.close();
  });

  test('prefers options of a processor to those of its type, one by one', async () => {
    @WorkerProcessor({
      entityType: 'account',
      idleTimeoutSeconds: 5,
      workerConfig: { prefetch: 7 },
      workerName: undefined,
    })
    class Tuned {}
    const workerName = () => 'x';
    const entities = {
      account: { idleTimeoutSeconds: 9, workerConfig: { lockDuration: 60_000, prefetch: 1 }, workerName },
    };
    let found: unknown;
    const app = await application([Tuned], { entities }, (options, config) => {
      found = config.entityType('account');
      return memoryStore(options, config);
    });
    await app.init();
    await app.close();
    expect(found).toMatchObject({ idleTimeoutMs: 5000, prefetch: 7, lockDurationMs: 60_000, workerName });
  });
});

describe('the start', () => {
  test('holds enqueues from before the application has started until then', async () => {
    const outcomes: string[] = [];
    @Injectable()
    class Eager {
      constructor(@Inject(QueueBus) private readonly bus: QueueBus) {
        this.enqueue('constructor');
      }
      onModuleInit() {
        this.enqueue('onModuleInit');
      }
      async onApplicationBootstrap() {
        await this.bus.enqueueJob(note);
        outcomes.push('awaited');
      }
      private enqueue(where: string) {
        this.bus.enqueueJob(note).then(
          () => outcomes.push(where),
          error => outcomes.push(error.message),
        );
      }
    }
    let isStarted = false;
    // The store on Redis refuses calls before its start().
    const app = await application([Eager], {}, (options, config) => {
      const store = memoryStore(options, config);
      const { start, add } = store;
      store.start = async () => {
        await new Promise(resolve => setImmediate(resolve));
        isStarted = true;
        return start.call(store);
      };
      store.add = (...call) => (isStarted ? add.apply(store, call) : Promise.reject(new Error('not started')));
      return store;
    });
    await app.init();
    await eventually('all are answered', () => outcomes.length === 3);
    expect(outcomes.sort()).toEqual(['awaited', 'constructor', 'onModuleInit']);
    await app.close();
  });

  test.each([true, false])('runs no handler before every module has started (isGlobal: %s)', async isGlobal => {
    const log: string[] = [];
    const enqueued = gate();
    @WorkerProcessor({ entityType: 'account' })
    @Injectable()
    class Accounts {
      @JobHandler('note')
      note() {
        log.push('handler');
      }
    }
    @Injectable()
    class Producer {
      constructor(@Inject(QueueBus) private readonly bus: QueueBus) {}
      async onApplicationBootstrap() {
        await this.bus.enqueueJob(note);
        enqueued.open();
      }
    }
    @Module({ imports: [AtomicQueuesModule.forRoot({ redis, isGlobal })], providers: [Accounts, Producer] })
    class Feature {}
    @Module({ imports: [Feature] })
    class App {
      async onApplicationBootstrap() {
        await enqueued.promise;
        await new Promise(resolve => setImmediate(resolve));
        log.push('application started');
      }
    }
    const app = await compile({ imports: [App] });
    await app.init();
    await eventually('the job has run', () => log.includes('handler'));
    expect(log).toEqual(['application started', 'handler']);
    await app.close();
  });

  test('rejects an enqueue that a factory awaits, in time, instead of hanging forever', async () => {
    const outcome = gate<unknown>();
    const factory = {
      provide: 'factory',
      inject: [QueueBus],
      useFactory: (bus: QueueBus) => bus.enqueueJob(note).then(outcome.open, outcome.open),
    };
    const app = await application([factory], { commandTimeoutMs: 50 });
    expect(await outcome.promise).toMatchObject({
      code: 'STORE_UNAVAILABLE',
      message: expect.stringMatching(/not started within 50 ms.*onModuleInit/),
    });
    await app.close();
  });

  test('I10: fails for an invalid type that no option names, before its first job', async () => {
    @QueueEntity('account')
    class Withdraw {
      @QueueEntityId() readonly accountId!: string;
    }
    @CommandHandler(Withdraw)
    class WithdrawHandler {
      async execute() {}
    }
    const imports = [CqrsModule, AtomicQueuesModule.forRoot({ redis, defaultJobOptions: { priority: 3 } })];
    const app = await compile({ imports, providers: [WithdrawHandler] });
    await expect(app.init()).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringContaining('priority'),
    });
  });

  test('fails with refused credentials, leaves no connection, and waiting enqueues learn the cause', async () => {
    let closed = 0;
    const app = await application([], {}, (options, config) => {
      const store = memoryStore(options, config);
      store.start = () => Promise.reject(new AuthenticationError('wrong password'));
      store.close = async () => void closed++;
      return store;
    });
    const enqueued = app.get(QueueBus).enqueueJob(note);
    enqueued.catch(() => {});
    await expect(app.init()).rejects.toMatchObject({ code: 'AUTHENTICATION_FAILED' });
    await expect(enqueued).rejects.toMatchObject({ code: 'AUTHENTICATION_FAILED' });
    expect(closed).toBe(1);
  });

  test('leaves no connection if credentials are refused after Redis came up late', async () => {
    const late = gate();
    const closed = gate();
    const app = await application([], { commandTimeoutMs: 20 }, (options, config) => {
      const store = memoryStore(options, config);
      store.start = () => late.promise;
      store.close = async () => closed.open();
      return store;
    });
    await app.init();
    late.fail(new AuthenticationError('wrong password'));
    await closed.promise;
    await app.close();
  });
});

describe('the shutdown', () => {
  test.each([true, false])(
    'ends handlers before it closes anything that they need, and they may enqueue until then (isGlobal: %s)',
    async isGlobal => {
      const log: string[] = [];
      const running = gate();
      const mayEnd = gate();
      @Injectable()
      class Database {
        onModuleDestroy() {
          log.push('database closed');
        }
      }
      @Module({ providers: [Database], exports: [Database] })
      class DatabaseModule {}
      @Injectable()
      class Cache {
        onModuleDestroy() {
          log.push('cache closed');
        }
      }
      @WorkerProcessor({ entityType: 'account' })
      @Injectable()
      class Accounts {
        constructor(
          @Inject(QueueBus) private readonly bus: QueueBus,
          @Inject(Database) readonly database: Database,
          @Inject(Cache) readonly cache: Cache,
        ) {}
        @JobHandler('note')
        async note() {
          running.open();
          await mayEnd.promise;
          await this.bus.enqueueJob({ ...note, name: 'later' });
          log.push('handler ended');
        }
      }
      @Module({
        imports: [AtomicQueuesModule.forRoot({ redis, isGlobal }), DatabaseModule],
        providers: [Accounts, Cache],
      })
      class App {}
      const app = await compile({ imports: [App] });
      await app.init();
      const bus = app.get(QueueBus);
      await bus.enqueueJob(note);
      await running.promise;
      const closing = app.close();
      await new Promise(resolve => setImmediate(resolve));
      mayEnd.open();
      await closing;
      expect(log[0]).toBe('handler ended');
      expect(log.slice(1).sort()).toEqual(['cache closed', 'database closed']);
      await expect(bus.enqueueJob(note)).rejects.toMatchObject({ code: 'CLOSED' });
    },
  );

  test.each([
    ['logs a warning a while after the start if nothing listens to SIGTERM', false, false, 1],
    ['logs no warning if shutdown hooks are enabled', true, false, 0],
    ['logs no warning on a pod that only enqueues, because it has nothing to hand over', false, true, 0],
  ])('%s', async (_, isOn, producerOnly, lines) => {
    @WorkerProcessor({ entityType: 'account' })
    class Accounts {
      @JobHandler('*')
      handle() {}
    }
    let check: (() => void) | undefined;
    const { after } = systemClock;
    systemClock.after = (ms, callback) => {
      if (ms !== SHUTDOWN_HOOKS_CHECK_MS || check) return after(ms, callback);
      check = callback;
      return { cancel() {} };
    };
    const log: string[] = [];
    const app = await application([Accounts], { commandTimeoutMs: 1000, producerOnly });
    app.useLogger({ log() {}, error() {}, warn: message => log.push(String(message)) });
    if (isOn) app.enableShutdownHooks();
    await app.init();
    systemClock.after = after;
    check?.();
    expect(log.filter(line => line.includes('app.enableShutdownHooks()'))).toHaveLength(lines);
    await app.close();
  });

  test('the cron manager reconciles on request', async () => {
    const ended = gate();
    let atOnce = 0;
    @WorkerProcessor({ entityType: 'account', maxWorkersPerEntity: 2 })
    class Accounts {
      @JobHandler('*')
      async handle() {
        atOnce++;
        await ended.promise;
      }
    }
    const app = await application([Accounts], { enableCronManager: true });
    await app.init();
    await app.get(QueueBus).enqueueJob(note);
    await app.get(QueueBus).enqueueJob(note);
    expect(atOnce).toBe(1);
    await app.get(CronManagerService).reconcile();
    await eventually('both run', () => atOnce === 2);
    ended.open();
    await app.close();
  });

  test('an application that never started closes, and rejects pending calls with the reason', async () => {
    const app = await application([]);
    const enqueued = app.get(QueueBus).enqueueJob(note);
    enqueued.catch(() => {});
    await app.close();
    await expect(enqueued).rejects.toMatchObject({ code: 'CLOSED' });
  });
});

describe('a test of the application', () => {
  @WorkerProcessor({ entityType: 'account' })
  @Injectable()
  class Accounts {
    @JobHandler('note')
    note(): string {
      return 'the method';
    }
  }

  test('can replace a method after the start', async () => {
    const app = await application([Accounts]);
    await app.init();
    const call = () => app.get(QueueBus).enqueueJobAndWait(note, { timeoutMs: 5000 });
    expect(await call()).toBe('the method');
    const accounts = app.get(Accounts);
    accounts.note = () => 'the spy';
    expect(await call()).toBe('the spy');
    await app.close();
  });

  test('can have a provider that throws when its class is read, which is skipped', async () => {
    let isStrict = false;
    const strict = new Proxy({}, { get: (_, name) => (isStrict && name === 'constructor' ? fail() : undefined) });
    const app = await application([Accounts, { provide: 'STRICT', useValue: strict }]);
    // Nest itself has read it by now.
    isStrict = true;
    await app.init();
    expect(await app.get(QueueBus).enqueueJobAndWait(note, { timeoutMs: 5000 })).toBe('the method');
    await app.close();
  });

  function fail(): never {
    throw new Error('This provider is not to be looked at.');
  }
});
