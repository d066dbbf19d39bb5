/**
 * The types of the public API, checked by the compiler (`npm run check`): what must compile, and what must not.
 * Nothing here runs.
 */
import { Command, Query } from '@nestjs/cqrs';
import type { Job } from 'bullmq';
import { Redis } from 'ioredis';
import {
  AtomicQueuesError,
  AtomicQueuesModule,
  type AtomicQueuesModuleOptions,
  type AtomicQueuesOptionsFactory,
  type CronManagerService,
  DeadlockError,
  type EnqueuedJob,
  type EntityQueue,
  type EntityQueues,
  type EntityStatus,
  HandlerError,
  type JobContext,
  JobHandler,
  type QueueBus,
  QueueEntity,
  QueueEntityId,
  ReplyTimeoutError,
  type SpawnQueueService,
  WorkerProcessor,
} from '../../src/index.js';

@QueueEntity('account', { name: 'account.withdraw' })
export class Parameter {
  constructor(
    @QueueEntityId() readonly accountId: string,
    readonly amount: number,
  ) {}
}

export class Property {
  @QueueEntityId() readonly accountId!: string;
}

@WorkerProcessor({
  entityType: 'account',
  queueName: id => `account-${id}-queue`,
  workerConfig: { lockDuration: 60_000 },
})
export class Processor {
  @JobHandler('audit')
  async audit(job: Job, entityId: string, context: JobContext): Promise<string> {
    return `${job.name} ${entityId} ${context.fencingToken} ${context.signal.aborted}`;
  }
}

class Factory implements AtomicQueuesOptionsFactory {
  createAtomicQueuesOptions(): AtomicQueuesModuleOptions {
    return { redis: { url: 'redis://localhost' } };
  }
}

export const modules = [
  AtomicQueuesModule.forRoot({ redis: { host: 'localhost', port: 6379, password: 'x', db: 1, tls: {} } }),
  AtomicQueuesModule.forRoot({ redis: new Redis({ lazyConnect: true }), isGlobal: false }),
  AtomicQueuesModule.forRootAsync({ useClass: Factory }),
  AtomicQueuesModule.forRootAsync({ useExisting: Factory, isGlobal: false }),
  AtomicQueuesModule.forRootAsync({
    inject: [Factory],
    useFactory: async (factory: Factory) => factory.createAtomicQueuesOptions(),
  }),
  // @ts-expect-error Redis is needed
  AtomicQueuesModule.forRoot({}),
  // @ts-expect-error a typo
  AtomicQueuesModule.forRoot({ redis: {}, keyprefix: 'x' }),
  // @ts-expect-error a typo further in
  AtomicQueuesModule.forRoot({ redis: {}, entities: { account: { idleTimeout: 5 } } }),
];

export async function enqueue(bus: QueueBus): Promise<void> {
  const receipt: EnqueuedJob = await bus.enqueue(new Parameter('1', 5), { jobId: 'x', delay: 5 });
  receipt.queueName satisfies string;
  await bus.enqueueJob({ entityType: 'account', entityId: 42n, name: 'audit' });
  await bus.forEntity('account').enqueueJob({ entityId: 42, name: 'audit', data: { any: 'thing' } });
  await bus.forProcessor(Processor).enqueueBulk([new Parameter('1', 5)]);
  // @ts-expect-error a command is an object
  await bus.enqueue('text');
  // @ts-expect-error an option that BullMQ does not have
  await bus.enqueue(new Parameter('1', 5), { dealy: 5 });
  // @ts-expect-error which entity?
  await bus.enqueueJob({ entityType: 'account', name: 'audit' });
  // @ts-expect-error the scope says the type
  await bus.forEntity('account').enqueueJob({ entityType: 'order', entityId: 1, name: 'audit' });
}

export class Withdraw extends Command<{ balance: number }> {}
export class Balance extends Query<number | undefined> {}

export async function wait(bus: QueueBus, signal: AbortSignal): Promise<void> {
  const receipt = await bus.enqueueAndWait(new Withdraw(), { timeoutMs: 5, signal, cancelJob: true, attempts: 2 });
  receipt satisfies { balance: number };
  // @ts-expect-error it is a number
  receipt.balance satisfies string;
  const balance: number | undefined = await bus.forEntity('account').enqueueAndWait(new Balance());
  // @ts-expect-error there may be none
  balance satisfies number;
  const plain = await bus.enqueueAndWait(new Parameter('1', 5));
  // @ts-expect-error nobody knows what it is
  plain satisfies string;
  const named: string = await bus.enqueueAndWait<string>(new Parameter('1', 5));
  const job: unknown = await bus.enqueueJobAndWait({ entityType: 'account', entityId: named, name: 'audit' });
  const typed: number = await bus.forProcessor(Processor).enqueueJobAndWait<number>({ entityId: 1, name: 'audit' });
  // @ts-expect-error a typo
  await bus.enqueueAndWait(new Withdraw(), { timeout: typed });
  // @ts-expect-error a command is an object
  await bus.enqueueAndWait(String(job));
}

export function whatBecame(error: unknown): string {
  if (error instanceof HandlerError) return `${error.originalName} ${error.originalCode} ${error.message}`;
  if (error instanceof ReplyTimeoutError) return `${error.state} ${error.entityId} ${error.jobId?.trim()}`;
  return error instanceof DeadlockError ? error.chain.map(({ id }) => id).join() : 'other';
}

export async function ask(spawn: SpawnQueueService, cron: CronManagerService): Promise<void> {
  await spawn.request('account', 42n);
  await cron.reconcile();
}

export async function operate(queues: EntityQueues): Promise<string | undefined> {
  const account: EntityQueue = queues.of('account', 42);
  await account.pause();
  const { waiting, blockedBy }: EntityStatus = await account.status();
  // @ts-expect-error nobody retries what may not block
  blockedBy.jobId.trim();
  // @ts-expect-error an entity has a type and an id
  queues.of('account');
  return waiting > 0 ? blockedBy?.reason : undefined;
}

export const ORDERED: AtomicQueuesModuleOptions = {
  redis: {},
  entities: {
    account: { ordering: 'strict', onExhausted: 'block' },
    // @ts-expect-error it is 'strict' or 'relaxed'
    order: { ordering: 'loose' },
  },
};

export const codeOf = (error: unknown): string | undefined =>
  error instanceof AtomicQueuesError ? error.code : undefined;
