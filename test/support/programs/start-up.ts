/**
 * An application whose start is under test, as a process of its own: what its hooks do as they await this library. Nothing else keeps
 * it alive. It prints a line for each thing that happened; one that ends without a word prints none.
 *
 * Settings come by environment: WHAT (a name of `scenarios`), REDIS_URL, KEY_PREFIX, COMMAND_TIMEOUT_MS, LAZY_CONNECT.
 */
import { Inject, Injectable, Module, type ModuleMetadata, type Provider } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AtomicQueuesModule, EntityQueues, JobHandler, QueueBus, WorkerProcessor } from 'atomic-queues';
import { Redis } from 'ioredis';

const say = (line: string) => process.stdout.write(`${line}\n`);
const note = { entityType: 'account', entityId: '1', name: 'note' };

@WorkerProcessor({ entityType: 'account' })
@Injectable()
class Accounts {
  @JobHandler('note')
  note() {
    say('handled');
    return 'result';
  }
}

/** A provider whose hook awaits something of the library, and says what came of it. */
function hook(name: 'onModuleInit' | 'onApplicationBootstrap', call: (bus: QueueBus, queues: EntityQueues) => unknown) {
  @Injectable()
  class Hooked {
    constructor(
      @Inject(QueueBus) private readonly bus: QueueBus,
      @Inject(EntityQueues) private readonly queues: EntityQueues,
    ) {}
    async [name]() {
      await outcome(name, call(this.bus, this.queues));
    }
  }
  return Hooked;
}

async function outcome(name: string, promise: unknown): Promise<void> {
  try {
    await promise;
    say(`${name}: fulfilled`);
  } catch (error) {
    say(`${name}: ${(error as { code?: string }).code}: ${(error as Error).message}`);
  }
}

const options = {
  redis: { url: process.env['REDIS_URL'] },
  keyPrefix: process.env['KEY_PREFIX'],
  commandTimeoutMs: Number(process.env['COMMAND_TIMEOUT_MS'] ?? 10_000),
  ...(process.env['LAZY_CONNECT'] && { lazyConnect: true }),
};

const scenarios: Readonly<Record<string, () => ModuleMetadata>> = {
  'enqueue in onModuleInit': () => app([hook('onModuleInit', bus => bus.enqueueJob(note))]),
  'enqueue in a factory': () =>
    app([
      {
        provide: 'factory',
        inject: [QueueBus],
        useFactory: (bus: QueueBus) => outcome('factory', bus.enqueueJob(note)),
      },
    ]),
  'wait in onModuleInit': () => app([hook('onModuleInit', bus => bus.enqueueJobAndWait(note, { timeoutMs: 20_000 }))]),
  'wait in onApplicationBootstrap': () =>
    app([hook('onApplicationBootstrap', bus => bus.enqueueJobAndWait(note, { timeoutMs: 20_000 }))]),
  'drain in onApplicationBootstrap': () =>
    app([
      hook('onApplicationBootstrap', async (bus, queues) => {
        await bus.enqueueJob(note);
        await queues.of('account', '1').drain({ timeoutMs: 20_000 });
      }),
    ]),
  'an instance with the port NaN': () => app([], new Redis({ port: Number.NaN, lazyConnect: true })),
  'TLS options that Node refuses': () => app([], { host: '127.0.0.1', tls: { minVersion: 'none' } }),
  'nothing but start and end': () => app([]),
  'the bare class': () => ({ imports: [AtomicQueuesModule] }),
};

function app(providers: Provider[], redis: object = options.redis): ModuleMetadata {
  return { imports: [AtomicQueuesModule.forRoot({ ...options, redis } as never)], providers: [Accounts, ...providers] };
}

async function main(): Promise<void> {
  const scenario = scenarios[process.env['WHAT'] ?? ''];
  if (!scenario) throw new Error('WHAT names no scenario');
  @Module(scenario())
  class App {}
  const started = await NestFactory.createApplicationContext(App, { logger: ['error', 'warn'], abortOnError: false });
  say('started');
  if (process.env['WHAT'] !== 'nothing but start and end') {
    await outcome('enqueue', started.get(QueueBus).enqueueJob(note));
  }
  await started.close();
  say('closed');
}

main().catch(error => {
  say(`failed: ${error.code}: ${error.message}`);
  process.exitCode = 1;
});
