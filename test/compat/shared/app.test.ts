/** An ordinary CommonJS application with an ordinary test, on a real Redis. */
import { randomBytes } from 'node:crypto';
import { Injectable, Module } from '@nestjs/common';
import { CommandHandler, CqrsModule, type ICommandHandler } from '@nestjs/cqrs';
import { Test } from '@nestjs/testing';
import { AtomicQueuesModule, JobHandler, QueueBus, QueueEntity, QueueEntityId, WorkerProcessor } from 'atomic-queues';
import type { Job } from 'bullmq';

const seen: string[] = [];
let allSeen: () => void;
const done = new Promise<void>(resolve => {
  allSeen = resolve;
});
const see = (what: string) => {
  if (seen.push(what) === 3) allSeen();
};

@QueueEntity('account')
class WithdrawCommand {
  constructor(
    @QueueEntityId() readonly accountId: string,
    readonly amount: number,
  ) {}
}

@CommandHandler(WithdrawCommand)
class WithdrawHandler implements ICommandHandler<WithdrawCommand> {
  async execute(command: WithdrawCommand) {
    see(`${command instanceof WithdrawCommand} ${command.accountId} ${command.amount}`);
  }
}

@WorkerProcessor({ entityType: 'account' })
@Injectable()
class AccountProcessor {
  @JobHandler('audit')
  async audit(job: Job<{ by: string }>, accountId: string) {
    await job.updateProgress(50);
    see(`audit ${accountId} ${job.data.by}`);
  }
}

@Module({
  imports: [
    CqrsModule,
    AtomicQueuesModule.forRoot({
      redis: { url: process.env['REDIS_URL'] },
      keyPrefix: `compat-${randomBytes(4).toString('hex')}`,
    }),
  ],
  providers: [WithdrawHandler, AccountProcessor],
})
class AppModule {}

test('commands and named jobs are handled', async () => {
  const app = await Test.createTestingModule({ imports: [AppModule] }).compile();
  await app.init();
  const bus = app.get(QueueBus);
  await bus.enqueueBulk([new WithdrawCommand('7', 1), new WithdrawCommand('7', 2)]);
  await bus.enqueueJob({ entityType: 'account', entityId: '7', name: 'audit', data: { by: 'me' } });
  await done;
  expect(seen).toEqual(['true 7 1', 'true 7 2', 'audit 7 me']);
  await app.close();
});
