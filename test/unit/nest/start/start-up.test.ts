/** The start of an application: one module, which hooks may enqueue, and when it connects. */
import { Inject, Injectable, Module, type ModuleMetadata } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { AuthenticationError } from '../../../../src/core/model/store-errors.js';
import type { EntityStore } from '../../../../src/core/ports/store.js';
import { AtomicQueuesModule } from '../../../../src/nest/atomic-queues.module.js';
import { QueueBus } from '../../../../src/nest/bus/queue-bus.js';
import { JobHandler } from '../../../../src/nest/decorators/job-handler.decorator.js';
import { WorkerProcessor } from '../../../../src/nest/decorators/worker-processor.decorator.js';
import { CronManagerService } from '../../../../src/nest/operator/cron-manager.service.js';
import { EntityQueues } from '../../../../src/nest/operator/entity-queues.js';
import { SpawnQueueService } from '../../../../src/nest/operator/spawn-queue.service.js';
import type { AtomicQueuesModuleOptions } from '../../../../src/nest/options/module-options.js';
import { STORE_FACTORY, type StoreFactory } from '../../../../src/nest/runtime.js';
import { application, compile, memoryStore, redis } from '../../../support/nest-application.js';
import { eventually, gate } from '../../../support/wait.js';

const note = { entityType: 'account', entityId: 1, name: 'note' };

@WorkerProcessor({ entityType: 'account' })
@Injectable()
class Accounts {
  @JobHandler('note')
  note(): string {
    return 'result';
  }
}

/** A store that counts its starts, each of which runs `start`. */
function storeWith(start: (onUnreachable?: (reason: string) => void) => Promise<void> = async () => {}) {
  const counts = { started: 0, closed: 0 };
  const createStore: StoreFactory = (options, config) => {
    const store: EntityStore = memoryStore(options, config);
    const { start: original, close } = store;
    store.start = async onUnreachable => {
      counts.started++;
      await start(onUnreachable);
      return original.call(store);
    };
    store.close = async () => {
      counts.closed++;
      return close.call(store);
    };
    return store;
  };
  return { counts, createStore };
}

describe('the module', () => {
  const forRoot = (options: Partial<AtomicQueuesModuleOptions> & { isGlobal?: boolean } = {}) =>
    AtomicQueuesModule.forRoot({ redis, ...options });
  @Module({ imports: [forRoot({ keyPrefix: 'other' })] })
  class Feature {}

  test.each<[string, NonNullable<ModuleMetadata['imports']>]>([
    ['forRoot twice', [forRoot(), forRoot({ keyPrefix: 'other' })]],
    ['forRoot of a feature', [forRoot(), Feature]],
    ['forRoot and forRootAsync', [forRoot(), AtomicQueuesModule.forRootAsync({ useFactory: () => ({ redis }) })]],
    [
      'two modules that are not global',
      [forRoot({ isGlobal: false }), forRoot({ isGlobal: false, keyPrefix: 'other' })],
    ],
    ['forRoot and the bare class', [forRoot(), AtomicQueuesModule]],
  ])(
    'is refused, with the remedy, when the application is created, if it is imported twice: %s',
    async (_, imports) => {
      await expect(compile({ imports })).rejects.toMatchObject({
        code: 'INVALID_OPTION',
        message: expect.stringMatching(
          /imports 2 different AtomicQueuesModule.*once, in the root module: it is global/,
        ),
      });
    },
  );

  test('may be imported as the same dynamic module in two modules', async () => {
    const ours = forRoot({ isGlobal: false });
    @Module({ imports: [ours] })
    class One {}
    @Module({ imports: [ours] })
    class Two {}
    const app = await compile({ imports: [One, Two] });
    await app.init();
    await app.close();
  });

  test('exists once in each of two applications in one process', async () => {
    const apps = [
      await compile({ imports: [forRoot()] }),
      await compile({ imports: [forRoot({ keyPrefix: 'other' })] }),
    ];
    for (const app of apps) await app.init();
    for (const app of apps) await app.close();
  });

  test('is refused as a bare class, with the call that was meant, also if nothing else is imported', async () => {
    await expect(compile({ imports: [AtomicQueuesModule] })).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringContaining('AtomicQueuesModule.forRoot({ redis: { url: … } })'),
    });
  });
});

describe('a call that a hook awaits', () => {
  /** An application with a hook in a module at the library's own distance, and the outcomes of its awaited calls. */
  async function outcomeOf(
    hook: 'onModuleInit' | 'onApplicationBootstrap',
    call: (bus: QueueBus, queues: EntityQueues) => Promise<unknown>,
    options: Partial<AtomicQueuesModuleOptions> = {},
    isGlobal = true,
  ): Promise<unknown> {
    let outcome: unknown;
    @Injectable()
    class Hooked {
      constructor(
        @Inject(QueueBus) private readonly bus: QueueBus,
        @Inject(EntityQueues) private readonly queues: EntityQueues,
      ) {}
      async [hook]() {
        outcome = await call(this.bus, this.queues).catch(error => error);
      }
    }
    const ours = AtomicQueuesModule.forRoot({ redis, ...options, isGlobal });
    @Module({ imports: [ours], providers: [Hooked] })
    class Feature {}
    // Before the library among the modules at its distance.
    const app = await compile({ imports: [{ module: Feature, global: true }, ours], providers: [Accounts] });
    await app.init();
    await app.close();
    return outcome;
  }

  test.each([
    ['onModuleInit', true],
    ['onModuleInit', false],
    ['onApplicationBootstrap', true],
    ['onApplicationBootstrap', false],
  ] as const)('an enqueue in %s is added before the application has started (isGlobal: %s)', async (hook, isGlobal) => {
    expect(await outcomeOf(hook, bus => bus.enqueueJob(note), {}, isGlobal)).toMatchObject({ entityType: 'account' });
  });

  test.each<[string, (bus: QueueBus, queues: EntityQueues) => Promise<unknown>]>([
    ['enqueueJobAndWait', bus => bus.enqueueJobAndWait(note, { timeoutMs: 20_000 })],
    ['enqueueJobAndWait of a scope', bus => bus.forEntity('account').enqueueJobAndWait(note, { timeoutMs: 20_000 })],
    [
      'drain',
      async (bus, queues) => {
        await bus.enqueueJob(note);
        await queues.of('account', 1).drain();
      },
    ],
  ])('rejects if it is %s for jobs of this pod, which runs none before the hooks have finished', async (_, call) => {
    for (const hook of ['onModuleInit', 'onApplicationBootstrap'] as const) {
      expect(await outcomeOf(hook, call)).toMatchObject({
        code: 'NOT_STARTED',
        message: expect.stringMatching(/"account" only after all onApplicationBootstrap hooks.*Nothing was enqueued/),
      });
    }
  });

  test.each<[string, object, Partial<AtomicQueuesModuleOptions>]>([
    ['of a type that other pods run', { ...note, entityType: 'order' }, {}],
    ['on a pod that runs no jobs', note, { producerOnly: true }],
  ])('waits as usual for a job %s', async (_, job, options) => {
    const call = (bus: QueueBus) => bus.enqueueJobAndWait(job as typeof note, { timeoutMs: 20 });
    expect(await outcomeOf('onApplicationBootstrap', call, options)).toMatchObject({ code: 'REPLY_TIMEOUT' });
  });

  test('resolves if it is drain() of an entity without jobs', async () => {
    expect(await outcomeOf('onModuleInit', (_, queues) => queues.of('account', 1).drain())).toBeUndefined();
  });

  /** A store that connects when `late` is opened, with the names of the jobs that it has sent. */
  async function lazyApplication() {
    const late = gate();
    const { createStore } = storeWith(() => late.promise);
    const sent: unknown[] = [];
    const app = await application([], { lazyConnect: true }, async (options, config, events) => {
      const store = await createStore(options, config, events);
      const { add } = store;
      store.add = (job, hint) => {
        sent.push(job.name);
        return add.call(store, job, hint);
      };
      return store;
    });
    await app.init();
    const bus = app.get(QueueBus);
    return { app, bus, late, sent };
  }

  test('calls that waited for the connection are sent in the order of the calls, also before later calls that need not wait', async () => {
    const { app, bus, late, sent } = await lazyApplication();
    const added: Promise<unknown>[] = [];
    const names = Array.from({ length: 40 }, (_, n) => `n${n}`);
    late.open();
    // One call in each turn of the microtasks, while the connection is made.
    for (const name of names) {
      added.push(bus.enqueueJob({ ...note, name }));
      await Promise.resolve();
    }
    await Promise.all(added);
    expect(sent).toEqual(names);
    await app.close();
  });

  test('calls of two chains of microtasks are sent in the order of the calls, even if the connection is made between them', async () => {
    const { app, bus, late, sent } = await lazyApplication();
    const called: string[] = [];
    const added: Promise<unknown>[] = [];
    late.open();
    const chain = async () => {
      for (let turn = 0; turn < 40; turn++) {
        const name = `n${called.length}`;
        called.push(name);
        added.push(bus.enqueueJob({ ...note, name }));
        await Promise.resolve();
      }
    };
    await Promise.all([chain(), chain()]);
    await Promise.all(added);
    expect(sent).toEqual(called);
    await app.close();
  });
});

test('a call that waits for the start keeps the process alive until it rejects', async () => {
  const timers = () => process.getActiveResourcesInfo().filter(kind => kind === 'Timeout').length;
  const app = await application([], { commandTimeoutMs: 1_000_000 });
  const before = timers();
  const enqueued = app.get(QueueBus).enqueueJob(note);
  enqueued.catch(() => {});
  expect(timers()).toBe(before + 1);
  await app.close();
  await expect(enqueued).rejects.toMatchObject({ code: 'CLOSED' });
  expect(timers()).toBe(before);
});

describe('an application without Redis', () => {
  test('starts when the first attempt to connect has failed, with a log line that says why', async () => {
    const { createStore } = storeWith(async onUnreachable => {
      onUnreachable?.('refused');
      await new Promise(() => {});
    });
    const lines: string[] = [];
    const app = await application([], { commandTimeoutMs: 1_000_000 }, createStore);
    app.useLogger({ log() {}, error() {}, warn: line => lines.push(String(line)) });
    await app.init();
    expect(lines).toEqual([
      "Redis can't be reached (refused). The application starts without it, and the library keeps trying.",
    ]);
    await app.close();
  });

  test('keeps waiting if it has to refuse a Redis that evicts', async () => {
    const late = gate();
    const { createStore } = storeWith(async onUnreachable => {
      onUnreachable?.('refused');
      await late.promise;
    });
    const app = await application([], { onEvictingRedis: 'refuse' }, createStore);
    const init = app.init();
    late.fail(new AuthenticationError('told before the start is through'));
    await expect(init).rejects.toMatchObject({ code: 'AUTHENTICATION_FAILED' });
  });
});

describe('lazyConnect', () => {
  test.each<[string, (app: Awaited<ReturnType<typeof application>>) => Promise<unknown>]>([
    ['an enqueue', app => app.get(QueueBus).enqueueJob(note)],
    ['a bulk', app => app.get(QueueBus).forEntity('account').enqueueBulk([])],
    ['the status of an entity', app => app.get(EntityQueues).of('account', 1).status()],
    ['a pause of a type', app => app.get(EntityQueues).ofType('account').pause()],
    ['a list of dead letters', app => app.get(EntityQueues).deadLetters('account').list()],
    ['a call for workers', app => app.get(SpawnQueueService).request('account', 1)],
    ['a reconciliation', app => app.get(CronManagerService).reconcile()],
  ])('connects nothing before the first call: %s', async (_, call) => {
    const { counts, createStore } = storeWith();
    const app = await application([Accounts], { lazyConnect: true }, createStore);
    await app.init();
    expect(counts.started).toBe(0);
    await call(app);
    await call(app);
    expect(counts.started).toBe(1);
    await app.close();
  });

  test('lets the pod work jobs from the first call on', async () => {
    const app = await application([Accounts], { lazyConnect: true });
    await app.init();
    expect(await app.get(QueueBus).enqueueJobAndWait(note, { timeoutMs: 20_000 })).toBe('result');
    await app.close();
  });

  test('connects for a call in a constructor during the start, and its job runs when all hooks have finished', async () => {
    const ran = gate();
    @WorkerProcessor({ entityType: 'account' })
    @Injectable()
    class Eager {
      readonly enqueued: Promise<unknown>;
      constructor(@Inject(QueueBus) bus: QueueBus) {
        this.enqueued = bus.enqueueJob(note);
      }
      @JobHandler('note')
      note() {
        ran.open();
      }
    }
    const app = await application([Eager], { lazyConnect: true });
    await app.init();
    await app.get(Eager).enqueued;
    await ran.promise;
    await app.close();
  });

  test('connects nothing in an application whose QueueBus is overridden, which starts and closes', async () => {
    const { counts, createStore } = storeWith();
    const bus = { enqueue: async () => 'mocked' };
    const app = await Test.createTestingModule({
      imports: [AtomicQueuesModule.forRoot({ redis, lazyConnect: true })],
      providers: [Accounts],
    })
      .overrideProvider(STORE_FACTORY)
      .useValue(createStore)
      .overrideProvider(QueueBus)
      .useValue(bus)
      .compile();
    await app.init();
    expect(app.get(QueueBus)).toBe(bus);
    await app.close();
    expect(counts.started).toBe(0);
  });

  test('does not connect for a call after the end', async () => {
    const { counts, createStore } = storeWith();
    const app = await application([Accounts], { lazyConnect: true }, createStore);
    await app.init();
    const bus = app.get(QueueBus);
    await app.close();
    await expect(bus.enqueueJob(note)).rejects.toMatchObject({ code: 'CLOSED' });
    expect(counts).toEqual({ started: 0, closed: 1 });
  });

  test('rejects a call that waits for the connection when the application closes', async () => {
    const { counts, createStore } = storeWith(() => new Promise(() => {}));
    const app = await application([Accounts], { lazyConnect: true, commandTimeoutMs: 1_000_000 }, createStore);
    await app.init();
    const enqueued = app.get(QueueBus).enqueueJob(note);
    enqueued.catch(() => {});
    await app.close();
    await expect(enqueued).rejects.toMatchObject({ code: 'CLOSED' });
    expect(counts.closed).toBe(1);
  });

  test('rejects the first call, and each later one, if the credentials are refused, and leaves no connection', async () => {
    const { counts, createStore } = storeWith(() => Promise.reject(new AuthenticationError('wrong password')));
    const app = await application([Accounts], { lazyConnect: true }, createStore);
    await app.init();
    for (let n = 0; n < 2; n++) {
      await expect(app.get(QueueBus).enqueueJob(note)).rejects.toMatchObject({ code: 'AUTHENTICATION_FAILED' });
    }
    await eventually('the store is closed', () => counts.closed === 1);
    expect(counts.started).toBe(1);
    await app.close();
  });

  test('is refused if it is not a boolean', async () => {
    await expect(application([], { lazyConnect: 'yes' as never })).rejects.toMatchObject({
      message: 'AtomicQueuesModule.lazyConnect must be a boolean, not a string.',
    });
  });
});
