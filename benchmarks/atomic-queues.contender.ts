/** This library, as an application uses it. */
import type { INestApplicationContext } from '@nestjs/common';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AtomicQueuesModule, JobHandler, QueueBus, WorkerProcessor } from 'atomic-queues';
import type { Job } from 'bullmq';
import type { Contender, Handler } from './workloads.js';

export function atomicQueues(redisUrl: string): Contender {
  let app: INestApplicationContext;
  let bus: QueueBus;
  return {
    async start(handle: Handler) {
      @WorkerProcessor({ entityType: 'account' })
      @Injectable()
      class Processor {
        @JobHandler('work')
        work(job: Job<{ n: number }>, entityId: string) {
          return handle(entityId, job.data.n);
        }
      }
      @Module({
        imports: [AtomicQueuesModule.forRoot({ redis: { url: redisUrl }, keyPrefix: 'bench' })],
        providers: [Processor],
      })
      class App {}
      app = await NestFactory.createApplicationContext(App, { logger: ['error', 'warn'] });
      bus = app.get(QueueBus);
    },
    enqueue: (entityId, n) => bus.enqueueJob({ entityType: 'account', entityId, name: 'work', data: { n } }),
    stop: () => app.close(),
  };
}
