/** Code of the application that the engine calls runs in no caller's AsyncLocalStorage, on real Redis. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Injectable, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { context as openTelemetry, ROOT_CONTEXT } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import type { Job } from 'bullmq';
import {
  AtomicQueuesEvents,
  AtomicQueuesModule,
  type AtomicQueuesModuleOptions,
  BatchHandler,
  EntityQueues,
  JobHandler,
  type PayloadCodec,
  QueueBus,
  WorkerProcessor,
} from '../../src/index.js';
import { connect, dropKeys, freshPrefix, redisUrl } from '../support/redis.js';
import { eventually, gate } from '../support/wait.js';

interface Caller {
  readonly user: string;
}
const callers = new AsyncLocalStorage<Caller>();
const declared = new AsyncLocalStorage<object>();
/** The store of a caller that each place has seen, or nothing. */
const seen: [where: string, caller: unknown][] = [];
const see = (where: string) => void seen.push([where, callers.getStore()?.user]);
const foreign = () => seen.filter(([, caller]) => caller !== undefined);
const count = (where: string) => seen.filter(([at]) => at === where).length;
let held = gate();

const codec: PayloadCodec = {
  name: 'noting',
  encode: value => JSON.parse(JSON.stringify(value)),
  decode: encoded => {
    see('decode');
    return encoded;
  },
};
const schema = {
  '~standard': {
    version: 1 as const,
    vendor: 'test',
    validate: (value: unknown) => {
      see('validate');
      return { value };
    },
  },
};

@WorkerProcessor({ entityType: 'account' })
@Injectable()
class Accounts {
  @JobHandler('note')
  async note({ data }: Job<{ what: string; failures?: number }>, _: string, { attempt }: { attempt: number }) {
    see(data.what);
    await turn();
    see(data.what);
    if (attempt <= (data.failures ?? 0)) throw new Error('again');
    return data.what;
  }
  @JobHandler('validated', { schema: schema as never })
  validated() {
    see('validated');
  }
  @JobHandler('held')
  async held() {
    see('held');
    await held.promise;
    see('released');
  }
  @JobHandler('peek', { shared: true })
  async peek() {
    see('peek');
    await turn();
    see('peek');
  }
  @BatchHandler('batched', { max: 10 })
  async batched(jobs: Job[]) {
    see('batch');
    await turn();
    return jobs.map(() => see('batch'));
  }
  @JobHandler('enters')
  enters() {
    see('enters');
    callers.enterWith({ user: 'entered by a handler' });
  }
  @JobHandler('traced')
  traced() {
    seen.push(['traced', openTelemetry.active() === ROOT_CONTEXT ? undefined : 'a caller’s span']);
  }
}

describe('the AsyncLocalStorage of a caller', () => {
  const redis = connect();
  let prefix: string;
  const apps: { close(): Promise<void> }[] = [];
  beforeEach(() => {
    prefix = freshPrefix();
    seen.length = 0;
    held = gate();
  });
  afterEach(async () => {
    held.open();
    while (apps.length > 0) await apps.pop()?.close();
    await dropKeys(redis, prefix);
  });
  afterAll(() => redis.quit());

  const start = async (options: Partial<AtomicQueuesModuleOptions> = {}, providers: Type[] = [Accounts]) => {
    const imports = [AtomicQueuesModule.forRoot({ redis: { url: redisUrl() }, keyPrefix: prefix, ...options })];
    @Module({ imports, providers })
    class App {}
    // An application may well be started by code that is in a context.
    const note = (line: unknown) => void (/^Redis \(/.test(String(line)) && see('log'));
    const logger = { log: note, warn: note, error: note };
    const app = await callers.run({ user: 'whoever started the application' }, () =>
      NestFactory.createApplicationContext(App, { logger }),
    );
    apps.push(app);
    const events = app.get(AtomicQueuesEvents);
    events.stream.subscribe(({ type }) => see(type));
    return { app, bus: app.get(QueueBus), queues: app.get(EntityQueues) };
  };
  const note = (what: string, data: object = {}, entityId = '1') => ({
    entityType: 'account',
    entityId,
    name: 'note',
    data: { what, ...data },
  });
  const named = (name: string, entityId = '1') => ({ ...note(name, {}, entityId), name });
  const as = <T>(user: string, run: () => T): T => callers.run({ user }, run);

  test('is visible in no handler, and in no subscriber to events: two callers of one entity, 40 callers of 4', async () => {
    const workerName = (id: string) => {
      see('workerName');
      return id;
    };
    const { bus } = await start({ entities: { account: { workerName } } });
    await Promise.all(['a', 'b'].map(user => as(user, () => bus.enqueueJob(note('two')))));
    await Promise.all(
      Array.from({ length: 40 }, (_, n) => as(`user ${n}`, () => bus.enqueueJob(note('many', {}, String(n % 4))))),
    );
    await eventually('all have run', () => count('many') === 80 && count('job.completed') === 42);
    expect(foreign()).toEqual([]);
  });

  test('is visible in no attempt, no run of a schedule, no delayed job, no batch, no shared read, no flow', async () => {
    const { bus, queues } = await start();
    await as('a', async () => {
      await bus.enqueueJob(note('tried', { failures: 2 }), { attempts: 3, backoff: 5 });
      await bus.enqueueJob(note('delayed', {}, '2'), { delay: 20 });
      await bus.scheduleJob(note('scheduled', {}, '3'), { id: 's', every: 20 });
      await Promise.all([1, 2, 3].map(() => bus.enqueueJob(named('batched', '4'))));
      await Promise.all([1, 2, 3].map(() => bus.enqueueJob(named('peek', '5'))));
      const children = [{ job: note('child', {}, '7') }, { job: note('child', {}, '8') }];
      await bus.enqueueFlow({ job: note('parent', {}, '6'), children });
    });
    const all = () => [
      count('tried'),
      count('delayed'),
      count('batch'),
      count('peek'),
      count('parent'),
      count('child'),
    ];
    await eventually('all have run', () => all().every(n => n > 1) && count('tried') === 6 && count('scheduled') > 4);
    await as('b', () => queues.of('account', '3').unschedule('s'));
    expect(foreign()).toEqual([]);
  });

  test('is visible in no line that a connection logs, when the application was started in one', async () => {
    await start({ redis: { host: '127.0.0.1', port: 1 }, commandTimeoutMs: 50 });
    await eventually('it was logged', () => count('log') > 0);
    expect(foreign()).toEqual([]);
  });

  test('is visible in no codec and no validator of a worker, and not in the declared context', async () => {
    const { bus } = await start({
      entities: { account: { codec } },
      context: {
        keys: ['tenant'],
        get: () => declared.getStore(),
        run: (values, callback) => {
          see('context.run');
          return declared.run(values, callback);
        },
      },
    });
    await declared.run({ tenant: 't' }, () => as('a', () => bus.enqueueJob(named('validated'))));
    await as('b', () => bus.enqueueJob(note('plain')));
    await eventually('both have run', () => count('plain') === 2);
    expect(seen.map(([where]) => where)).toEqual(
      expect.arrayContaining(['decode', 'validate', 'context.run', 'validated']),
    );
    // An enqueue asks the schema, in the context of its caller; then the worker does.
    expect(seen.filter(([where]) => where === 'validate').map(([, caller]) => caller)).toEqual(['a', undefined]);
    expect(foreign()).toHaveLength(1);
  });

  test('is restored for a caller that awaits a result or an enqueue', async () => {
    const { bus } = await start();
    const found = await Promise.all(
      ['a', 'b', 'c'].map(user =>
        as(user, async () => {
          await bus.enqueueJob(note('first'));
          const between = callers.getStore()?.user;
          await bus.enqueueJobAndWait(note('second'), { timeoutMs: 10_000 });
          return [between, callers.getStore()?.user];
        }),
      ),
    );
    expect(found).toEqual([
      ['a', 'a'],
      ['b', 'b'],
      ['c', 'c'],
    ]);
    expect(foreign()).toEqual([]);
  });

  test('is not visible in the jobs of a pod that takes over, shuts down, or gets an entity by a hand-over', async () => {
    const first = await start();
    await as('a', () => first.bus.enqueueJob(named('held')));
    await as('b', () => first.bus.enqueueJob(note('behind')));
    await eventually('it runs', () => count('held') === 1);
    await start({ entities: { account: { workerName: id => (id === 'dead' ? (see('workerName') ?? id) : id) } } });
    const closing = as('c', () => apps.shift()?.close());
    held.open();
    await closing;
    await eventually('the other has run what was behind', () => count('behind') === 2);
    // A pod has died while it ran a job.
    const producer = await start({ producerOnly: true }, []);
    const key = `${prefix}:account:dead:queue`;
    await redis.hset(`${key}:$:worker`, { owner: 'dead', epoch: 1, until: 9e15, token: 1, entity: 'account:dead' });
    await as('d', () => producer.bus.enqueueJob(note('recovered', {}, 'dead')));
    await redis.lmove(`${key}:wait`, `${key}:active`, 'RIGHT', 'LEFT');
    await redis.hset(`${key}:$:worker`, 'until', 1);
    await redis.zadd(`${prefix}:$:due:account`, 1, 'dead');
    await eventually('it was taken over', () => count('recovered') === 2 && count('workerName') > 0);
    expect(count('released')).toBe(1);
    expect(count('worker.takeover')).toBe(1);
    expect(foreign()).toEqual([]);
  });

  test('does not include what an earlier handler or subscriber has entered and left', async () => {
    const { app, bus } = await start();
    let isFirst = true;
    app.get(AtomicQueuesEvents).stream.subscribe(() => {
      if (isFirst) callers.enterWith({ user: 'entered by a subscriber' });
      isFirst = false;
    });
    await bus.enqueueJob(note('before'));
    await bus.enqueueJob(named('enters'));
    await bus.enqueueJob(note('after'));
    await bus.enqueueJob(named('enters', '2'));
    await eventually('all have ended', () => count('after') === 2 && count('job.completed') === 4);
    expect(foreign()).toEqual([]);
  });

  test('of OpenTelemetry: a handler is in no span of a caller without tracing', async () => {
    openTelemetry.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    try {
      const { bus } = await start();
      const span = ROOT_CONTEXT.setValue(Symbol('span'), 'of a caller');
      await openTelemetry.with(span, () => bus.enqueueJob(named('traced')));
      await openTelemetry.with(span, () => bus.enqueueJob(named('traced')));
      await eventually('both have run', () => count('traced') === 2);
      expect(foreign()).toEqual([]);
    } finally {
      openTelemetry.disable();
    }
  });

  test('is not kept in memory by the worker, the connections and the timers that its call has started', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const { bus, queues } = await start();
    const call = async (entityId: string) => {
      const caller = { user: 'a', request: new ArrayBuffer(1 << 20) };
      await callers.run(caller, async () => {
        const answer = bus.enqueueJobAndWait(note('kept', {}, entityId), { timeoutMs: 10_000 });
        await bus.enqueueJob(note('kept', {}, entityId));
        await answer;
        await queues.of('account', entityId).status();
      });
      return new WeakRef(caller);
    };
    const refs = [call('1'), call('2')];
    // Meanwhile the worker of an entity runs, and the slow poll for replies.
    const others = [bus.enqueueJob(named('held')), bus.enqueueJobAndWait(named('held', '2'), { timeoutMs: 30_000 })];
    for (const other of others) other.catch(() => {});
    await eventually('the others run', () => count('held') === 2);
    await eventually('nothing holds it', async () => {
      await turn();
      collect();
      return (await Promise.all(refs)).every(ref => ref.deref() === undefined);
    });
    held.open();
    await Promise.all(others);
    expect(foreign()).toEqual([]);
  });
});
