/**
 * The context of a caller in a Nest application: from an AsyncLocalStorage, and from OpenTelemetry. nestjs-cls, which this test
 * runner can't load together with Nest 12, is in `test/integration/context.test.ts`.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { Inject, Injectable, Scope } from '@nestjs/common';
import { CommandHandler, CqrsModule } from '@nestjs/cqrs';
import { context, propagation, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core';
import type { Envelope } from '../../../src/core/model/envelope.js';
import { QueueBus } from '../../../src/nest/bus/queue-bus.js';
import { currentJob } from '../../../src/nest/current-job.js';
import { JobHandler } from '../../../src/nest/decorators/job-handler.decorator.js';
import { QueueEntity, QueueEntityId } from '../../../src/nest/decorators/queue-entity.decorator.js';
import { WorkerProcessor } from '../../../src/nest/decorators/worker-processor.decorator.js';
import { EntityQueues } from '../../../src/nest/operator/entity-queues.js';
import type { AtomicQueuesModuleOptions } from '../../../src/nest/options/module-options.js';
import type { StoreFactory } from '../../../src/nest/runtime.js';
import type { MemoryEntityStore } from '../../../src/store/memory/memory-store.js';
import { application, memoryStore } from '../../support/nest-application.js';
import { eventually } from '../../support/wait.js';

interface Store {
  tenant?: string;
  password?: string;
}
const storage = new AsyncLocalStorage<Store>();
const ofStorage: AtomicQueuesModuleOptions['context'] = {
  keys: ['tenant'],
  get: () => storage.getStore(),
  run: (values, callback) => storage.run(values, callback),
};

/** The context that jobs find, by their names. */
let seen: [string, unknown][];
const see = async (what: string) => {
  await pause(1);
  seen.push([what, storage.getStore()]);
};
beforeEach(() => {
  seen = [];
});

@QueueEntity('account')
class Withdraw {
  constructor(
    @QueueEntityId() readonly accountId: string,
    readonly what: string,
  ) {}
}

@CommandHandler(Withdraw)
class WithdrawHandler {
  execute({ what }: Withdraw) {
    return see(what);
  }
}

@WorkerProcessor({ entityType: 'account' })
class Accounts {
  @JobHandler('note')
  async note({ data }: { data: { what: string; failures?: number } }) {
    await see(data.what);
    if (currentJob()?.attempt === data.failures) throw new Error('again');
  }
}

@Injectable({ scope: Scope.REQUEST })
class Repository {
  readonly tenant = storage.getStore()?.tenant;
}

@WorkerProcessor({ entityType: 'order' })
class Orders {
  constructor(@Inject(Repository) private readonly repository: Repository) {}
  @JobHandler('note')
  note({ data }: { data: { what: string } }) {
    seen.push([data.what, this.repository.tenant]);
  }
}

const note = (what: string, data: object = {}, entityId = '1') => ({
  entityType: 'account',
  entityId,
  name: 'note',
  data: { what, ...data },
});

/** A store that records the envelopes of jobs. */
function spying(envelopes: (Envelope | undefined)[]): StoreFactory {
  return (options, config) => {
    const store: MemoryEntityStore = memoryStore(options, config);
    const enter = store.add.bind(store);
    store.add = (job, hint) => {
      envelopes.push(job.envelope);
      return enter(job, hint);
    };
    return store;
  };
}

describe('the context of an AsyncLocalStorage', () => {
  const started = async (options: Partial<AtomicQueuesModuleOptions> = {}, createStore?: StoreFactory) => {
    const app = await application(
      [Accounts, WithdrawHandler, Repository, Orders],
      { imports: [CqrsModule], context: ofStorage, ...options },
      createStore,
    );
    await app.init();
    return { app, bus: app.get(QueueBus) };
  };

  test.each([true, false])(
    'reaches handlers of both kinds from their caller, and from no other caller (currentJob %s)',
    async isCurrentJob => {
      const envelopes: (Envelope | undefined)[] = [];
      const { app, bus } = await started({ currentJob: isCurrentJob }, spying(envelopes));
      // All jobs are of one entity: the end of each brings the next one.
      await Promise.all([
        storage.run({ tenant: 'a', password: 'secret' }, () => bus.enqueue(new Withdraw('1', 'of a'))),
        storage.run({ tenant: 'b' }, () => bus.enqueueJob(note('of b'))),
        bus.enqueueJob(note('of nobody')),
        storage.run({ password: 'secret' }, () => bus.forEntity('account').enqueue(new Withdraw('1', 'of no tenant'))),
        storage.run({ tenant: 'c' }, () => bus.enqueueBulk([new Withdraw('1', 'of c'), new Withdraw('2', 'also')])),
        storage.run({ tenant: 'd' }, () => bus.enqueueJob({ ...note('of d'), entityType: 'order' })),
      ]);
      await eventually('all have run', () => seen.length === 7);
      await app.close();
      expect(Object.fromEntries(seen)).toEqual({
        'of a': { tenant: 'a' },
        'of b': { tenant: 'b' },
        'of nobody': {},
        'of no tenant': {},
        'of c': { tenant: 'c' },
        also: { tenant: 'c' },
        'of d': 'd',
      });
      expect(JSON.stringify(envelopes)).not.toContain('secret');
      expect(envelopes.filter(envelope => envelope === undefined)).toHaveLength(2);
    },
  );

  test('is in each attempt, in each run of a schedule, and in a replayed dead letter', async () => {
    const { app, bus } = await started({ entities: { account: { onExhausted: 'deadLetter' } } });
    await storage.run({ tenant: 'a' }, async () => {
      await bus.enqueueJob(note('tried', { failures: 1 }), { attempts: 2 });
      await bus.enqueueJob(note('dead', { failures: 1 }, '2'));
      await bus.scheduleJob(note('scheduled', {}, '3'), { id: 's', every: 5 });
    });
    const letters = app.get(EntityQueues).deadLetters('account');
    await eventually('it is dead', async () => (await letters.list()).length === 1);
    await letters.replayAll();
    const counts = () => ['tried', 'dead', 'scheduled'].map(what => seen.filter(([is]) => is === what).length);
    await eventually('all have run twice', () => counts().every(count => count >= 2));
    await app.close();
    expect(seen.filter(([, found]) => JSON.stringify(found) !== '{"tenant":"a"}')).toEqual([]);
  });

  test('stays with its job if the handler writes to it', async () => {
    @WorkerProcessor({ entityType: 'room' })
    class Rooms {
      @JobHandler('note')
      note() {
        const store = storage.getStore() as Store & { writes?: number };
        store.writes = (store.writes ?? 0) + 1;
        seen.push(['writes', store.writes], ['values', currentJob()?.contextValues]);
      }
    }
    const app = await application([Rooms], { context: ofStorage });
    await app.init();
    const job = { ...note(''), entityType: 'room' };
    await app.get(QueueBus).enqueueJob(job);
    await storage.run({ tenant: 'a' }, () => app.get(QueueBus).enqueueJob(job));
    await eventually('both have run', () => seen.length === 4);
    await app.close();
    expect(seen).toEqual([
      ['writes', 1],
      ['values', {}],
      ['writes', 1],
      ['values', { tenant: 'a' }],
    ]);
  });

  test('rejects the enqueue if it has an invalid value, and nothing of a bulk is added', async () => {
    const envelopes: unknown[] = [];
    const { app, bus } = await started({}, spying(envelopes as never));
    const invalid = { code: 'INVALID_CONTEXT', message: expect.stringMatching(/"tenant".*Nothing was enqueued/) };
    await storage.run({ tenant: {} as never }, async () => {
      await expect(bus.enqueueJob(note('x'))).rejects.toMatchObject(invalid);
      await expect(bus.enqueueBulk([new Withdraw('1', 'x')])).rejects.toMatchObject(invalid);
      await expect(bus.scheduleJob(note('x'), { id: 's', every: 5 })).rejects.toMatchObject(invalid);
    });
    expect(envelopes).toEqual([]);
    await bus.enqueueJob(note('after'));
    await eventually('it has run', () => seen.length === 1);
    await app.close();
  });

  test('is in a job that was enqueued before the application started', async () => {
    @Injectable()
    class Eager {
      constructor(@Inject(QueueBus) bus: QueueBus) {
        storage.run({ tenant: 'early' }, () => void bus.enqueueJob(note('eager')));
      }
    }
    const app = await application([Accounts, Eager], { context: ofStorage });
    await app.init();
    await eventually('it has run', () => seen.length === 1);
    await app.close();
    expect(seen).toEqual([['eager', { tenant: 'early' }]]);
  });

  test('does not travel without the option', async () => {
    const envelopes: (Envelope | undefined)[] = [];
    const { app, bus } = await started({ context: undefined }, spying(envelopes));
    await storage.run({ tenant: 'a' }, () => bus.enqueueJob(note('bare')));
    await eventually('it has run', () => seen.length === 1);
    await app.close();
    expect(envelopes).toEqual([undefined]);
  });

  test('fails the job if run does not call its callback, and the entity goes on', async () => {
    let calls = 0;
    const broken: AtomicQueuesModuleOptions['context'] = {
      keys: ['tenant'],
      get: () => undefined,
      run: (_, callback) => (++calls === 1 ? (undefined as never) : callback()),
    };
    const { app, bus } = await started({ context: broken });
    await bus.enqueueJob(note('first'));
    await bus.enqueueJob(note('second'));
    await eventually('the second has run', () => seen.length === 1);
    const [failed] = await app.get(EntityQueues).of('account', '1').list('failed');
    expect(failed?.failedReason).toMatch(/context\.run did not call its callback/);
    expect(seen.map(([what]) => what)).toEqual(['second']);
    await app.close();
  });
});

describe('the trace of OpenTelemetry, with the real packages,', () => {
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const span = (spanId: string) => {
    const active = trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: 1, isRemote: false });
    return propagation.setBaggage(active, propagation.createBaggage({ shop: { value: 'vienna' } }));
  };
  beforeAll(() => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    propagation.setGlobalPropagator(
      new CompositePropagator({ propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()] }),
    );
  });
  afterAll(() => {
    context.disable();
    propagation.disable();
  });

  @WorkerProcessor({ entityType: 'account' })
  class Traced {
    @JobHandler('note')
    async note({ data }: { data: { what: string } }) {
      await pause(1);
      const { spanId, isRemote } = trace.getActiveSpan()?.spanContext() ?? {};
      const shop = propagation.getActiveBaggage()?.getEntry('shop')?.value;
      seen.push([data.what, { spanId, isRemote, shop, values: currentJob()?.contextValues }]);
    }
  }

  test('reaches a handler from its caller, and is missing if the caller had none, and in a schedule', async () => {
    const envelopes: (Envelope | undefined)[] = [];
    const app = await application([Traced], { tracing: true, context: ofStorage }, spying(envelopes));
    await app.init();
    const bus = app.get(QueueBus);
    await context.with(span('b7ad6b7169203331'), () => storage.run({ tenant: 'a' }, () => bus.enqueueJob(note('one'))));
    await bus.enqueueJob(note('none'));
    await context.with(span('b7ad6b7169203332'), async () => {
      await bus.enqueueJob(note('two'));
      await storage.run({ tenant: 'b' }, () => bus.scheduleJob(note('scheduled'), { id: 's', pattern: '* * * * * *' }));
    });
    await eventually('all have run', () => seen.length >= 4);
    await app.close();
    const nothing = { spanId: undefined, isRemote: undefined, shop: undefined };
    expect(seen.slice(0, 4)).toEqual([
      ['one', { spanId: 'b7ad6b7169203331', isRemote: true, shop: 'vienna', values: { tenant: 'a' } }],
      ['none', { ...nothing, values: {} }],
      ['two', { spanId: 'b7ad6b7169203332', isRemote: true, shop: 'vienna', values: {} }],
      ['scheduled', { ...nothing, values: { tenant: 'b' } }],
    ]);
    expect(envelopes[0]).toEqual({
      ctx: { tenant: 'a' },
      trace: { traceparent: `00-${traceId}-b7ad6b7169203331-01`, baggage: 'shop=vienna' },
    });
    expect(envelopes[1]).toBeUndefined();
  });

  test('does not travel without the option', async () => {
    const envelopes: (Envelope | undefined)[] = [];
    const app = await application([Traced], {}, spying(envelopes));
    await app.init();
    await context.with(span('b7ad6b7169203331'), () => app.get(QueueBus).enqueueJob(note('one')));
    await eventually('it has run', () => seen.length === 1);
    await app.close();
    expect(envelopes).toEqual([undefined]);
  });
});
