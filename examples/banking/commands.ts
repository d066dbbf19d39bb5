/** What can be done to an account. Each command goes to the queue of the account that it changes. */
import { QueueEntity, QueueEntityId } from 'atomic-queues';

@QueueEntity('account', { name: 'account.deposit' })
export class DepositCommand {
  constructor(
    @QueueEntityId() readonly accountId: string,
    readonly amount: number,
    /** Chosen by the client, and the same in every try: it makes the command idempotent from end to end. */
    readonly operationId: string,
  ) {}
}

@QueueEntity('account', { name: 'account.withdraw' })
export class WithdrawCommand {
  constructor(
    @QueueEntityId() readonly accountId: string,
    readonly amount: number,
    readonly operationId: string,
  ) {}
}

/** Runs on the account that pays; the other one gets a deposit. */
@QueueEntity('account', { name: 'account.transfer' })
export class TransferCommand {
  constructor(
    @QueueEntityId() readonly accountId: string,
    readonly toAccountId: string,
    readonly amount: number,
    readonly operationId: string,
  ) {}
}

export type AccountCommand = DepositCommand | WithdrawCommand | TransferCommand;
