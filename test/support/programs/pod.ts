/**
 * A pod as a process of its own, for tests that kill it: it handles jobs of `account`, and writes what it does to a file, line by
 * line. Each line is in the kernel's hands before the handler goes on, so that a SIGKILL loses none.
 *
 * Settings come by environment: POD, REDIS_URL or REDIS (the option, as JSON), KEY_PREFIX, RECORD (the file), HANDLER_MS_MAX, IDLE_SECONDS,
 * HEARTBEAT_TTL (seconds), MAX_STALLED, COMMAND_TIMEOUT_MS, SHUTDOWN_TIMEOUT_MS, BLOCK_LIMIT_MS, and DIE_AT, where it kills itself: `claim`
 * (granted, with a job, that has not started), `fetch` (a job was ended and the next one has come), `effect` (a handler
 * has done its work, and has told no other process). The data of a job says what its handler does.
 */
import { existsSync, openSync, writeSync } from 'node:fs';
import { Inject, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  AtomicQueuesModule,
  BatchHandler,
  type JobContext,
  JobHandler,
  QueueBus,
  WorkerProcessor,
} from 'atomic-queues';
import type { Job } from 'bullmq';
import { Redis } from 'ioredis';

/** What a job of these tests carries. */
interface Work {
  readonly n: number;
  /** How long its handler waits. */
  readonly ms?: number;
  /** How long its handler blocks the event loop, the first time. */
  readonly blockMs?: number;
  /** Or until that file exists, the first time. */
  readonly blockUntil?: string;
  /** Its handler kills the process, every time. */
  readonly poison?: boolean;
  /** Its handler never settles. */
  readonly hangs?: boolean;
  /** How many of its attempts fail. */
  readonly failures?: number;
  /** The length of the error message of its handler, with each attempt. */
  readonly errorBytes?: number;
  /** How long its result is. */
  readonly resultBytes?: number;
  /** Its handler waits for a job of another entity, with that data, and returns what that does. */
  readonly call?: { readonly entityId: string; readonly data: Work };
}

const setting = (name: string, otherwise = '') => process.env[name] ?? otherwise;
const record = openSync(setting('RECORD'), 'a');
const handlerMsMax = Number(setting('HANDLER_MS_MAX', '0'));
const pod = setting('POD');
const dieAt = setting('DIE_AT');

/** No hook runs, nothing more is sent. */
function die(): void {
  writeSync(record, `${JSON.stringify({ what: 'die', pod, at: String(process.hrtime.bigint()) })}\n`);
  process.kill(process.pid, 'SIGKILL');
}

/** Nanoseconds of the machine's monotonic clock: one for all processes. */
function note(what: 'start' | 'end', entityId: string, n: number, { fencingToken, signal }: JobContext): void {
  const at = String(process.hrtime.bigint());
  writeSync(
    record,
    `${JSON.stringify({ what, pod, entityId, n, token: fencingToken, aborted: signal.aborted, at })}\n`,
  );
}

@WorkerProcessor({ entityType: 'account', idleTimeoutSeconds: Number(setting('IDLE_SECONDS', '15')) })
@Injectable()
class AccountProcessor {
  constructor(@Inject(QueueBus) private readonly bus: QueueBus) {}

  @JobHandler('*')
  async handle(job: Job<Work>, entityId: string, context: JobContext) {
    const { n, ms = Math.random() * handlerMsMax, blockMs = 0, blockUntil, poison, hangs, failures = 0 } = job.data;
    const { resultBytes, call, errorBytes } = job.data;
    note('start', entityId, n, context);
    if (poison) die();
    if (hangs) await new Promise(() => {});
    const isFirst = job.attemptsStarted === 1;
    for (const end = performance.now() + (isFirst ? blockMs : 0); performance.now() < end; );
    while (isFirst && blockUntil !== undefined && !existsSync(blockUntil));
    await (ms >= 1 ? new Promise(resolve => setTimeout(resolve, ms)) : null);
    note('end', entityId, n, context);
    if (dieAt === 'effect') die();
    if (job.attemptsMade < failures) throw new Error('not this time');
    if (errorBytes !== undefined) throw new Error('x'.repeat(errorBytes));
    if (call)
      return this.bus.enqueueJobAndWait({ entityType: 'account', name: 'work', ...call }, { timeoutMs: 60_000 });
    return resultBytes === undefined ? pod : 'x'.repeat(resultBytes);
  }

  /** Its error quotes all rows of the batch, like an error of a database. */
  @BatchHandler('rows', { max: 128, maxWaitMs: 1000 })
  insert(jobs: Job<Work>[]) {
    throw new Error(`can't insert ${JSON.stringify(jobs.map(({ data }) => data))}`);
  }
}

@Module({
  imports: [
    AtomicQueuesModule.forRoot({
      redis: JSON.parse(setting('REDIS', JSON.stringify({ url: setting('REDIS_URL') }))),
      keyPrefix: setting('KEY_PREFIX'),
      commandTimeoutMs: Number(setting('COMMAND_TIMEOUT_MS', '5000')),
      shutdownTimeoutMs: Number(setting('SHUTDOWN_TIMEOUT_MS', '10000')),
      workerDefaults: {
        heartbeatTTL: Number(setting('HEARTBEAT_TTL', '3')),
        maxStalledCount: Number(setting('MAX_STALLED', '1')),
        eventLoopBlockLimitMs: Number(setting('BLOCK_LIMIT_MS', '30000')),
      },
    }),
  ],
  providers: [AccountProcessor],
})
class PodModule {}

/** Between an answer of Redis and what the library makes of it. */
function dieOnAnswer(isTheOne: (texts: readonly unknown[], answer: string) => boolean): void {
  const { sendCommand } = Redis.prototype;
  Redis.prototype.sendCommand = async function (this: Redis, command, stream) {
    const answer = await sendCommand.call(this, command, stream);
    if (isTheOne(command.args, String(answer))) die();
    return answer;
  };
}
// A job comes with its data.
if (dieAt === 'claim') dieOnAnswer((_, answer) => answer.includes('CLAIMED') && answer.includes('"n":'));
if (dieAt === 'fetch') dieOnAnswer((texts, answer) => texts.includes('finish') && answer.includes('"n":'));

/** An operator sets the wall clock an hour ahead, and the next time an hour behind. */
const trueNow = Date.now;
let jumpMs = 0;
function jump(): void {
  jumpMs = jumpMs > 0 ? -3_600_000 : 3_600_000;
  Date.now = () => trueNow() + jumpMs;
}

const app = await NestFactory.createApplicationContext(PodModule, { logger: ['warn', 'error'] });
app.enableShutdownHooks();
process.on('message', async message => {
  if (message === 'jump') return jump();
  // `close`: its application; then it is to end of itself.
  await app.close();
  process.disconnect();
});
process.channel?.unref();
process.send?.('ready');
