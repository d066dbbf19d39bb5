/** The user of docs/operating.md, which has exactly the rights that the library needs, runs all of it. */
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';
import { startRedis } from '#dev-redis';
import { AtomicQueuesModule } from '../../src/nest/atomic-queues.module.js';
import { QueueBus } from '../../src/nest/bus/queue-bus.js';
import { JobHandler } from '../../src/nest/decorators/job-handler.decorator.js';
import { WorkerProcessor } from '../../src/nest/decorators/worker-processor.decorator.js';
import { EntityQueues } from '../../src/nest/operator/entity-queues.js';
import { Bull } from '../../src/store/redis/bullmq/encode.js';
import { composeDispatcher } from '../../src/store/redis/lua/compose.js';
import { RENEWAL } from '../../src/store/redis/lua/generated.js';
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
  const lua = composeDispatcher(scripts) + RENEWAL;
  const used = [...lua.matchAll(/(?:redis\.p?call|rcall|write)(?:\(|, )["'](\w+)["']/g)].map(([, name = '']) =>
    name.toLowerCase(),
  );
  const allowed: readonly string[] = line.match(/(?<=\+)\w+/g) ?? [];
  expect(used.length).toBeGreaterThan(100);
  expect([...new Set(used)].filter(name => !allowed.includes(name))).toEqual([]);
});

const job = (name: string, entityId = '1') => ({ entityType: 'account', entityId, name });

test('the engine runs as a user without INFO and CONFIG; nothing else is refused, and it says so once', async () => {
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
    expect(logs.filter(each => !/SIGTERM|always|Nest|initialized|added outside this library/.test(each))).toEqual([
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

describe('a right that the user lacks', () => {
  let server: Awaited<ReturnType<typeof startRedis>>;
  let admin: Redis;
  let app: Awaited<ReturnType<typeof application>> | undefined;
  beforeEach(async () => {
    server = await startRedis({ alwaysPrivate: true });
    admin = new Redis(server.url);
    logs.length = 0;
  });
  afterEach(async () => {
    await app?.close();
    app = undefined;
    admin.disconnect();
    await server.stop();
  });

  const start = async (...rights: string[]) => {
    const [, , ...rules] = line.trim().split(' ');
    await admin.call('ACL', 'SETUSER', ...rules, ...rights);
    app = await application(server.url.replace('//', '//worker:secret@'));
    return app.get(QueueBus);
  };
  const about = (command: string) => logs.filter(each => each.includes(command));
  /** How often Redis has refused a command. */
  const refusals = async (command: string) => {
    const entries = (await admin.call('ACL', 'LOG', '100')) as unknown[][];
    const counts = entries
      .filter(entry => entry.includes(command))
      .map(entry => Number(entry[entry.indexOf('count') + 1]));
    return counts.reduce((sum, count) => sum + count, 0);
  };
  const podKey = async (name: string) => {
    let alive: string | undefined;
    await eventually('the pod is heard', async () => {
      [alive] = await admin.keys('aq:$:pod:*:alive');
      return alive !== undefined;
    });
    return alive?.replace('alive', name) ?? '';
  };

  test.each([
    ['BZPOPMIN', 'for its next sweep'],
    ['ZPOPMIN', 'for its next sweep'],
    ['XREAD', 'come seconds late'],
    ['XDEL', 'come seconds late'],
  ])(
    '%s: it is logged once, with effect and remedy; work continues, and the right is used when it is granted',
    async (command, effect) => {
      const right = command.toLowerCase();
      const bus = await start(`-${right}`);
      const calls = bus.enqueueJobAndWait(job('call'), { timeoutMs: 20_000 });
      // ZPOPMIN follows a wake-up.
      const wake = async () => {
        if (command === 'ZPOPMIN') await admin.zadd(await podKey('wake'), 0, 'account:9', 0, 'account:8');
      };
      await eventually(`${command} is refused again and again`, async () => {
        await wake();
        return (await refusals(right)) >= 3;
      });
      expect(await refusals(right)).toBeLessThan(30);
      expect(await calls).toBe('call');
      expect(about(`Redis refuses ${command} `)).toEqual([
        expect.stringMatching(new RegExp(`\\(NOPERM.*${effect}.* \\+${right} on ~aq:\\*.*docs/operating\\.md`)),
      ]);
      await admin.call('ACL', 'SETUSER', 'worker', `+${right}`);
      await eventually(`${command} is used`, async () => {
        await wake();
        return about(`Redis runs ${command} again.`).length === 1;
      });
    },
  );

  test('a command in a script: callers and the log learn where the rights are listed', async () => {
    const bus = await start('-hmset');
    const error = await bus.enqueueJob(job('call')).catch(thrown => thrown);
    expect(error).toMatchObject({ code: 'STORE_REFUSED' });
    expect(error.message).toMatch(/; give its user the rights in docs\/operating\.md, Access control\.$/);
    await admin.call('ACL', 'SETUSER', 'worker', '+hmset', '-pexpire');
    await eventually('renewals are refused', () => about('Renewal of claims failed').length > 0);
    expect(about('Renewal of claims failed')[0]).toContain('give its user the rights');
  });

  test('a key of another type: it is logged once, and no right is blamed', async () => {
    const bus = await start();
    await admin.set(await podKey('answers'), 'a text');
    const call = bus.enqueueJobAndWait(job('call'), { timeoutMs: 1000 }).catch(error => error);
    await eventually('it is logged', () => about('Redis refuses XREAD').length > 0);
    await call;
    expect(about('Redis refuses XREAD')).toEqual([expect.stringMatching(/WRONGTYPE/)]);
    expect(about('Redis refuses XREAD').join()).not.toContain('ACL');
  });
});
