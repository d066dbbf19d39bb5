/** Nest applications on real Redis whose handlers note what they are given, for tests of payloads. */
import { Injectable, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CommandHandler, CqrsModule } from '@nestjs/cqrs';
import type { Job } from 'bullmq';
import {
  AtomicQueuesModule,
  type AtomicQueuesModuleOptions,
  EntityQueues,
  JobHandler,
  QueueBus,
  QueueEntity,
  QueueEntityId,
  WorkerProcessor,
} from '../../src/index.js';
import { connect, dropKeys, freshPrefix, redisUrl } from './redis.js';

/** What handlers were given, in their order. */
export const seen: unknown[] = [];

@QueueEntity('account')
export class Withdraw {
  constructor(
    @QueueEntityId() readonly accountId: string,
    readonly amount: bigint,
    readonly at: Date,
  ) {}
}

@CommandHandler(Withdraw)
class WithdrawHandler {
  async execute(command: Withdraw) {
    seen.push(command);
    return { paid: command.amount };
  }
}

@WorkerProcessor({ entityType: 'account' })
@Injectable()
class Accounts {
  @JobHandler('audit')
  async audit(job: Job) {
    seen.push(job.data);
    if (job.data.tries === undefined) return new Map([['done', job.data.at]]);
    await job.updateData({ ...job.data, tries: job.data.tries + 1n });
    seen.push(job.data.tries);
    throw new Error('once more');
  }
  @JobHandler('grow')
  async grow(job: Job) {
    await job.updateData({ text: 'x'.repeat(200) });
  }
}

export const HANDLERS: Type[] = [WithdrawHandler, Accounts];

/** An audit of account 1, by name. */
export const audit = (data: unknown) => ({ entityType: 'account', entityId: '1', name: 'audit', data });

export class PayloadApps {
  readonly redis = connect();
  readonly prefix = freshPrefix();
  readonly logs: string[] = [];
  private readonly apps: { close(): Promise<void> }[] = [];

  constructor() {
    seen.length = 0;
  }

  /** @param providers none: a pod that enqueues, and can read what it has codecs for. */
  async start(options: Partial<AtomicQueuesModuleOptions>, providers: Type[] = HANDLERS) {
    const { prefix: keyPrefix } = this;
    @Module({
      imports: [CqrsModule, AtomicQueuesModule.forRoot({ redis: { url: redisUrl() }, keyPrefix, ...options })],
      providers,
    })
    class App {}
    const note = (message: unknown) => void this.logs.push(String(message));
    const logger = { log: note, warn: note, error: note, debug: () => {}, verbose: () => {} };
    const app = await NestFactory.createApplicationContext(App, { logger, abortOnError: false });
    this.apps.push(app);
    return { bus: app.get(QueueBus), queue: app.get(EntityQueues).of('account', '1') };
  }

  /** Closes the last one. */
  async stop(): Promise<void> {
    await this.apps.pop()?.close();
  }

  /** Of account 1. */
  key(jobId: string): string {
    return `${this.prefix}:account:1:queue:${jobId}`;
  }

  /** All that hashes hold, as text. */
  async hashes(): Promise<string> {
    const keys = await this.redis.keys(`${this.prefix}:*`);
    const texts = await Promise.all(
      keys.map(async key =>
        (await this.redis.type(key)) === 'hash' ? JSON.stringify(await this.redis.hgetall(key)) : '',
      ),
    );
    return texts.join('\n');
  }

  async close(): Promise<void> {
    while (this.apps.length > 0) await this.stop();
    await dropKeys(this.redis, this.prefix);
    await this.redis.quit();
  }
}
