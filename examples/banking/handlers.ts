/**
 * The handlers, plain `@nestjs/cqrs`: read, check, write. They hold no lock; each runs alone on its account.
 * Idempotent by operation id (see `AccountRepository.save`), since a kill can make a job run again.
 */
import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { AccountRepository } from './account.repository.js';
import { DepositCommand, TransferCommand, WithdrawCommand } from './commands.js';
import { OrderGateway } from './gateway.js';

@CommandHandler(DepositCommand)
export class DepositHandler implements ICommandHandler<DepositCommand> {
  constructor(private readonly accounts: AccountRepository) {}

  async execute({ accountId, amount, operationId }: DepositCommand): Promise<void> {
    const { balance } = await this.accounts.find(accountId);
    await this.accounts.save(balance + amount, { operationId, accountId, amount });
  }
}

@CommandHandler(WithdrawCommand)
export class WithdrawHandler implements ICommandHandler<WithdrawCommand> {
  constructor(private readonly accounts: AccountRepository) {}

  async execute({ accountId, amount, operationId }: WithdrawCommand): Promise<void> {
    const { balance } = await this.accounts.find(accountId);
    const paid = balance >= amount ? amount : 0;
    await this.accounts.save(balance - paid, { operationId, accountId, amount: -paid });
  }
}

@CommandHandler(TransferCommand)
export class TransferHandler implements ICommandHandler<TransferCommand> {
  constructor(
    private readonly accounts: AccountRepository,
    private readonly orders: OrderGateway,
  ) {}

  async execute({ accountId, toAccountId, amount, operationId }: TransferCommand): Promise<void> {
    const { balance } = await this.accounts.find(accountId);
    const paid = balance >= amount ? amount : 0;
    await this.accounts.save(balance - paid, { operationId, accountId, amount: -paid });
    // What this operation did, also in a first run that was killed right here: the debit is not done again, the credit
    // is sent again, under an id of its own that makes the second one nothing.
    const debit = await this.accounts.entry(operationId);
    if (debit && debit.amount < 0) {
      await this.orders.send(new DepositCommand(toAccountId, -debit.amount, `${operationId}-credit`));
    }
  }
}
