/** This library, as an application uses it. */
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AtomicQueuesModule, JobHandler, QueueBus, WorkerProcessor } from 'atomic-queues';
import type { Job } from 'bullmq';
import { type Contender, type ContenderKind, ONE_AT_A_TIME_IN_ORDER, type Payload, type Setup } from './contender.js';

function create(): Contender {
  let bus: QueueBus;
  return {
    async start({ redisUrl, handle }: Setup) {
      @WorkerProcessor({ entityType: 'account' })
      @Injectable()
      class Processor {
        @JobHandler('work')
        work(job: Job<Payload>, entityId: string) {
          return handle(entityId, job.data);
        }
      }
      @Module({
        imports: [AtomicQueuesModule.forRoot({ redis: { url: redisUrl }, keyPrefix: 'bench' })],
        providers: [Processor],
      })
      class App {}
      const app = await NestFactory.createApplicationContext(App, { logger: ['error', 'warn'] });
      app.enableShutdownHooks();
      bus = app.get(QueueBus);
    },
    enqueue: (entityId, data) => bus.enqueueJob({ entityType: 'account', entityId, name: 'work', data }),
  };
}

export const atomicQueues: ContenderKind = { name: 'atomic-queues', keeps: ONE_AT_A_TIME_IN_ORDER, create };
