/** Nest applications on real Redis whose handlers note their payloads. */
import { Injectable, type Type } from '@nestjs/common';
import { CommandHandler, CqrsModule } from '@nestjs/cqrs';
import type { Job } from 'bullmq';
import {
  type AtomicQueuesModuleOptions,
  JobHandler,
  QueueEntity,
  QueueEntityId,
  WorkerProcessor,
} from '../../src/index.js';
import { RedisApps } from './redis-apps.js';

/** The payloads that handlers got, in their order. */
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
  private readonly apps = new RedisApps({ imports: [CqrsModule], providers: HANDLERS });
  readonly redis = this.apps.redis;
  readonly prefix = this.apps.prefix;
  readonly logs = this.apps.logs;

  constructor() {
    seen.length = 0;
  }

  /** @param providers none: a pod that enqueues, and can read what it has codecs for. */
  async start(options: Partial<AtomicQueuesModuleOptions>, providers: Type[] = HANDLERS) {
    const app = await this.apps.start(options, { providers });
    return { bus: app.bus, queue: app.queue('account', '1') };
  }

  /** Closes those that have started so far. */
  stop(): Promise<void> {
    return this.apps.closeAll();
  }

  /** The jobs of account 1. */
  key(jobId: string): string {
    return `${this.prefix}:account:1:queue:${jobId}`;
  }

  /** The content of all hashes, as text. */
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
    await this.apps.clear();
    await this.apps.quit();
  }
}
