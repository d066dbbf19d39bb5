/**
 * The transfer of the banking example: a saga of three jobs on two accounts. Money is conserved when a step fails, and when the pod
 * that runs it is cut off right after it has written.
 */

import { PGlite } from '@electric-sql/pglite';
import { type INestApplicationContext, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CqrsModule } from '@nestjs/cqrs';
import { UnrecoverableError } from 'bullmq';
import { AccountRepository, SCHEMA } from '../../examples/banking/account.repository.js';
import { CloseCommand, DepositCommand } from '../../examples/banking/commands.js';
import { OrderGateway } from '../../examples/banking/gateway.js';
import {
  CloseHandler,
  CreditHandler,
  DepositHandler,
  SettleTransferHandler,
  WithdrawHandler,
} from '../../examples/banking/handlers.js';
import { DATABASE, POD_NAME } from '../../examples/banking/tokens.js';
import { AtomicQueuesModule, EntityQueues, QueueBus } from '../../src/index.js';
import { connect, dropKeys, freshPrefix, redisUrl } from '../support/redis.js';
import { RedisProxy } from '../support/redis-proxy.js';
import { eventually, gate } from '../support/wait.js';

/** Called when a line of the ledger has been written. */
type Written = (operationId: string) => Promise<void> | void;

describe('the transfer of the banking example', () => {
  const prefix = freshPrefix();
  const redis = connect();
  let database: PGlite;
  const endings: (() => Promise<unknown>)[] = [];

  const start = async (name: string, url: string, written: Written = () => {}): Promise<INestApplicationContext> => {
    const accounts = new AccountRepository(database as never, name);
    // The tables are there; and PGlite takes one statement at a time.
    accounts.onModuleInit = async () => {};
    const save = accounts.save.bind(accounts);
    accounts.save = async (account, entry) => {
      await save(account, entry);
      await written(entry.operationId);
    };
    @Module({
      imports: [
        CqrsModule,
        AtomicQueuesModule.forRoot({
          redis: { url },
          keyPrefix: prefix,
          shutdownTimeoutMs: 500,
          workerDefaults: { heartbeatTTL: 1, stalledInterval: 100 },
        }),
      ],
      providers: [
        { provide: DATABASE, useValue: database },
        { provide: POD_NAME, useValue: name },
        { provide: AccountRepository, useValue: accounts },
        OrderGateway,
        CloseHandler,
        CreditHandler,
        DepositHandler,
        SettleTransferHandler,
        WithdrawHandler,
      ],
    })
    class Pod {}
    const app = await NestFactory.createApplicationContext(Pod, { logger: false });
    endings.push(() => app.close());
    return app;
  };

  beforeAll(async () => {
    database = await PGlite.create();
  });
  beforeEach(() => database.exec(`DROP TABLE IF EXISTS accounts, ledger; ${SCHEMA}`));
  afterEach(async () => {
    for (const end of endings.splice(0).reverse()) await end();
    await dropKeys(redis, prefix);
  });
  afterAll(async () => {
    await database.close();
    await redis.quit();
  });

  const TRANSFER = { accountId: 'payer', toAccountId: 'payee', amount: 30, operationId: 'op' };
  const ledger = async () => {
    const { rows } = await database.query<{ operation_id: string; amount: number }>(
      'SELECT operation_id, amount::int FROM ledger ORDER BY operation_id',
    );
    return Object.fromEntries(rows.map(({ operation_id, amount }) => [operation_id, amount]));
  };
  const balances = async () => {
    const { rows } = await database.query<{ id: string; balance: number }>('SELECT id, balance::int FROM accounts');
    return Object.fromEntries(rows.map(({ id, balance }) => [id, balance]));
  };
  const settled = async (app: INestApplicationContext) => {
    for (const id of ['payer', 'payee', 'payer']) {
      await app.get(EntityQueues).of('account', id).drain({ timeoutMs: 15_000 });
    }
  };
  /** The payer has 100, the payee nothing. */
  const open = async (app: INestApplicationContext, isPayeeClosed: boolean) => {
    await app.get(QueueBus).enqueue(new DepositCommand('payer', 100, 'first'));
    if (isPayeeClosed) await app.get(QueueBus).enqueue(new CloseCommand('payee'));
    await settled(app);
  };

  test('debits one account and credits the other; sent again it changes nothing', async () => {
    const app = await start('a', redisUrl());
    await open(app, false);
    for (let n = 0; n < 3; n++) {
      await app.get(OrderGateway).transfer(TRANSFER);
      await settled(app);
    }
    expect(await ledger()).toEqual({ first: 100, op: -30, 'op-credit': 30 });
    expect(await balances()).toEqual({ payer: 70, payee: 30 });
  });

  test('stops at the debit if there is too little money', async () => {
    const app = await start('a', redisUrl());
    await open(app, false);
    await app.get(OrderGateway).transfer({ ...TRANSFER, amount: 200 });
    await settled(app);
    expect(await ledger()).toEqual({ first: 100, op: 0 });
    expect(await balances()).toEqual({ payer: 100 });
  });

  test('refunds the debit if the credit is refused', async () => {
    const app = await start('a', redisUrl());
    await open(app, true);
    await app.get(OrderGateway).transfer(TRANSFER);
    await settled(app);
    expect(await ledger()).toEqual({ first: 100, op: -30, 'op-credit': 0, 'op-refund': 30 });
    expect(await balances()).toEqual({ payer: 100, payee: 0 });
  });

  test('does not refund a credit that was written although its job has failed', async () => {
    const app = await start('a', redisUrl(), operationId => {
      if (operationId === 'op-credit') throw new UnrecoverableError('died before it could say so');
    });
    await open(app, false);
    await app.get(OrderGateway).transfer(TRANSFER);
    await settled(app);
    expect(await ledger()).toEqual({ first: 100, op: -30, 'op-credit': 30 });
    expect(await balances()).toEqual({ payer: 70, payee: 30 });
  });

  test.each([
    ['op', true],
    ['op', false],
    ['op-credit', false],
    ['op-refund', true],
  ])('conserves money if the pod is lost right after %s was written (payee closed: %s)', async (last, isClosed) => {
    const proxy = new RedisProxy(redisUrl());
    endings.push(() => proxy.close());
    const wakesUp = gate();
    let isLost = false;
    const a = await start('a', await proxy.start(), async operationId => {
      if (operationId !== last) return;
      isLost = true;
      proxy.block('both');
      await wakesUp.promise;
    });
    // Always: what is lost ends before its application is closed.
    endings.push(async () => {
      wakesUp.open();
      proxy.block('none');
    });
    await open(a, isClosed);
    await a.get(OrderGateway).transfer(TRANSFER);
    await eventually('the pod is lost', () => isLost);
    const b = await start('b', redisUrl());
    await settled(b);
    const refund = isClosed ? { 'op-credit': 0, 'op-refund': 30 } : { 'op-credit': 30 };
    expect(await ledger()).toEqual({ first: 100, op: -30, ...refund });
    const after = isClosed ? { payer: 100, payee: 0 } : { payer: 70, payee: 30 };
    expect(await balances()).toEqual(after);
    // It wakes up, and its end does not count: nothing follows from it a second time.
    wakesUp.open();
    proxy.block('none');
    await eventually('it has heard that it lost the account', async () => {
      await b.get(QueueBus).enqueue(new DepositCommand('payer', 1, 'later'));
      return (await ledger())['later'] === 1;
    });
    await settled(b);
    expect(await balances()).toEqual({ ...after, payer: after.payer + 1 });
  });
});
