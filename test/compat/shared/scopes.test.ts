/** Features that depend on Nest's own parts: request scope, enhancers, and cqrs's way to make handlers for a job. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';
import {
  type CanActivate,
  type ExecutionContext,
  Inject,
  Injectable,
  Module,
  type Provider,
  Scope,
  UseGuards,
} from '@nestjs/common';
import { APP_GUARD, ContextIdFactory, ModuleRef, REQUEST } from '@nestjs/core';
import * as cqrs from '@nestjs/cqrs';
import { Test } from '@nestjs/testing';
import {
  AtomicQueuesModule,
  EntityQueues,
  type JobContext,
  JobHandler,
  QueueBus,
  QueueEntity,
  QueueEntityId,
  WorkerProcessor,
} from 'atomic-queues';

const storage = new AsyncLocalStorage<object>();
const create = async (providers: Provider[]) => {
  @Module({
    imports: [
      cqrs.CqrsModule,
      AtomicQueuesModule.forRoot({
        redis: { url: process.env['REDIS_URL'] },
        keyPrefix: `compat-${randomBytes(4).toString('hex')}`,
        context: {
          keys: ['tenantId'],
          get: () => storage.getStore(),
          run: (values, callback) => storage.run(values, callback),
        },
      }),
    ],
    providers,
  })
  class AppModule {}
  return Test.createTestingModule({ imports: [AppModule] }).compile();
};

const until = async (condition: () => boolean | Promise<boolean>) => {
  while (!(await condition())) await new Promise(resolve => setTimeout(resolve, 5));
};

test('a request-scoped processor runs behind guards of every scope', async () => {
  const seen: string[] = [];
  @Injectable({ scope: Scope.REQUEST })
  class Tenant {
    constructor(@Inject(REQUEST) readonly job: JobContext) {}
  }
  @Injectable()
  class ClassGuard implements CanActivate {
    canActivate(context: ExecutionContext) {
      seen.push(`class guard ${context.getType<string>()}`);
      return context.getArgs()[0].data.isForbidden !== true;
    }
  }
  @Injectable({ scope: Scope.REQUEST })
  class GlobalGuard implements CanActivate {
    constructor(@Inject(Tenant) private readonly tenant: Tenant) {}
    canActivate() {
      seen.push(`global guard ${this.tenant.job.contextValues['tenantId']}`);
      return true;
    }
  }
  @WorkerProcessor({ entityType: 'account', enhancers: true })
  @UseGuards(ClassGuard)
  @Injectable()
  class Accounts {
    constructor(
      @Inject(Tenant) private readonly tenant: Tenant,
      @Inject(ModuleRef) private readonly moduleRef: ModuleRef,
    ) {}
    @JobHandler('note')
    async note(_: unknown, entityId: string, context: JobContext) {
      const again = await this.moduleRef.resolve(Tenant, ContextIdFactory.getByRequest(context as never));
      seen.push(`note ${entityId} ${this.tenant.job === context} ${again === this.tenant}`);
    }
  }
  const app = await create([Accounts, Tenant, { provide: APP_GUARD, useClass: GlobalGuard }]);
  await app.init();
  const bus = app.get(QueueBus);
  const note = (data: object) => bus.enqueueJob({ entityType: 'account', entityId: 1, name: 'note', data });
  await storage.run({ tenantId: 'a' }, () => note({}));
  await until(() => seen.length === 3);
  expect(seen).toEqual(['global guard a', 'class guard atomic-queues', 'note 1 true true']);
  await note({ isForbidden: true });
  const account = app.get(EntityQueues).of('account', 1);
  await until(async () => (await account.list('failed')).length === 1);
  expect((await account.list('failed'))[0]?.failedReason).toMatch(/Accounts\.note refused the job/);
  expect(seen.slice(3)).toEqual(['global guard undefined', 'class guard atomic-queues']);
  await app.close();
});

test('a request-scoped handler of cqrs runs from version 11 on, and is refused at start before', async () => {
  @QueueEntity('account')
  class Withdraw {
    constructor(@QueueEntityId() readonly accountId: string) {}
  }
  let request: JobContext | undefined;
  @cqrs.CommandHandler(Withdraw)
  @Injectable({ scope: Scope.REQUEST })
  class Handler {
    constructor(@Inject(REQUEST) private readonly job: JobContext) {}
    async execute() {
      request = this.job;
    }
  }
  const app = await create([Handler]);
  if (!('AsyncContext' in cqrs)) {
    await expect(app.init()).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringMatching(/Handler is request-scoped.*from version 11 on/),
    });
    return;
  }
  await app.init();
  await app.get(QueueBus).enqueue(new Withdraw('7'));
  await until(() => request !== undefined);
  expect(request?.entityId).toBe('7');
  expect(request?.fencingToken).toMatch(/^\d+$/);
  await app.close();
});
