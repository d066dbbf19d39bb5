/**
 * The public API in the shapes that the reimplemented package documents: its module configuration, commands, handlers,
 * processor and service, in a real Nest application on real Redis. The words of the application are this test's own.
 */
import { Body, Controller, Injectable, Module, Param, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CommandHandler, CqrsModule, ICommandHandler, IQueryHandler, QueryHandler } from '@nestjs/cqrs';
import { Job } from 'bullmq';
import type { Redis } from 'ioredis';
import {
  AtomicQueuesModule,
  JobHandler,
  QueueBus,
  QueueEntity,
  QueueEntityId,
  WorkerProcessor,
} from '../../src/index.js';
import { connect, dropKeys, freshPrefix, redisUrl } from '../support/redis.js';
import { eventually } from '../support/wait.js';

const seen: string[] = [];
const balances = new Map<string, number>();

@QueueEntity('account')
class WithdrawCommand {
  constructor(
    @QueueEntityId() public readonly accountId: string,
    public readonly amount: number,
    public readonly transactionId: string,
  ) {}
}

@QueueEntity('account')
class DepositCommand {
  constructor(
    @QueueEntityId() public readonly accountId: string,
    public readonly amount: number,
    public readonly source: string,
  ) {}
}

@QueueEntity('account')
class TransferCommand {
  constructor(
    @QueueEntityId() public readonly accountId: string,
    public readonly toAccountId: string,
    public readonly amount: number,
  ) {}
}

@QueueEntity('account')
class BalanceQuery {
  constructor(@QueueEntityId() public readonly accountId: string) {}
}

@Injectable()
class AccountRepository {
  async findById(id: string) {
    await new Promise(resolve => setImmediate(resolve));
    return { id, balance: balances.get(id) ?? 100 };
  }
  async save(account: { id: string; balance: number }) {
    await new Promise(resolve => setImmediate(resolve));
    balances.set(account.id, account.balance);
  }
}

@CommandHandler(WithdrawCommand)
class WithdrawHandler implements ICommandHandler<WithdrawCommand> {
  constructor(private readonly repo: AccountRepository) {}
  async execute(command: WithdrawCommand) {
    if (!(command instanceof WithdrawCommand)) throw new Error('not a real command');
    const account = await this.repo.findById(command.accountId);
    if (account.balance < command.amount) throw new Error('insufficient funds');
    account.balance -= command.amount;
    await this.repo.save(account);
  }
}

@CommandHandler(DepositCommand)
class DepositHandler implements ICommandHandler<DepositCommand> {
  constructor(private readonly repo: AccountRepository) {}
  async execute({ accountId, amount }: DepositCommand) {
    const account = await this.repo.findById(accountId);
    account.balance += amount;
    await this.repo.save(account);
  }
}

@CommandHandler(TransferCommand)
class TransferHandler implements ICommandHandler<TransferCommand> {
  constructor(
    private readonly repo: AccountRepository,
    private readonly queueBus: QueueBus,
  ) {}
  async execute({ accountId, toAccountId, amount }: TransferCommand) {
    const source = await this.repo.findById(accountId);
    source.balance -= amount;
    await this.repo.save(source);
    await this.queueBus.enqueue(new DepositCommand(toAccountId, amount, `transfer:${accountId}`));
  }
}

@QueryHandler(BalanceQuery)
class BalanceHandler implements IQueryHandler<BalanceQuery> {
  async execute({ accountId }: BalanceQuery) {
    seen.push(`balance:${accountId}`);
  }
}

@WorkerProcessor({
  entityType: 'account',
  queueName: (id: string) => `account-${id}-queue`,
  workerName: (id: string) => `account-${id}-worker`,
  maxWorkersPerEntity: 1,
  idleTimeoutSeconds: 15,
})
@Injectable()
class AccountProcessor {
  @JobHandler('high-priority-audit')
  async handleAudit(job: Job, entityId: string) {
    seen.push(`audit:${entityId}:${job.processedBy}:${job.data.by}`);
  }
  @JobHandler('*')
  async handleAll(job: Job, entityId: string) {
    seen.push(`rest:${entityId}:${job.name}`);
  }
}

@Injectable()
class AccountService {
  constructor(private readonly queueBus: QueueBus) {}
  async withdraw(accountId: string, amount: number) {
    await this.queueBus.enqueue(new WithdrawCommand(accountId, amount, 'tx'));
  }
}

@Controller('accounts')
class AccountController {
  constructor(private readonly accounts: AccountService) {}
  @Post(':id/withdraw')
  async withdraw(@Param('id') id: string, @Body() body: { amount: number }) {
    await this.accounts.withdraw(id, body.amount);
    return { queued: true };
  }
}

describe('the API of the package that this library reimplements', () => {
  let redis: Redis;
  let prefix: string;
  beforeEach(() => {
    redis = connect();
    prefix = freshPrefix();
    seen.length = 0;
    balances.clear();
  });
  afterEach(async () => {
    await eventually(
      'no connection is left',
      async () => !String(await redis.client('LIST')).includes('atomic-queues:'),
    );
    await dropKeys(redis, prefix);
    await redis.quit();
  });

  const bankingModule = (imports: NonNullable<Parameters<typeof Module>[0]['imports']>) => {
    @Module({
      imports: [CqrsModule, ...imports],
      controllers: [AccountController],
      providers: [
        AccountRepository,
        AccountService,
        AccountProcessor,
        WithdrawHandler,
        DepositHandler,
        TransferHandler,
        BalanceHandler,
      ],
    })
    class BankingModule {}
    return BankingModule;
  };

  const run = async (module: object, test: (bus: QueueBus, url: string) => Promise<void>) => {
    const app = await NestFactory.create(module, { logger: false });
    await app.listen(0, '127.0.0.1');
    try {
      await test(app.get(QueueBus), await app.getUrl());
    } finally {
      await app.close();
    }
  };

  test('the full configuration, an HTTP request, commands, a query, named jobs, order, and one at a time', async () => {
    const { hostname, port } = new URL(redisUrl());
    const module = bankingModule([
      AtomicQueuesModule.forRoot({
        redis: { host: hostname, port: Number(port) },
        keyPrefix: prefix,
        enableCronManager: true,
        cronInterval: 5000,
        workerDefaults: { concurrency: 1, stalledInterval: 1000, lockDuration: 30000, heartbeatTTL: 3 },
        entities: {
          account: {
            queueName: id => `account-${id}-queue`,
            workerName: id => `account-${id}-worker`,
            maxWorkersPerEntity: 1,
            idleTimeoutSeconds: 15,
            defaultEntityId: 'accountId',
            workerConfig: { concurrency: 1, lockDuration: 60000 },
          },
        },
      }),
    ]);
    await run(module, async (bus, url) => {
      const post = (id: string, amount: number) =>
        fetch(`${url}/accounts/${id}/withdraw`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ amount }),
        });
      // 10 × 80 of 100 at once: without the queue all would read 100.
      const answers = await Promise.all(Array.from({ length: 10 }, () => post('1', 80)));
      expect(await Promise.all(answers.map(answer => answer.json()))).toEqual(Array(10).fill({ queued: true }));
      await bus.enqueue(new TransferCommand('1', '2', 15));
      const receipt = await bus.enqueueJob({
        entityType: 'account',
        entityId: '1',
        name: 'high-priority-audit',
        data: { by: 'me' },
      });
      expect(receipt).toEqual({ jobId: '12', entityType: 'account', entityId: '1', queueName: 'account-1-queue' });
      await bus.forEntity('account').enqueueJob({ entityId: '1', name: 'anything' });
      await bus.forProcessor(AccountProcessor).enqueue(new BalanceQuery('1'));
      await eventually('all have run', () => seen.length === 3 && balances.get('2') === 115);
      expect(seen).toEqual(['audit:1:account-1-worker:me', 'rest:1:anything', 'balance:1']);
      expect(Object.fromEntries(balances)).toEqual({ 1: 5, 2: 115 });
    });
  });

  test.each(['useFactory', 'useClass', 'useExisting'])(
    'forRootAsync works with %s, and never closes a caller’s own ioredis',
    async form => {
      const own = connect();
      const options = () => ({ redis: own, keyPrefix: prefix });
      @Injectable()
      class Options {
        createAtomicQueuesOptions() {
          return options();
        }
      }
      @Module({ providers: [Options], exports: [Options] })
      class ConfigModule {}
      const module = bankingModule([
        AtomicQueuesModule.forRootAsync(
          form === 'useFactory'
            ? {
                imports: [ConfigModule],
                inject: [Options],
                useFactory: (config: Options) => config.createAtomicQueuesOptions(),
              }
            : form === 'useClass'
              ? { useClass: Options }
              : { imports: [ConfigModule], useExisting: Options },
        ),
      ]);
      await run(module, async bus => {
        const receipts = await bus.enqueueBulk([
          new WithdrawCommand('1', 1, 'a'),
          new WithdrawCommand('1', 2, 'b'),
          new DepositCommand('2', 3, 'c'),
        ]);
        expect(receipts.map(({ queueName }) => queueName)).toEqual([
          'account-1-queue',
          'account-1-queue',
          'account-2-queue',
        ]);
        await eventually('all have run', () => balances.get('1') === 97 && balances.get('2') === 103);
      });
      expect(await own.ping()).toBe('PONG');
      await own.quit();
    },
  );
});
