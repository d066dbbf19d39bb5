/**
 * The types of the public API, checked by the compiler (`npm run check`): code that must compile, and code that must not.
 * Nothing here runs.
 */

import { AsyncLocalStorage } from 'node:async_hooks';
import { Command, Query } from '@nestjs/cqrs';
import type { Job } from 'bullmq';
import { Redis } from 'ioredis';
import superjson, { SuperJSON } from 'superjson';
import { z } from 'zod';
import {
  AtomicQueuesError,
  AtomicQueuesModule,
  type AtomicQueuesModuleOptions,
  type AtomicQueuesOptionsFactory,
  BatchFailure,
  BatchHandler,
  type ContextOptions,
  type ContextValue,
  type CronManagerService,
  currentEntity,
  DeadlockError,
  type EnqueuedJob,
  type EntityContext,
  type EntityQueue,
  type EntityQueues,
  type EntityStatus,
  type EntityTypeName,
  encryptedCodec,
  HandlerError,
  type JobContext,
  JobHandler,
  type JobHandlerOptions,
  jsonCodec,
  type NamedJob,
  type QueueBus,
  QueueEntity,
  QueueEntityId,
  ReplyTimeoutError,
  type ResultOf,
  type SpawnQueueService,
  superjsonCodec,
  ValidationError,
  WorkerProcessor,
} from '../../src/index.js';

@QueueEntity('account', { name: 'account.withdraw' })
export class Parameter {
  constructor(
    @QueueEntityId() readonly accountId: string,
    readonly amount: number,
  ) {}
}

@QueueEntity('account', { shared: true })
export class Shared {
  @QueueEntityId() readonly accountId!: string;
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
  @JobHandler('balance', { shared: true } satisfies JobHandlerOptions)
  balance(job: Job): string {
    return job.name;
  }
  // @ts-expect-error an unknown option
  @JobHandler('other', { share: true })
  other(): void {}
}

export class Batches {
  @BatchHandler('reading', { max: 100, maxWaitMs: 50 })
  async store(jobs: Job<{ n: number }>[], entityId: string, { fencingToken }: EntityContext): Promise<void> {
    const [first] = jobs;
    if (first) throw new BatchFailure([{ job: first, error: `${entityId} ${fencingToken}` }]);
  }
  @BatchHandler('summed', { max: 2, schema: z.object({ n: z.number() }) })
  sum(jobs: readonly Job[]): number[] {
    return jobs.map(() => Number(currentEntity()?.fencingToken));
  }
  // @ts-expect-error a batch has one result for each job
  @BatchHandler('wrong', { max: 2 })
  wrong(_jobs: Job[]): number {
    return 1;
  }
  // @ts-expect-error a batch has a bound
  @BatchHandler('unbounded', {})
  unbounded(_jobs: Job[]): void {}
}

class Factory implements AtomicQueuesOptionsFactory {
  createAtomicQueuesOptions(): AtomicQueuesModuleOptions {
    return { redis: { url: 'redis://localhost' } };
  }
}

export const modules = [
  AtomicQueuesModule.forRoot({ redis: { host: 'localhost', port: 6379, password: 'x', db: 1, tls: {} } }),
  AtomicQueuesModule.forRoot({ redis: { sentinels: [{ host: 'a', port: 26_379 }], name: 'primary', password: 'x' } }),
  AtomicQueuesModule.forRoot({ redis: new Redis({ lazyConnect: true }), isGlobal: false }),
  AtomicQueuesModule.forRootAsync({ useClass: Factory }),
  AtomicQueuesModule.forRootAsync({ useExisting: Factory, isGlobal: false }),
  AtomicQueuesModule.forRootAsync({
    inject: [Factory],
    useFactory: async (factory: Factory) => factory.createAtomicQueuesOptions(),
  }),
  // @ts-expect-error redis is required
  AtomicQueuesModule.forRoot({}),
  // @ts-expect-error a typo
  AtomicQueuesModule.forRoot({ redis: {}, keyprefix: 'x' }),
  // @ts-expect-error a nested typo
  AtomicQueuesModule.forRoot({ redis: {}, entities: { account: { idleTimeout: 5 } } }),
];

export async function enqueue(bus: QueueBus): Promise<void> {
  const receipt: EnqueuedJob = await bus.enqueue(new Parameter('1', 5), { jobId: 'x', delay: 5 });
  receipt.queueName satisfies string;
  await bus.enqueueJob({ entityType: 'account', entityId: 42n, name: 'audit' });
  await bus.forEntity('account').enqueueJob({ entityId: 42, name: 'audit', data: { any: 'thing' } });
  await bus.forProcessor(Processor).enqueueBulk([new Parameter('1', 5)]);
  await bus.enqueueBulk([new Parameter('1', 5)], { attempts: 3 });
  await bus.enqueueBulk([new Parameter('1', 5)], (command, index) => ({
    jobId: `${command.constructor.name}${index}`,
  }));
  const { children } = await bus.enqueueFlow({
    command: new Parameter('1', 5),
    children: [
      { job: { entityType: 'account', entityId: 2, name: 'audit' }, onFailure: 'tellParent', options: { delay: 5 } },
    ],
  });
  children[0]?.jobId satisfies string | undefined;
  const node = { command: new Parameter('1', 5) };
  // @ts-expect-error only 'failParent' or 'tellParent'
  await bus.enqueueFlow({ ...node, children: [{ ...node, onFailure: 'no' }] });
  // @ts-expect-error a command or a named job is required
  await bus.enqueueFlow({ children: [] });
  // @ts-expect-error a command is an object
  await bus.enqueue('text');
  // @ts-expect-error an option that BullMQ does not have
  await bus.enqueue(new Parameter('1', 5), { dealy: 5 });
  // @ts-expect-error the entity is missing
  await bus.enqueueJob({ entityType: 'account', name: 'audit' });
  // @ts-expect-error the scope has the type
  await bus.forEntity('account').enqueueJob({ entityType: 'order', entityId: 1, name: 'audit' });
}

/** If an application does not declare its entity types, any name is valid. */
export async function anyName(bus: QueueBus, name: string, data: unknown): Promise<void> {
  const job: NamedJob = { entityType: name, entityId: 1, name, data };
  await bus.enqueueJob(job);
  await bus.forEntity(name).enqueueJob({ entityId: 1, name, data });
  name satisfies EntityTypeName;
}

export const result: ResultOf<Parameter> = 'unknown';

@QueueEntity('account', { schema: z.object({ accountId: z.string() }) })
export class Checked {
  @QueueEntityId() readonly accountId!: string;
}

// @ts-expect-error not a schema
@QueueEntity('account', { schema: { parse: () => ({}) } })
export class Unchecked {}

export const CODECS: AtomicQueuesModuleOptions = {
  redis: {},
  codec: superjsonCodec(new SuperJSON()),
  readCodecs: [encryptedCodec({ keyId: 'a', encrypt: text => text, decrypt: text => text }, superjsonCodec(superjson))],
  entities: { account: { codec: jsonCodec, maxPayloadBytes: 1 } },
};

export const LATE: AtomicQueuesModuleOptions = {
  redis: {},
  // @ts-expect-error a codec is synchronous
  codec: encryptedCodec({ keyId: 'a', encrypt: async (text: string) => text, decrypt: text => text }),
};

export const pathsOf = (error: unknown): string[] =>
  error instanceof ValidationError ? error.issues.map(({ path }) => path.join('.')) : [];

export async function sum(context: JobContext): Promise<number> {
  const results = await context.children<number>();
  return results.reduce((sum, { outcome }) => sum + (outcome.kind === 'completed' ? outcome.value : 0), 0);
}

export class Withdraw extends Command<{ balance: number }> {}
export class Balance extends Query<number | undefined> {}

export async function wait(bus: QueueBus, signal: AbortSignal): Promise<void> {
  const receipt = await bus.enqueueAndWait(new Withdraw(), { timeoutMs: 5, signal, cancelJob: true, attempts: 2 });
  receipt satisfies { balance: number };
  // @ts-expect-error the value is a number
  receipt.balance satisfies string;
  const balance: number | undefined = await bus.forEntity('account').enqueueAndWait(new Balance());
  // @ts-expect-error the value may be undefined
  balance satisfies number;
  const plain = await bus.enqueueAndWait(new Parameter('1', 5));
  // @ts-expect-error the value is unknown
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
  if (error instanceof HandlerError && error.status !== undefined) return `${error.status.toFixed()} ${error.response}`;
  if (error instanceof HandlerError) {
    const within = error.errors?.map(({ message }) => message).join() ?? '';
    return `${error.originalName} ${error.originalCode} ${error.message} ${within}`;
  }
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
  // @ts-expect-error only a type that may block has a retry
  blockedBy.jobId.trim();
  // @ts-expect-error an entity has a type and an id
  queues.of('account');
  return waiting > 0 ? blockedBy?.reason : undefined;
}

export const ORDERED: AtomicQueuesModuleOptions = {
  redis: {},
  entities: {
    account: { ordering: 'strict', onExhausted: 'block' },
    // @ts-expect-error only 'strict' or 'relaxed'
    order: { ordering: 'loose' },
  },
};

const storage = new AsyncLocalStorage<{ tenantId?: string }>();
const context: ContextOptions = {
  keys: ['tenantId'],
  get: () => storage.getStore(),
  run: (values, callback) => storage.run(values, callback),
};
export const WITH_CONTEXT: AtomicQueuesModuleOptions = { redis: {}, context, tracing: true };
// @ts-expect-error a captured context needs a run function
export const HALF_A_HOOK: ContextOptions = { keys: ['tenantId'], get: () => storage.getStore() };
export const FORGETFUL: ContextOptions = {
  ...context,
  // @ts-expect-error it must return the result of its callback
  run: (values, callback) => {
    storage.run(values, callback);
  },
};

export function tenantOf({ contextValues }: JobContext): string {
  // @ts-expect-error they belong to the caller, and are not changed
  contextValues['tenantId'] = 'other';
  const value: ContextValue | undefined = contextValues['tenantId'];
  return typeof value === 'string' ? value : '';
}

@WorkerProcessor({ entityType: 'account', enhancers: true })
export class Guarded {}

export const codeOf = (error: unknown): string | undefined =>
  error instanceof AtomicQueuesError ? error.code : undefined;
