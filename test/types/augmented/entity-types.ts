/**
 * The types of an application that declares its entity types and jobs: code that must compile, and code that must not. A program of
 * its own, because its declarations hold for a whole program. Nothing here runs.
 */
import { Command, Query } from '@nestjs/cqrs';
import {
  AtomicQueuesModule,
  type EntityQueues,
  type EntityTypeName,
  type JobData,
  type JobName,
  type JobResult,
  type NamedJob,
  type QueueBus,
  QueueEntity,
  type ResultOf,
  type SpawnQueueService,
  WorkerProcessor,
} from 'atomic-queues';

declare module 'atomic-queues' {
  interface EntityTypes {
    account: {
      jobs: {
        audit: { data: { by: string }; result: number };
        close: { data?: undefined };
        note: { result: string };
        count: { data?: { from: number } };
      };
    };
    order: object;
  }
}

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const holds = <T extends true>(_: T) => {};

holds<Same<EntityTypeName, 'account' | 'order'>>(true);
holds<Same<JobName<'account'>, 'audit' | 'close' | 'note' | 'count'>>(true);
holds<Same<JobName<'order'>, string>>(true);
holds<Same<JobData<'account', 'audit'>, { by: string }>>(true);
holds<Same<JobData<'account', 'note'>, unknown>>(true);
holds<Same<JobData<'order', 'ship'>, unknown>>(true);
holds<Same<JobResult<'account', 'audit'>, number>>(true);
holds<Same<JobResult<'account', 'close'>, unknown>>(true);

export async function enqueue(bus: QueueBus): Promise<void> {
  await bus.enqueueJob({ entityType: 'account', entityId: 1, name: 'audit', data: { by: 'me' } });
  await bus.enqueueJob({ entityType: 'account', entityId: 1, name: 'close' });
  await bus.enqueueJob({ entityType: 'account', entityId: 1, name: 'note', data: ['anything'] });
  await bus.enqueueJob({ entityType: 'order', entityId: 1, name: 'ship', data: { any: 'thing' } });
  await bus.enqueueJob({ entityType: 'account', entityId: 1, name: 'count' });
  await bus.enqueueJob({ entityType: 'account', entityId: 1, name: 'count', data: { from: 5 } });
  await bus.scheduleJob({ entityType: 'account', entityId: 1, name: 'close' }, { id: 's', every: 5 });
  // @ts-expect-error optional data of another type
  await bus.enqueueJob({ entityType: 'account', entityId: 1, name: 'count', data: { from: '5' } });
  // @ts-expect-error unknown entity type
  await bus.enqueueJob({ entityType: 'acount', entityId: 1, name: 'close' });
  // @ts-expect-error unknown job
  await bus.enqueueJob({ entityType: 'account', entityId: 1, name: 'audits', data: { by: 'me' } });
  // @ts-expect-error data of another type
  await bus.enqueueJob({ entityType: 'account', entityId: 1, name: 'audit', data: { by: 5 } });
  // @ts-expect-error missing data
  await bus.enqueueJob({ entityType: 'account', entityId: 1, name: 'audit' });
  // @ts-expect-error data for a job without data
  await bus.enqueueJob({ entityType: 'account', entityId: 1, name: 'close', data: 5 });
  // @ts-expect-error a schedule of an unknown job
  await bus.scheduleJob({ entityType: 'account', entityId: 1, name: 'closed' }, { id: 's', every: 5 });

  await bus.enqueueFlow({
    job: { entityType: 'order', entityId: 1, name: 'ship' },
    children: [{ job: { entityType: 'account', entityId: 1, name: 'audit', data: { by: 'me' } } }],
  });
  await bus.enqueueFlow({
    job: { entityType: 'order', entityId: 1, name: 'ship' },
    // @ts-expect-error data of another type
    children: [{ job: { entityType: 'account', entityId: 1, name: 'audit', data: { by: 5 } } }],
  });

  const audited = await bus.enqueueJobAndWait({
    entityType: 'account',
    entityId: 1,
    name: 'audit',
    data: { by: 'me' },
  });
  holds<Same<typeof audited, number>>(true);
  const noted = await bus.forEntity('account').enqueueJobAndWait({ entityId: 1, name: 'note' }, { timeoutMs: 5 });
  holds<Same<typeof noted, string>>(true);
  const shipped = await bus.enqueueJobAndWait({ entityType: 'order', entityId: 1, name: 'ship' });
  holds<Same<typeof shipped, unknown>>(true);
  const named = await bus.enqueueJobAndWait<{ weight: number }>({ entityType: 'order', entityId: 1, name: 'ship' });
  holds<Same<typeof named, { weight: number }>>(true);
  // @ts-expect-error data of another type
  await bus.enqueueJobAndWait({ entityType: 'account', entityId: 1, name: 'audit', data: { by: 5 } });
  // @ts-expect-error unknown job
  await bus.forEntity('account').enqueueJobAndWait({ entityId: 1, name: 'ship' });

  const accounts = bus.forEntity('account');
  await accounts.enqueueJob({ entityId: 1, name: 'audit', data: { by: 'me' } });
  await accounts.scheduleJob({ entityId: 1, name: 'close' }, { id: 's', every: 5 });
  await bus.forEntity('order').enqueueJob({ entityId: 1, name: 'ship' });
  // @ts-expect-error unknown entity type
  bus.forEntity('acount');
  // @ts-expect-error unknown job of this type
  await accounts.enqueueJob({ entityId: 1, name: 'ship' });
  // @ts-expect-error data of another type
  await accounts.enqueueJob({ entityId: 1, name: 'audit', data: { by: 5 } });
  // @ts-expect-error a schedule of an unknown job
  await accounts.scheduleJob({ entityId: 1, name: 'ship' }, { id: 's', every: 5 });
  // The compiler does not know the type of a processor.
  await bus.forProcessor(Processor).enqueueJob({ entityId: 1, name: 'whatever' });
}

export function operate(queues: EntityQueues, spawn: SpawnQueueService): void {
  queues.of('account', 1);
  queues.ofType('order');
  // @ts-expect-error unknown entity type
  queues.of('acount', 1);
  // @ts-expect-error unknown entity type
  queues.ofType('acount');
  // @ts-expect-error unknown entity type
  queues.deadLetters('acount');
  // @ts-expect-error unknown entity type
  void spawn.request('acount', 1);
}

@QueueEntity('account')
export class Known {}

// @ts-expect-error unknown entity type
@QueueEntity('acount')
export class Unknown {}

@WorkerProcessor({ entityType: 'order' })
export class Processor {}

// @ts-expect-error unknown entity type
@WorkerProcessor({ entityType: 'ordr' })
export class Stranger {}

export const modules = [
  AtomicQueuesModule.forRoot({ redis: {}, entities: { account: { idleTimeoutSeconds: 5 } } }),
  // @ts-expect-error unknown entity type
  AtomicQueuesModule.forRoot({ redis: {}, entities: { acount: { idleTimeoutSeconds: 5 } } }),
];

export const later: NamedJob[] = [
  { entityType: 'account', entityId: 1, name: 'audit', data: { by: 'me' } },
  { entityType: 'order', entityId: 1, name: 'ship' },
];

export class Find extends Query<{ balance: number }> {}
export class Pay extends Command<'paid' | 'refused'> {}
holds<Same<ResultOf<Find>, { balance: number }>>(true);
holds<Same<ResultOf<Pay>, 'paid' | 'refused'>>(true);
holds<Same<ResultOf<Known>, unknown>>(true);
