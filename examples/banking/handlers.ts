/**
 * The handlers, plain `@nestjs/cqrs`: read, check, write. They hold no lock; each runs alone on its account.
 * Idempotent by operation id (see `AccountRepository.save`), since a kill can make a job run again. Fenced by the token of
 * the account's owner, since a frozen pod can wake up.
 */
import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { currentJob } from 'atomic-queues';
import { AccountRepository } from './account.repository.js';
import { DepositCommand, TransferCommand, WithdrawCommand } from './commands.js';
import { OrderGateway } from './gateway.js';

/** Outside of a job, in the demo's contrast, it is 0: refused as soon as any job has been at the account. */
const fencingToken = () => currentJob()?.fencingToken ?? '0';

@CommandHandler(DepositCommand)
export class DepositHandler implements ICommandHandler<DepositCommand> {
  constructor(private readonly accounts: AccountRepository) {}

  async execute({ accountId, amount, operationId }: DepositCommand): Promise<void> {
    const account = await this.accounts.take(accountId, fencingToken());
    await this.accounts.save({ ...account, balance: account.balance + amount }, { operationId, amount });
  }
}

@CommandHandler(WithdrawCommand)
export class WithdrawHandler implements ICommandHandler<WithdrawCommand> {
  constructor(private readonly accounts: AccountRepository) {}

  async execute({ accountId, amount, operationId }: WithdrawCommand): Promise<void> {
    const account = await this.accounts.take(accountId, fencingToken());
    const paid = account.balance >= amount ? amount : 0;
    await this.accounts.save({ ...account, balance: account.balance - paid }, { operationId, amount: -paid });
  }
}

/** Writes the paying account only. The other one has an owner, and a token, of its own: it gets a job in its own queue. */
@CommandHandler(TransferCommand)
export class TransferHandler implements ICommandHandler<TransferCommand> {
  constructor(
    private readonly accounts: AccountRepository,
    private readonly orders: OrderGateway,
  ) {}

  async execute({ accountId, toAccountId, amount, operationId }: TransferCommand): Promise<void> {
    const account = await this.accounts.take(accountId, fencingToken());
    const paid = account.balance >= amount ? amount : 0;
    await this.accounts.save({ ...account, balance: account.balance - paid }, { operationId, amount: -paid });
    // What this operation did, also in a first run that was killed right here: the debit is not done again, the credit
    // is sent again, under an id of its own that makes the second one nothing.
    const debit = await this.accounts.entry(operationId);
    if (debit && debit.amount < 0) {
      await this.orders.send(new DepositCommand(toAccountId, -debit.amount, `${operationId}-credit`));
    }
  }
}
