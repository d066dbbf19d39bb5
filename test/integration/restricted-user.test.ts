/** The user of docs/operating.md, who may do what the library does and nothing else, runs all of it. */
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';
import { startRedis } from '#dev-redis';
import { AtomicQueuesModule } from '../../src/nest/atomic-queues.module.js';
import { JobHandler, WorkerProcessor } from '../../src/nest/decorators.js';
import { EntityQueues } from '../../src/nest/entity-queues.js';
import { QueueBus } from '../../src/nest/queue-bus.js';
import { Bull } from '../../src/store/redis/bullmq.js';
import { composeDispatcher } from '../../src/store/redis/scripts/dispatcher.js';
import { renewLua } from '../../src/store/redis/scripts/renew.lua.js';
import { codeBlocks } from '../support/doc-code.js';
import { eventually } from '../support/wait.js';

const [line = ''] = codeBlocks('docs/operating.md', 'acl');
const seen: string[] = [];
const logs: string[] = [];

@WorkerProcessor({ entityType: 'account' })
@Injectable()
class Accounts {
  @JobHandler('*')
  handle(job: { name: string }) {
    seen.push(job.name);
    if (job.name === 'fails') throw new Error('always');
    return job.name;
  }
}

function application(url: string) {
  @Module({
    imports: [
      AtomicQueuesModule.forRoot({
        redis: { url },
        enableCronManager: true,
        discoveryIntervalMs: 200,
        workerDefaults: { heartbeatTTL: 1 },
        entities: { account: { onExhausted: 'deadLetter', maxPending: 100 }, sorted: { ordering: 'relaxed' } },
      }),
    ],
    providers: [Accounts],
  })
  class App {}
  const log = (message: unknown) => logs.push(String(message));
  return NestFactory.createApplicationContext(App, {
    logger: { log, warn: log, error: log, debug() {}, verbose() {} } as never,
  });
}

test('the rules of the user name every command that a script uses', async () => {
  const { scripts } = await Bull.load('aq:pod');
  const lua = composeDispatcher(scripts) + renewLua;
  const used = [...lua.matchAll(/(?:redis\.p?call|rcall|write)(?:\(|, )["'](\w+)["']/g)].map(([, name = '']) =>
    name.toLowerCase(),
  );
  const allowed: readonly string[] = line.match(/(?<=\+)\w+/g) ?? [];
  expect(used.length).toBeGreaterThan(100);
  expect([...new Set(used)].filter(name => !allowed.includes(name))).toEqual([]);
});

const job = (name: string, entityId = '1') => ({ entityType: 'account', entityId, name });

test('the engine runs as a user without INFO and CONFIG; it is refused nothing else, and says so once', async () => {
  const server = await startRedis({ alwaysPrivate: true });
  const admin = new Redis(server.url);
  let app: Awaited<ReturnType<typeof application>> | undefined;
  try {
    const [, , ...rules] = line.trim().split(' ');
    await admin.call('ACL', 'SETUSER', ...rules);
    app = await application(server.url.replace('//', '//worker:secret@'));
    const bus = app.get(QueueBus);
    const account = app.get(EntityQueues).of('account', '1');
    expect(await bus.enqueueJobAndWait(job('call'), { timeoutMs: 10_000 })).toBe('call');
    await bus.enqueueJob(job('once'), { idempotencyKey: 'k' });
    await bus.enqueueJob(job('later'), { delay: 50 });
    await bus.enqueueJob({ ...job('prior'), entityType: 'sorted' }, { priority: 2 });
    await bus.enqueueFlow({ job: job('parent'), children: [{ job: job('child', '2') }, { job: job('child', '3') }] });
    await bus.scheduleJob(job('again'), { id: 'often', every: 200 });
    await bus.enqueueJob(job('fails'));
    await eventually('all ran', () => ['once', 'later', 'parent', 'again'].every(name => seen.includes(name)));
    const letters = app.get(EntityQueues).deadLetters('account');
    await eventually('a dead letter', async () => (await letters.list()).length === 1);
    await letters.replayAll();
    await account.pause();
    await account.drop();
    await account.resume();
    await account.unschedule('often');
    await account.list('completed');
    await account.drain({ timeoutMs: 10_000 });
    const denied = (await admin.call('ACL', 'LOG', '100')) as unknown[][];
    const commands = denied.map(entry => entry[entry.indexOf('object') + 1]);
    expect([...new Set(commands)].sort()).toEqual(['client|id', 'client|setname', 'info']);
    expect(logs.filter(each => !/SIGTERM|always|Nest|initialized|came past/.test(each))).toEqual([
      expect.stringMatching(/^Entities: account: /),
      expect.stringMatching(/^The option entities names types .* "sorted"\./),
      expect.stringMatching(/^Redis does not say whether it evicts keys \(NOPERM/),
      expect.stringMatching(/^No live pod has handlers for entity type "sorted"/),
    ]);
  } finally {
    await app?.close();
    admin.disconnect();
    await server.stop();
  }
});
