/** What code below a handler can learn about its job. */
import { setTimeout as pause } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import { CommandHandler, CqrsModule } from '@nestjs/cqrs';
import { QueueBus } from '../../../src/nest/bus/queue-bus.js';
import { currentJob, type JobContext } from '../../../src/nest/current-job.js';
import { JobHandler } from '../../../src/nest/decorators/job-handler.decorator.js';
import { QueueEntity, QueueEntityId } from '../../../src/nest/decorators/queue-entity.decorator.js';
import { WorkerProcessor } from '../../../src/nest/decorators/worker-processor.decorator.js';
import { application } from '../../support/nest-application.js';
import { eventually } from '../../support/wait.js';

@QueueEntity('account')
class Withdraw {
  constructor(@QueueEntityId() readonly accountId: string) {}
}

@Injectable()
class Repository {
  readonly seen: (JobContext | undefined)[] = [];
  async save() {
    await pause(1);
    this.seen.push(currentJob());
  }
}

@CommandHandler(Withdraw)
class WithdrawHandler {
  constructor(@Inject(Repository) private readonly repository: Repository) {}
  execute() {
    return this.repository.save();
  }
}

@WorkerProcessor({ entityType: 'account' })
class Accounts {
  argument: JobContext | undefined;
  constructor(@Inject(Repository) private readonly repository: Repository) {}
  @JobHandler('audit')
  async audit(_job: unknown, _id: string, context: JobContext) {
    this.argument = context;
    await this.repository.save();
  }
}

test('a handler of either kind, and the code that it calls, sees its own job, and code outside sees none', async () => {
  const app = await application([Repository, WithdrawHandler, Accounts], { imports: [CqrsModule] });
  await app.init();
  const bus = app.get(QueueBus);
  const repository = app.get(Repository);
  await Promise.all(['1', '2', '3'].map(id => bus.enqueue(new Withdraw(id))));
  await bus.enqueueJob({ entityType: 'account', entityId: '4', name: 'audit', data: { by: 'me' } });
  await eventually('all have run', () => repository.seen.length === 4);
  expect(repository.seen.map(job => job?.entityId).sort()).toEqual(['1', '2', '3', '4']);
  const audit = repository.seen.find(job => job?.entityId === '4');
  expect(audit).toBe(app.get(Accounts).argument);
  expect(audit).toMatchObject({ entityType: 'account', attempt: 1, fencingToken: expect.stringMatching(/^\d+$/) });
  expect(audit?.signal.aborted).toBe(false);
  expect(audit?.job).toMatchObject({ name: 'audit', data: { by: 'me' } });
  expect(currentJob()).toBeUndefined();
  await app.close();
});

test('currentJob that is switched off costs nothing and has no job, and the third argument is still there', async () => {
  const app = await application([Repository, Accounts], { currentJob: false });
  await app.init();
  await app.get(QueueBus).enqueueJob({ entityType: 'account', entityId: '4', name: 'audit' });
  const { seen } = app.get(Repository);
  await eventually('it has run', () => seen.length === 1);
  expect(seen).toEqual([undefined]);
  expect(app.get(Accounts).argument?.entityId).toBe('4');
  await app.close();
});
