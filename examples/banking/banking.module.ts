/** The application: the whole of what a user of atomic-queues configures is `AtomicQueuesModule.forRoot`. */
import { Module } from '@nestjs/common';
import { CqrsModule } from '@nestjs/cqrs';
import { AtomicQueuesModule } from 'atomic-queues';
import pg from 'pg';
import { AccountRepository } from './account.repository.js';
import { AccountsController } from './accounts.controller.js';
import { OrderGateway } from './gateway.js';
import { CloseHandler, CreditHandler, DepositHandler, SettleTransferHandler, WithdrawHandler } from './handlers.js';
import { DATABASE, POD_NAME } from './tokens.js';

@Module({
  imports: [
    CqrsModule,
    AtomicQueuesModule.forRoot({
      redis: { url: process.env['REDIS_URL'] ?? 'redis://localhost:6379' },
      keyPrefix: process.env['KEY_PREFIX'] ?? 'banking',
      entities: { account: { idleTimeoutSeconds: 15 } },
    }),
  ],
  controllers: [AccountsController],
  providers: [
    { provide: DATABASE, useFactory: () => new pg.Pool({ connectionString: process.env['DATABASE_URL'], max: 8 }) },
    { provide: POD_NAME, useValue: process.env['POD'] ?? 'pod' },
    AccountRepository,
    OrderGateway,
    DepositHandler,
    WithdrawHandler,
    CloseHandler,
    CreditHandler,
    SettleTransferHandler,
  ],
})
export class BankingModule {}
