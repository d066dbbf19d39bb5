/** Bad input and a bad environment, in a real Nest application: each leads to a typed error that names culprit and remedy. */
import { Injectable, Logger, type Provider } from '@nestjs/common';
import { CommandHandler, CqrsModule } from '@nestjs/cqrs';
import { Redis } from 'ioredis';
import { startRedis } from '#dev-redis';
import {
  type AtomicQueuesModuleOptions,
  JobHandler,
  QueueEntity,
  QueueEntityId,
  WorkerProcessor,
} from '../../src/index.js';
import { RedisApps } from '../support/redis-apps.js';
import { eventually } from '../support/wait.js';

const done: string[] = [];

@WorkerProcessor({ entityType: 'account' })
@Injectable()
class Accounts {
  @JobHandler('note')
  note(_job: unknown, entityId: string) {
    done.push(entityId);
  }
}

class Plain {
  constructor(readonly accountId: string) {}
}

@QueueEntity('account')
class NoId {
  readonly amount = 1;
}

@QueueEntity('account')
class Withdraw {
  constructor(
    @QueueEntityId() readonly accountId: unknown,
    readonly extra?: unknown,
  ) {}
}

describe('bad input', () => {
  const apps = new RedisApps({ imports: [CqrsModule], providers: [Accounts] });
  const { redis, prefix, logs } = apps;

  afterEach(async () => {
    await apps.clear();
    done.length = 0;
  });
  afterAll(() => apps.quit());

  const start = async (options: Partial<AtomicQueuesModuleOptions> = {}, providers: Provider[] = [Accounts]) =>
    (await apps.start(options, { providers })).bus;
  afterAll(() => Logger.overrideLogger(['fatal']));

  test('a class without a decorator, and one without an id, are refused', async () => {
    const bus = await start();
    await expect(bus.enqueue(new Plain('1'))).rejects.toMatchObject({
      code: 'INVALID_COMMAND',
      message: expect.stringMatching(/Plain.*@QueueEntity/),
    });
    await expect(bus.enqueue(new NoId())).rejects.toMatchObject({
      code: 'INVALID_COMMAND',
      message: expect.stringMatching(/NoId.*@QueueEntityId/),
    });
    await expect(bus.enqueue({} as object)).rejects.toMatchObject({ code: 'INVALID_COMMAND' });
    await expect(bus.enqueueJob({ entityType: 'account', entityId: '1', name: '' })).rejects.toMatchObject({
      code: 'INVALID_COMMAND',
    });
    expect(() => bus.forProcessor(Plain)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
  });

  test.each([undefined, null, '', {}, Number.NaN, 'x'.repeat(300)])('the entity id %p is refused', async id => {
    const bus = await start();
    await expect(bus.enqueue(new Withdraw(id))).rejects.toMatchObject({ code: 'INVALID_ENTITY' });
  });

  test('data that JSON cannot represent is refused; a bulk with one bad command adds nothing', async () => {
    const bus = await start();
    await expect(bus.enqueue(new Withdraw('1', 1n))).rejects.toMatchObject({ code: 'UNSERIALIZABLE_DATA' });
    await expect(bus.enqueueBulk([new Withdraw('bulk', 1), new Withdraw('bulk', () => 1)])).rejects.toMatchObject({
      code: 'UNSERIALIZABLE_DATA',
    });
    expect(await redis.keys(`${prefix}:account:bulk:*`)).toEqual([]);
  });

  test('a bulk reports which of its commands Redis refuses', async () => {
    const bus = await start();
    await redis.set(`${prefix}:account:broken:queue:wait`, 'not a list');
    const failure = await bus
      .forEntity('account')
      .enqueueBulk([new Plain('ok'), new Plain('broken')].map(plain => Object.assign(new Withdraw(plain.accountId))))
      .catch(error => error);
    expect(failure).toMatchObject({
      code: 'BULK_ENQUEUE_FAILED',
      errors: [undefined, expect.objectContaining({ code: 'STORE_REFUSED' })],
    });
    await redis.del(`${prefix}:account:broken:queue:wait`);
  });

  test('two command classes of one name are refused', async () => {
    const bus = await start();
    await bus.enqueue(new Withdraw('1'));
    const Other = (() => {
      @QueueEntity('account')
      class Withdraw {
        @QueueEntityId() readonly accountId = '1';
      }
      return Withdraw;
    })();
    await expect(bus.enqueue(new Other())).rejects.toMatchObject({
      code: 'HANDLER_CONFLICT',
      message: expect.stringMatching(/named "Withdraw"/),
    });

    @CommandHandler(Withdraw)
    class One {
      async execute() {}
    }
    @CommandHandler(Other)
    class Two {
      async execute() {}
    }
    await expect(start({}, [One, Two])).rejects.toMatchObject({
      code: 'HANDLER_CONFLICT',
      message: expect.stringMatching(/command "Withdraw"/),
    });
  });

  test('an unknown option is refused at start', async () => {
    await expect(start({ keyprefix: 'x' } as never)).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringMatching(/keyprefix/),
    });
    await expect(start({ workerDefaults: { heartbeatTtl: 3 } as never })).rejects.toMatchObject({
      code: 'INVALID_OPTION',
    });
  });

  test('a job without a handler on any pod fails after its grace period, and its reason names the remedy', async () => {
    const bus = await start({ workerDefaults: { unknownJobGraceMs: 10 } });
    await bus.enqueueJob({ entityType: 'account', entityId: 'missing', name: 'unknown-job' });
    await bus.enqueueJob({ entityType: 'account', entityId: 'missing', name: 'note' });
    await eventually('the next job runs', () => done.includes('missing'));
    expect(await redis.hget(`${prefix}:account:missing:queue:1`, 'failedReason')).toMatch(
      /No handler.*"unknown-job".*@JobHandler/,
    );
  });

  test('an application starts without Redis, says so, rejects in time, and works when Redis is there', async () => {
    const server = await startRedis({ alwaysPrivate: true });
    const { port } = server;
    await server.stop();
    const bus = await start({ redis: { host: '127.0.0.1', port }, commandTimeoutMs: 300 });
    await eventually('the reason is told', () => /ECONNREFUSED.*trying again/.test(logs.join('\n')));
    expect(logs.join('\n')).toMatch(/starts without it, and the library keeps trying/);
    const before = performance.now();
    await expect(bus.enqueueJob({ entityType: 'account', entityId: 'x', name: 'note' })).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      message: expect.stringMatching(
        /^The enqueue was not sent within 300 ms .*Redis at 127\.0\.0\.1:\d+ can't be reached \(connect ECONNREFUSED/,
      ),
    });
    expect(performance.now() - before).toBeLessThan(5000);
    const again = await startRedis({ alwaysPrivate: true, port });
    await eventually('a job runs', async () => {
      await bus.enqueueJob({ entityType: 'account', entityId: 'x', name: 'note' }).catch(() => {});
      return done.includes('x');
    });
    expect(logs.join('\n')).toMatch(/connected/);
    await apps.closeAll();
    await again.stop();
  });

  test('a wrong password is reported at start, at once', async () => {
    const server = await startRedis({ alwaysPrivate: true });
    const admin = new Redis(server.port);
    await admin.config('SET', 'requirepass', 'right');
    await expect(start({ redis: { port: server.port, password: 'wrong' } })).rejects.toMatchObject({
      code: 'AUTHENTICATION_FAILED',
      message: expect.stringMatching(/^Redis at localhost:\d+ refused the credentials \(WRONGPASS .*[^.]\); check/),
    });
    expect(logs.join('\n')).not.toMatch(/trying again/);
    await expect(start({ redis: { port: server.port } })).rejects.toMatchObject({ code: 'AUTHENTICATION_FAILED' });
    await admin.quit();
    await server.stop();
  });
});
