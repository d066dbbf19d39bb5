/**
 * How orders reach their handlers: through the account's queue, or, for contrast in the demo, at once.
 * An application would inject `QueueBus` and have no gateway.
 */
import { Injectable } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { QueueBus } from 'atomic-queues';
import type { AccountCommand } from './commands.js';

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
}
