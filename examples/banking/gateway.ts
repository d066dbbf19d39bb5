/**
 * How orders reach their handlers: through the account's queue, or, for contrast in the demo, at once.
 * An application would inject `QueueBus` and have no gateway.
 */
import { Injectable } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { QueueBus } from 'atomic-queues';
import {
  type AccountCommand,
  CreditCommand,
  creditOf,
  DepositCommand,
  SettleTransferCommand,
  type Transfer,
  WithdrawCommand,
} from './commands.js';

@Injectable()
export class OrderGateway {
  private readonly direct = process.env['WITHOUT_QUEUES'] === '1';

  constructor(
    private readonly queueBus: QueueBus,
    private readonly commandBus: CommandBus,
  ) {}

  async send(command: AccountCommand): Promise<void> {
    if (this.direct) await this.commandBus.execute(command);
    // The job carries the operation's id: the same order sent twice is one job as long as it waits.
    else await this.queueBus.enqueue(command, { jobId: command.operationId });
  }

  /**
   * A saga: debit, then credit, then the settlement, which refunds the debit if the credit has failed. Each is a job in the queue of
   * the account that it changes, and runs after the one below it, however many pods die in between.
   */
  async transfer({ accountId, toAccountId, amount, operationId }: Transfer): Promise<void> {
    const debit = new WithdrawCommand(accountId, amount, operationId);
    const settlement = new SettleTransferCommand(accountId, toAccountId, operationId);
    if (this.direct) {
      const paid: number = await this.commandBus.execute(debit);
      const credit = new DepositCommand(toAccountId, paid, creditOf(operationId));
      if (paid > 0) await this.commandBus.execute(credit).catch(() => this.commandBus.execute(settlement));
      return;
    }
    const tries = { attempts: 5, backoff: { type: 'exponential', delay: 100 } };
    await this.queueBus.enqueueFlow({
      command: settlement,
      options: { ...tries, idempotencyKey: operationId },
      children: [
        {
          command: new CreditCommand(toAccountId, operationId),
          options: tries,
          onFailure: 'tellParent',
          children: [{ command: debit, options: tries }],
        },
      ],
    });
  }
}
