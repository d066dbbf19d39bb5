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

/** Nothing more is paid into the account. */
@QueueEntity('account', { name: 'account.close' })
export class CloseCommand {
  constructor(@QueueEntityId() readonly accountId: string) {}
}

/** The second step of a transfer: credits the account that is paid with what the debit has taken. */
@QueueEntity('account', { name: 'account.credit' })
export class CreditCommand {
  constructor(
    @QueueEntityId() readonly accountId: string,
    readonly operationId: string,
  ) {}
}

/** The last step of a transfer: gives the money back to the account that has paid, if it has not arrived. */
@QueueEntity('account', { name: 'account.settle' })
export class SettleTransferCommand {
  constructor(
    @QueueEntityId() readonly accountId: string,
    readonly toAccountId: string,
    readonly operationId: string,
  ) {}
}

export type AccountCommand = DepositCommand | WithdrawCommand;

/** A transfer as a client asks for it. */
export interface Transfer {
  readonly accountId: string;
  readonly toAccountId: string;
  readonly amount: number;
  readonly operationId: string;
}

/** Ids of a transfer's credit and refund, made from its own id: the same in every attempt. */
export const creditOf = (operationId: string) => `${operationId}-credit`;
export const refundOf = (operationId: string) => `${operationId}-refund`;
