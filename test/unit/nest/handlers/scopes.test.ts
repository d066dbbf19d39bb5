/** Request-scoped handlers: what is made for a job, what is injected into it, and what the application's strategy decides. */
import { Inject, Injectable, Module, Scope } from '@nestjs/common';
import { type ContextId, ContextIdFactory, type HostComponentInfo, ModuleRef, REQUEST } from '@nestjs/core';
import * as cqrs from '@nestjs/cqrs';
import { runningJob } from '../../../../src/core/run/running-job.js';
import { QueueBus } from '../../../../src/nest/bus/queue-bus.js';
import type { JobContext } from '../../../../src/nest/current-job.js';
import { JobHandler } from '../../../../src/nest/decorators/job-handler.decorator.js';
import { QueueEntity, QueueEntityId } from '../../../../src/nest/decorators/queue-entity.decorator.js';
import { WorkerProcessor } from '../../../../src/nest/decorators/worker-processor.decorator.js';
import { application } from '../../../support/nest-application.js';
import { eventually, gate } from '../../../support/wait.js';

const { CommandBus, CommandHandler, CqrsModule, QueryHandler } = cqrs;
/** From version 11 of cqrs on. Earlier versions have no way to run a request-scoped handler. */
const { AsyncContext } = cqrs as { AsyncContext?: typeof cqrs.AsyncContext };

const note = (entityId: string) => ({ entityType: 'account', entityId, name: 'note', data: { by: entityId } });

/** Runs jobs of an application until `done`, and closes it. */
async function working(
  app: Awaited<ReturnType<typeof application>>,
  enqueue: (bus: QueueBus) => Promise<unknown>,
  done: () => boolean,
): Promise<void> {
  await app.init();
  await enqueue(app.get(QueueBus));
  await eventually('all have run', done);
  await app.close();
}

describe('a request-scoped processor', () => {
  test('is made for each job, with that job as REQUEST, also in deep dependencies, and singletons stay', async () => {
    const seen: { job: JobContext; deep: JobContext; argument: unknown; processor: unknown; singleton: unknown }[] = [];
    @Injectable()
    class Singleton {}
    @Injectable({ scope: Scope.REQUEST })
    class Repository {
      constructor(
        @Inject(REQUEST) readonly job: JobContext,
        @Inject(Singleton) readonly singleton: Singleton,
      ) {}
    }
    @WorkerProcessor({ entityType: 'account' })
    @Injectable({ scope: Scope.REQUEST })
    class Accounts {
      constructor(
        @Inject(REQUEST) readonly job: JobContext,
        @Inject(Repository) readonly repository: Repository,
      ) {}
      @JobHandler('note')
      note(_: unknown, __: string, argument: JobContext) {
        const { job: deep, singleton } = this.repository;
        seen.push({ job: this.job, deep, argument, processor: this, singleton });
      }
    }
    await working(
      await application([Accounts, Repository, Singleton]),
      bus => Promise.all(['1', '1', '2'].map(id => bus.enqueueJob(note(id)))),
      () => seen.length === 3,
    );
    for (const { job, deep, argument } of seen) {
      expect(deep).toBe(job);
      expect(argument).toBe(job);
    }
    expect(seen.map(({ job }) => job.entityId).sort()).toEqual(['1', '1', '2']);
    expect(seen[0]?.job).toMatchObject({ entityType: 'account', attempt: 1, contextValues: {} });
    expect(seen[0]?.job.fencingToken).toMatch(/^\d+$/);
    expect(seen[0]?.job.signal.aborted).toBe(false);
    expect(seen.map(({ job }) => job.job).sort()).toMatchObject([{ name: 'note' }, { name: 'note' }, { name: 'note' }]);
    expect(new Set(seen.map(({ processor }) => processor)).size).toBe(3);
    expect(new Set(seen.map(({ singleton }) => singleton)).size).toBe(1);
  });

  test('gives the same job to providers that are resolved later by its REQUEST', async () => {
    let same: boolean | undefined;
    @Injectable({ scope: Scope.REQUEST })
    class Unit {}
    @WorkerProcessor({ entityType: 'account' })
    @Injectable({ scope: Scope.REQUEST })
    class Accounts {
      constructor(
        @Inject(REQUEST) readonly job: JobContext,
        @Inject(Unit) readonly unit: Unit,
        @Inject(ModuleRef) readonly moduleRef: ModuleRef,
      ) {}
      @JobHandler('note')
      async note() {
        const contextId = ContextIdFactory.getByRequest(this.job as never);
        same = (await this.moduleRef.resolve(Unit, contextId)) === this.unit;
      }
    }
    await working(
      await application([Accounts, Unit]),
      bus => bus.enqueueJob(note('1')),
      () => same !== undefined,
    );
    expect(same).toBe(true);
  });

  test('is made twice for two jobs at once and for each attempt, and fails its job if it cannot be made', async () => {
    const seen: string[] = [];
    const both = gate();
    let running = 0;
    @WorkerProcessor({ entityType: 'account' })
    @Injectable({ scope: Scope.REQUEST })
    class Accounts {
      constructor(@Inject(REQUEST) readonly job: JobContext) {
        if (job.entityId === 'broken' && job.attempt === 1) throw new Error('not made');
      }
      @JobHandler('note')
      async note() {
        if (++running === 2) both.open();
        await both.promise;
        seen.push(`${this.job.entityId} ${this.job.attempt} ${runningJob() === this.job}`);
      }
    }
    await working(
      await application([Accounts]),
      bus =>
        Promise.all([
          bus.enqueueJob(note('1')),
          bus.enqueueJob(note('2')),
          bus.enqueueJob(note('broken'), { attempts: 2 }),
        ]),
      () => seen.length === 3,
    );
    expect(seen.sort()).toEqual(['1 1 true', '2 1 true', 'broken 2 true']);
  });

  test.each<[string, { scope?: Scope }]>([
    ['transient', { scope: Scope.TRANSIENT }],
    ['that depends on a request-scoped provider', {}],
  ])('is made for each job also if it is one %s', async (_, options) => {
    const seen: unknown[] = [];
    @Injectable({ scope: options.scope ?? Scope.REQUEST })
    class Unit {}
    @WorkerProcessor({ entityType: 'account' })
    @Injectable(options)
    class Accounts {
      constructor(@Inject(Unit) readonly unit: Unit) {}
      @JobHandler('note')
      note() {
        seen.push(this.unit);
      }
    }
    await working(
      await application([Accounts, Unit]),
      bus => Promise.all([bus.enqueueJob(note('1')), bus.enqueueJob(note('1'))]),
      () => seen.length === 2,
    );
    expect(seen[0]).toBeInstanceOf(Unit);
    expect(seen[0]).not.toBe(seen[1]);
  });

  test('can come from a factory, and from a token that two modules have', async () => {
    const seen: string[] = [];
    @WorkerProcessor({ entityType: 'account' })
    class Made {
      constructor(readonly id: string) {}
      @JobHandler('note')
      note() {
        seen.push(`made for ${this.id}`);
      }
    }
    const named = (entityType: string) => {
      @WorkerProcessor({ entityType })
      @Injectable({ scope: Scope.REQUEST })
      class Named {
        @JobHandler('note')
        note() {
          seen.push(`named ${entityType}`);
        }
      }
      @Module({ providers: [{ provide: 'PROCESSOR', useClass: Named }] })
      class NamedModule {}
      return NamedModule;
    };
    const factory = {
      provide: Made,
      scope: Scope.REQUEST,
      inject: [REQUEST],
      useFactory: async (job: JobContext) => new Made(job.entityId),
    };
    await working(
      await application([factory, { provide: 'alias', useExisting: Made }], {
        imports: [named('order'), named('room')],
      }),
      bus => Promise.all(['account', 'order', 'room'].map(entityType => bus.enqueueJob({ ...note('1'), entityType }))),
      () => seen.length === 3,
    );
    expect(seen.sort()).toEqual(['made for 1', 'named order', 'named room']);
  });

  test('is refused if it is a controller', async () => {
    @WorkerProcessor({ entityType: 'account' })
    @Injectable({ scope: Scope.REQUEST })
    class Desk {
      @JobHandler('note')
      note() {}
    }
    @Module({ controllers: [Desk] })
    class DeskModule {}
    const app = await application([], { imports: [DeskModule] });
    await expect(app.init()).rejects.toMatchObject({ code: 'UNSUPPORTED', message: expect.stringMatching(/Desk/) });
  });
});

describe('a strategy of the application', () => {
  const tenants = new Map<string, ContextId>();
  const attach = (contextId: ContextId, request: { contextValues?: { tenant?: string } }) => {
    const tenant = request.contextValues?.tenant ?? 'none';
    const ofTenant = tenants.get(tenant) ?? ContextIdFactory.create();
    tenants.set(tenant, ofTenant);
    return {
      resolve: ({ isTreeDurable }: HostComponentInfo) => (isTreeDurable ? ofTenant : contextId),
      payload: { tenant, entityId: 'of the payload' },
    };
  };
  beforeEach(() => ContextIdFactory.apply({ attach: attach as never }));
  afterEach(() => ContextIdFactory.apply(undefined as never));

  test('sees the job: durable providers belong to its tenant, others to the job', async () => {
    const seen: { tenant: string; database: object; unit: object; entityId: string }[] = [];
    @Injectable({ scope: Scope.REQUEST, durable: true })
    class Database {
      constructor(@Inject(REQUEST) readonly payload: { tenant: string }) {}
    }
    @Injectable({ scope: Scope.REQUEST })
    class Unit {}
    @WorkerProcessor({ entityType: 'account' })
    @Injectable({ scope: Scope.REQUEST })
    class Accounts {
      constructor(
        @Inject(REQUEST) readonly job: JobContext & { tenant: string },
        @Inject(Database) readonly database: Database,
        @Inject(Unit) readonly unit: Unit,
      ) {}
      @JobHandler('note')
      note() {
        const { database, unit, job } = this;
        seen.push({ tenant: `${database.payload.tenant} ${job.tenant}`, database, unit, entityId: job.entityId });
      }
    }
    let tenant = '';
    const context = { keys: ['tenant'], get: () => ({ tenant }), run: <T>(_: object, callback: () => T) => callback() };
    await working(
      await application([Accounts, Database, Unit], { context }),
      async bus => {
        for (const id of ['a', 'b', 'a']) {
          tenant = id;
          await bus.enqueueJob(note('1'));
        }
      },
      () => seen.length === 3,
    );
    expect(seen.map(({ tenant, entityId }) => `${tenant} ${entityId}`)).toEqual(['a a 1', 'b b 1', 'a a 1']);
    expect(seen[0]?.database).toBe(seen[2]?.database);
    expect(seen[0]?.database).not.toBe(seen[1]?.database);
    expect(seen[0]?.unit).not.toBe(seen[2]?.unit);
  });

  test('makes a durable processor once for its tenant, with the payload', async () => {
    const seen: unknown[] = [];
    @WorkerProcessor({ entityType: 'account' })
    @Injectable({ scope: Scope.REQUEST, durable: true })
    class Accounts {
      constructor(@Inject(REQUEST) readonly payload: object) {}
      @JobHandler('note')
      note(_: unknown, entityId: string) {
        seen.push([this, this.payload, entityId]);
      }
    }
    await working(
      await application([Accounts]),
      bus => Promise.all(['1', '1'].map(id => bus.enqueueJob(note(id)))),
      () => seen.length === 2,
    );
    expect(seen[0]).toEqual([expect.anything(), { tenant: 'none', entityId: 'of the payload' }, '1']);
    expect((seen[0] as unknown[])[0]).toBe((seen[1] as unknown[])[0]);
  });
});

describe('a request-scoped handler of CQRS', () => {
  @QueueEntity('account')
  class Withdraw {
    constructor(
      @QueueEntityId() readonly accountId: string,
      readonly amount: number,
    ) {}
  }
  @QueueEntity('account')
  class Balance {
    constructor(@QueueEntityId() readonly accountId: string) {}
  }
  class Audit {}

  (AsyncContext ? test : test.skip)(
    'gets the job through the AsyncContext of cqrs, and the commands that it executes with it have the same job',
    async () => {
      const seen: { request: JobContext & cqrs.AsyncContext; unit: unknown; what: unknown }[] = [];
      @Injectable({ scope: Scope.REQUEST })
      class Unit {}
      abstract class Base {
        constructor(
          @Inject(REQUEST) readonly request: JobContext & cqrs.AsyncContext,
          @Inject(Unit) readonly unit: Unit,
        ) {}
      }
      @CommandHandler(Withdraw, { scope: Scope.REQUEST })
      class WithdrawHandler extends Base {
        @Inject(CommandBus) readonly commandBus!: cqrs.CommandBus;
        async execute(what: Withdraw) {
          seen.push({ request: this.request, unit: this.unit, what });
          await this.commandBus.execute(new Audit(), this.request);
        }
      }
      @CommandHandler(Audit, { scope: Scope.REQUEST })
      class AuditHandler extends Base {
        async execute(what: Audit) {
          seen.push({ request: this.request, unit: this.unit, what });
        }
      }
      @QueryHandler(Balance, { scope: Scope.REQUEST })
      class BalanceHandler extends Base {
        async execute(what: Balance) {
          seen.push({ request: this.request, unit: this.unit, what });
        }
      }
      await working(
        await application([WithdrawHandler, AuditHandler, BalanceHandler, Unit], { imports: [CqrsModule] }),
        async bus => {
          await bus.enqueueBulk([new Withdraw('1', 5), new Withdraw('1', 6), new Balance('1')]);
        },
        () => seen.length === 5,
      );
      const [first, audit, second, , query] = seen;
      expect(first?.what).toBeInstanceOf(Withdraw);
      expect(first?.request).toBeInstanceOf(AsyncContext ?? Object);
      expect(first?.request).toMatchObject({ entityType: 'account', entityId: '1', attempt: 1, contextValues: {} });
      expect(first?.request.job).toMatchObject({ name: 'Withdraw', data: { amount: 5 } });
      expect(audit?.what).toBeInstanceOf(Audit);
      expect(audit?.request).toBe(first?.request);
      expect(audit?.unit).toBe(first?.unit);
      expect(second?.unit).not.toBe(first?.unit);
      expect(second?.request.job).toMatchObject({ data: { amount: 6 } });
      expect(query?.what).toBeInstanceOf(Balance);
      expect(query?.request.job).toMatchObject({ name: 'Balance' });
    },
  );

  test('is refused if it is transient, because cqrs would run it without its injected providers', async () => {
    @CommandHandler(Withdraw)
    @Injectable({ scope: Scope.TRANSIENT })
    class Handler {
      async execute() {}
    }
    const app = await application([Handler], { imports: [CqrsModule] });
    await expect(app.init()).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringMatching(/Handler is (request-scoped or )?transient/),
    });
  });
});
