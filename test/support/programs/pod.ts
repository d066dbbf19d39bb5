/**
 * A pod as a process of its own, for tests that kill it: handles jobs of `account`, and writes what it does to a file,
 * line by line, each in the kernel's hands before the handler goes on, so that a SIGKILL loses none.
 *
 * Settings come by environment: POD, REDIS_URL, KEY_PREFIX, RECORD (the file), HANDLER_MS_MAX, IDLE_SECONDS,
 * MAX_STALLED (how often a job may lose its pod).
 */
import { openSync, writeSync } from 'node:fs';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AtomicQueuesModule, type JobContext, JobHandler, WorkerProcessor } from 'atomic-queues';
import type { Job } from 'bullmq';

const setting = (name: string, otherwise = '') => process.env[name] ?? otherwise;
const record = openSync(setting('RECORD'), 'a');
const handlerMsMax = Number(setting('HANDLER_MS_MAX', '0'));
const pod = setting('POD');

/** Nanoseconds of the machine's monotonic clock: one for all processes. */
function note(what: 'start' | 'end', entityId: string, n: number, token: string): void {
  writeSync(record, `${JSON.stringify({ what, pod, entityId, n, token, at: String(process.hrtime.bigint()) })}\n`);
}

@WorkerProcessor({ entityType: 'account', idleTimeoutSeconds: Number(setting('IDLE_SECONDS', '15')) })
@Injectable()
class AccountProcessor {
  @JobHandler('*')
  async handle(job: Job<{ n: number }>, entityId: string, { fencingToken }: JobContext) {
    note('start', entityId, job.data.n, fencingToken);
    const ms = Math.random() * handlerMsMax;
    await (ms >= 1 ? new Promise(resolve => setTimeout(resolve, ms)) : null);
    note('end', entityId, job.data.n, fencingToken);
  }
}

@Module({
  imports: [
    AtomicQueuesModule.forRoot({
      redis: { url: setting('REDIS_URL') },
      keyPrefix: setting('KEY_PREFIX'),
      workerDefaults: { maxStalledCount: Number(setting('MAX_STALLED', '1')) },
    }),
  ],
  providers: [AccountProcessor],
})
class PodModule {}

const app = await NestFactory.createApplicationContext(PodModule, { logger: ['warn', 'error'] });
app.enableShutdownHooks();
process.send?.('ready');
