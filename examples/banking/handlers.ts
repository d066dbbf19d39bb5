/**
 * The handlers, plain `@nestjs/cqrs`: read, check, write. They hold no lock; each runs alone on its account.
 * Idempotent by operation id (see `AccountRepository.save`), since a kill can make a job run again. Fenced by the token of
 * the account's owner, since a frozen pod can wake up.
 */
import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { currentJob } from 'atomic-queues';
import { UnrecoverableError } from 'bullmq';
import { AccountRepository } from './account.repository.js';
import {
  CloseCommand,
  CreditCommand,
  creditOf,
  DepositCommand,
  refundOf,
  SettleTransferCommand,
  WithdrawCommand,
} from './commands.js';

/** Outside of a job, in the demo's contrast, it is 0: refused as soon as any job has been at the account. */
const fencingToken = () => currentJob()?.fencingToken ?? '0';

/** How the step of a transfer has ended that comes before this one. */
const previousStep = async () => (await currentJob()?.children<number>())?.[0]?.outcome;

@CommandHandler(DepositCommand)
export class DepositHandler implements ICommandHandler<DepositCommand> {
  constructor(private readonly accounts: AccountRepository) {}

  async execute({ accountId, amount, operationId }: DepositCommand): Promise<void> {
    const account = await this.accounts.take(accountId, fencingToken());
    if (account.closed) throw new UnrecoverableError(`Account ${accountId} is closed.`);
    await this.accounts.save({ ...account, balance: account.balance + amount }, { operationId, amount });
  }
}

@CommandHandler(WithdrawCommand)
export class WithdrawHandler implements ICommandHandler<WithdrawCommand> {
  constructor(private readonly accounts: AccountRepository) {}

  /** @returns what was paid: by this run, or by a first one that was killed before it could say so. */
  async execute({ accountId, amount, operationId }: WithdrawCommand): Promise<number> {
    const account = await this.accounts.take(accountId, fencingToken());
    const paid = account.balance >= amount ? amount : 0;
    await this.accounts.save({ ...account, balance: account.balance - paid }, { operationId, amount: -paid });
    const debit = await this.accounts.entry(operationId);
    return Math.abs(debit?.amount ?? 0);
  }
}

@CommandHandler(CloseCommand)
export class CloseHandler implements ICommandHandler<CloseCommand> {
  constructor(private readonly accounts: AccountRepository) {}

  async execute({ accountId }: CloseCommand): Promise<void> {
    await this.accounts.close(await this.accounts.take(accountId, fencingToken()));
  }
}

/** A deposit of what the debit, its child, has taken. */
@CommandHandler(CreditCommand)
export class CreditHandler implements ICommandHandler<CreditCommand> {
  constructor(private readonly deposits: DepositHandler) {}

  async execute({ accountId, operationId }: CreditCommand): Promise<void> {
    const debit = await previousStep();
    if (debit?.kind !== 'completed' || debit.value === 0) return;
    await this.deposits.execute(new DepositCommand(accountId, debit.value, creditOf(operationId)));
  }
}

/** The compensation. Idempotent by an operation id of its own, as every step is. */
@CommandHandler(SettleTransferCommand)
export class SettleTransferHandler implements ICommandHandler<SettleTransferCommand> {
  constructor(private readonly accounts: AccountRepository) {}

  async execute({ accountId, toAccountId, operationId }: SettleTransferCommand): Promise<void> {
    const credit = await previousStep();
    if (credit?.kind === 'completed') return;
    // The credit has failed, but its pod may have written it and died before it could say so. The first write of the credit's line
    // decides: from here on the money has arrived, or never will.
    const isCredited = await this.accounts.refuse({ operationId: creditOf(operationId), accountId: toAccountId });
    const debit = await this.accounts.entry(operationId);
    if (isCredited || !debit || debit.amount === 0) return;
    const account = await this.accounts.take(accountId, fencingToken());
    const refund = { operationId: refundOf(operationId), amount: -debit.amount };
    await this.accounts.save({ ...account, balance: account.balance + refund.amount }, refund);
  }
}
