/**
 * Records in Redis that are not what this library wrote: changed by hand, by another program, or damaged. A job whose hash is damaged
 * fails once, its entity continues, and nothing else is affected. Every field is given every hostile value, an entity for each pair.
 */
import { Injectable, type Type } from '@nestjs/common';
import type { Job } from 'bullmq';
import {
  type AtomicQueuesModuleOptions,
  EntityQueues,
  JobHandler,
  type QueueBus,
  WorkerProcessor,
} from '../../src/index.js';
import { RedisApps } from '../support/redis-apps.js';
import { RedisEntity } from '../support/redis-entity.js';
import { eventually, type Gate, gate } from '../support/wait.js';

/** The text of a field; nothing: the field is removed. */
type Value = string | undefined;
const HUGE = 'x'.repeat(100_000);
const VALUES: readonly Value[] = [
  undefined,
  '',
  'null',
  '{',
  '{}',
  '[]',
  '[null]',
  '"text"',
  'text',
  'true',
  '0',
  '-1',
  '1.5',
  'inf',
  'nan',
  '1e999',
  '99999999999999999999',
  '9007199254740993',
  '\u0000\n',
  HUGE,
];
const JOB_FIELDS = [
  'name',
  'data',
  'opts',
  'timestamp',
  'delay',
  'priority',
  'ats',
  'atm',
  'stc',
  'stacktrace',
  'skip',
  'rjk',
];
const OTHER_FIELDS = [
  'parentKey',
  'parent',
  'aq',
  'left',
  'deid',
  'processedOn',
  'finishedOn',
  'failedReason',
  'returnvalue',
  'progress',
  'pb',
];
const OPTIONS = [
  '{"attempts":"x"}',
  '{"attempts":{}}',
  '{"attempts":null}',
  '{"removeOnFail":"x"}',
  '{"removeOnFail":{"age":"x"}}',
  '{"removeOnFail":null,"removeOnComplete":null}',
  '{"removeOnComplete":{"count":[]}}',
  '{"stackTraceLimit":"x"}',
  '{"stackTraceLimit":-5}',
  '{"backoff":{"type":5,"delay":{}},"attempts":2}',
  '{"repeat":5}',
  '{"kl":"x","de":5,"tm":{},"sizeLimit":{}}',
];
const ENVELOPES = ['codec', 'children', 'reply', 'chain', 'ctx', 'trace'].flatMap(name =>
  ['5', 'null', '"x"', '[]', '[5]', '{"a":{}}'].map(value => `{"${name}":${value}}`),
);
const JOB_CASES: readonly (readonly [field: string, value: Value])[] = [
  ...[...JOB_FIELDS, ...OTHER_FIELDS].flatMap(field => VALUES.map(value => [field, value] as const)),
  ...OPTIONS.map(value => ['opts', value] as const),
  ...ENVELOPES.map(value => ['aq', value] as const),
  ['parent', '{"id":"1","queueKey":"x"}'],
  ['parentKey', 'x:1'],
];
const CLAIM_FIELDS = [
  'owner',
  'epoch',
  'until',
  'entity',
  'token',
  'hold',
  'rests',
  'recall',
  'gathers',
  'lastId',
  'keysUntil',
];
const CLAIM_CASES = [
  ...CLAIM_FIELDS.flatMap(field => VALUES.map(value => [field, value] as const)),
  ...['99999999999999999999:99999999999999999999:0:1', '1:x:y:z', ':::'].map(value => ['hold', value] as const),
  ['gathers', '99999999999999999999:99999999999999999999'],
  ['entity', 'account:another'],
] as readonly (readonly [string, Value])[];

interface Data {
  readonly what: string;
}
let started: Record<string, string[]>;
let barriers: Record<string, Gate>;

@WorkerProcessor({ entityType: 'account' })
@Injectable()
class Accounts {
  @JobHandler('note')
  async note({ data }: Job<Data>, id: string) {
    const runs = started[id] ?? [];
    started[id] = runs;
    runs.push(String(data?.what).slice(0, 20));
    if (data?.what === 'held') await barriers[id]?.promise;
    return data?.what;
  }
}

describe('damaged records', () => {
  const apps = new RedisApps(
    { providers: [Accounts] },
    { workerDefaults: { heartbeatTTL: 1, stalledInterval: 200, unknownJobGraceMs: 0 }, shutdownTimeoutMs: 5000 },
  );
  const { redis, prefix, logs } = apps;
  const unhandled: unknown[] = [];
  const onUnhandled = (error: unknown) => void unhandled.push(error);
  beforeAll(() => void process.on('unhandledRejection', onUnhandled));
  afterAll(() => void process.off('unhandledRejection', onUnhandled));
  beforeEach(() => {
    started = {};
    barriers = {};
    unhandled.length = 0;
  });
  afterEach(async () => {
    for (const { open } of Object.values(barriers)) open();
    await apps.clear();
  });
  afterAll(() => apps.quit());

  const start = async (options: Partial<AtomicQueuesModuleOptions> = {}, providers: Type[] = [Accounts]) => {
    const app = await apps.start(options, { providers });
    return { bus: app.bus, queues: app.get(EntityQueues) };
  };
  const base = (id: string) => `${prefix}:account:${id}:queue`;
  const job = (id: string, what: string) => ({ entityType: 'account', entityId: id, name: 'note', data: { what } });
  const damage = (key: string, [field, value]: readonly [string, Value]) =>
    value === undefined ? redis.hdel(key, field) : redis.hset(key, field, value);
  const nameOf = ([field, value]: readonly [string, Value]) => `${field} = ${value?.slice(0, 30) ?? 'gone'}`;

  /** Which entities have not run what they should; with what each has run instead. */
  const behind = (names: readonly string[], expected: readonly string[]) =>
    names.flatMap((name, id) => {
      const runs = started[id] ?? [];
      const isInOrder = JSON.stringify(runs.filter(what => expected.includes(what))) === JSON.stringify(expected);
      return isInOrder ? [] : [`${name}: ${runs}`];
    });
  const allRun = async (names: readonly string[], expected: readonly string[], withinMs = 25_000) => {
    await eventually('every entity went on', () => behind(names, expected).length === 0, withinMs, 50).catch(() => {});
    expect(behind(names, expected)).toEqual([]);
  };
  /** No work is left, however the damaged job has ended. */
  const allSettled = async (names: readonly string[]) => {
    const left = async () => {
      const found = await Promise.all(
        names.map(async (name, id) => {
          const counts = await Promise.all([
            redis.llen(`${base(String(id))}:wait`),
            redis.llen(`${base(String(id))}:active`),
          ]);
          return counts.some(count => count > 0) ? [`${name}: ${counts}`] : [];
        }),
      );
      return found.flat();
    };
    await eventually('nothing is left', async () => (await left()).length === 0, 15_000, 100).catch(() => {});
    expect(await left()).toEqual([]);
  };
  const allWell = async (names: readonly string[]) => {
    const closingAt = Date.now();
    await apps.closeAll();
    expect(Date.now() - closingAt).toBeLessThan(4000);
    expect(unhandled).toEqual([]);
    expect(logs.filter(line => /SyntaxError|TypeError/.test(line))).toEqual([]);
    // One line for the failure of each, and hardly more; none of them long.
    expect(logs.length).toBeLessThan(4 * names.length + 50);
    // A huge name affects only its log line, which bounds names.
    expect(
      logs
        .filter(line => line.length > 2000 && !line.includes(`("${HUGE.slice(0, 50)}`))
        .map(line => line.slice(0, 200)),
    ).toEqual([]);
  };

  test('a waiting job fails once, or runs; jobs before and behind it run in order', async () => {
    const names = JOB_CASES.map(nameOf);
    const { bus } = await start({}, []);
    await Promise.all(
      JOB_CASES.map(async (one, id) => {
        await bus.enqueueJob(job(String(id), 'first'));
        const { jobId } = await bus.enqueueJob(job(String(id), 'victim'));
        for (const what of ['third', 'last']) await bus.enqueueJob(job(String(id), what));
        await damage(`${base(String(id))}:${jobId}`, one);
      }),
    );
    const { queues } = await start();
    await allRun(names, ['first', 'third', 'last']);
    await allSettled(names);
    for (const [id, name] of names.entries()) {
      const victims = (started[id] ?? []).filter(what => !['first', 'third', 'last'].includes(what));
      const failed = await queues.of('account', String(id)).list('failed');
      expect([name, victims.length + failed.length]).toEqual([name, 1]);
      if (failed[0]) expect([name, failed[0].failedReason]).toEqual([name, expect.stringMatching(/\S/)]);
    }
    await allWell(names);
  }, 90_000);

  /** An entity for each case, in which a job runs and waits for its barrier, with others behind it. */
  const running = async (bus: QueueBus, cases: readonly unknown[]) => {
    const ids = cases.map((_, id) => String(id));
    for (const id of ids) barriers[id] = gate();
    const held = await Promise.all(ids.map(id => bus.enqueueJob(job(id, 'held'), { attempts: 2 })));
    await eventually('all run', () => ids.every(id => started[id]?.length === 1));
    await Promise.all(ids.flatMap(id => ['second', 'third'].map(what => bus.enqueueJob(job(id, what)))));
    return held.map(({ jobId }, id) => `${base(String(id))}:${jobId}`);
  };
  const openAll = () => {
    for (const { open } of Object.values(barriers)) open();
  };

  test('a running job ends once, and jobs behind it run', async () => {
    // BullMQ searches the name of a parent for an id, in quadratic time. This library cannot bound that while a job runs.
    const cases = JOB_CASES.filter(([field, value]) => !(field === 'parentKey' && value === HUGE));
    const names = cases.map(nameOf);
    const { bus } = await start();
    const keys = await running(bus, cases);
    await Promise.all(cases.map((one, id) => damage(keys[id] ?? '', one)));
    openAll();
    await allRun(names, ['second', 'third']);
    await allSettled(names);
    await allWell(names);
  }, 90_000);

  test('the claim of a worker that runs a job: the entity continues, and an enqueue meanwhile is added', async () => {
    const names = CLAIM_CASES.map(nameOf);
    const { bus } = await start();
    await running(bus, CLAIM_CASES);
    await Promise.all(CLAIM_CASES.map((one, id) => damage(`${base(String(id))}:$:worker`, one)));
    await Promise.all(names.map((_, id) => bus.enqueueJob(job(String(id), 'fourth'))));
    openAll();
    await allRun(names, ['second', 'third', 'fourth']);
    await allSettled(names);
    await allWell(names);
  }, 90_000);

  test('the claim or fence of an idle entity: an enqueue of this pod and of another is added and runs', async () => {
    const names = CLAIM_CASES.map(nameOf);
    const worker = await start();
    const producer = await start({}, []);
    await Promise.all(names.map((_, id) => worker.bus.enqueueJob(job(String(id), 'first'))));
    await allRun(names, ['first']);
    await Promise.all(CLAIM_CASES.map((one, id) => damage(`${base(String(id))}:$:worker`, one)));
    await Promise.all(names.map((_, id) => worker.bus.enqueueJob(job(String(id), 'second'))));
    await Promise.all(CLAIM_CASES.map((one, id) => damage(`${base(String(id))}:$:worker`, one)));
    await Promise.all(names.map((_, id) => producer.bus.enqueueJob(job(String(id), 'third'))));
    await allRun(names, ['first', 'second', 'third']);
    await allSettled(names);
    await allWell(names);
  }, 90_000);

  /** The whole key is of another type. */
  const KINDS: Readonly<Record<string, (key: string) => Promise<unknown>>> = {
    gone: async () => 0,
    'a string': key => redis.set(key, 'text'),
    'a list': key => redis.rpush(key, 'text'),
    'a sorted set': key => redis.zadd(key, 1, 'text'),
  };
  const META = ['paused', 'concurrency', 'max', 'duration', 'opts.maxLenEvents', 'version'];
  const WHOLE = ['$:worker', 'meta', 'id', '<job>']
    .flatMap(key => Object.keys(KINDS).map(kind => [key, kind] as const))
    // Nothing tells a counter that is gone from that of a new queue.
    .filter(([key, kind]) => !(key === 'id' && kind === 'gone'));
  const META_CASES = META.flatMap(field => VALUES.map(value => [field, value] as const)).filter(
    // What an operator may have written: a pause, or BullMQ's own bounds.
    ([field, value]) => !['paused'].includes(field) && !(['concurrency', 'max'].includes(field) && Number(value) <= 0),
  );

  test.each(['waits', 'runs'])(
    'keys of another type, and a damaged meta, while a job %s',
    async state => {
      const cases = [...WHOLE, ...META_CASES];
      const names = cases.map(nameOf);
      const { bus } = await start({}, state === 'waits' ? [] : [Accounts]);
      let keys: string[] = [];
      if (state === 'runs') keys = await running(bus, cases);
      else {
        for (const [id] of cases.entries()) {
          const victim = await bus.enqueueJob(job(String(id), 'victim'));
          keys.push(`${base(String(id))}:${victim.jobId}`);
          for (const what of ['second', 'third']) await bus.enqueueJob(job(String(id), what));
        }
      }
      await Promise.all(
        cases.map(async ([where, value], id) => {
          const make = KINDS[String(value)];
          if (!make || !WHOLE.some(([key]) => key === where)) return damage(`${base(String(id))}:meta`, [where, value]);
          const key = where === '<job>' ? (keys[id] ?? '') : `${base(String(id))}:${where}`;
          await redis.del(key);
          return make(key);
        }),
      );
      await Promise.all(names.map((_, id) => bus.enqueueJob(job(String(id), 'fourth'))));
      const { queues } = await start({}, state === 'waits' ? [Accounts] : []);
      openAll();
      await allRun(names, ['second', 'third', 'fourth']);
      await allSettled(names);
      // A waiting job whose hash was replaced has failed; one whose hash was deleted is gone.
      for (const [id, [where, kind]] of cases.entries()) {
        if (state !== 'waits' || where !== '<job>' || kind === 'gone') continue;
        const reasons = (await queues.of('account', String(id)).list('failed')).map(({ failedReason }) => failedReason);
        expect(reasons).toEqual([expect.stringMatching(/^there is a (string|list|zset) in place of its hash/)]);
      }
      await allWell(names);
    },
    90_000,
  );

  // A smaller number can't be told from a token.
  const tokens = VALUES.filter(value => value !== '0').map(value => [value?.slice(0, 20), value] as const);
  test.each(tokens)('a token that is %j: the next owner gets a larger one than any before (I4)', async (_, value) => {
    const entity = await RedisEntity.create();
    try {
      const first = await entity.cold(entity.a, 1);
      await damage(entity.key('$:worker'), ['token', value]);
      const again = await entity.a.resync(first.claim, 2, []);
      await damage(entity.key('$:worker'), ['token', value]);
      await redis.hset(entity.key('$:worker'), 'until', 1);
      // no silence of all pods gives it a lease more
      await redis.set(entity.system('heard'), 1);
      const next = await entity.b.tryClaim(entity.entity, 1);
      const tokens = [first.claim.token, again.claim.token, typeof next === 'string' ? next : next.claim.token];
      expect(tokens.map(token => /^[0-9]{16}$/.test(token))).toEqual([true, true, true]);
      expect(Number(tokens[1])).toBeGreaterThanOrEqual(Number(tokens[0]));
      expect(Number(tokens[2])).toBeGreaterThan(Number(tokens[1]));
    } finally {
      await entity.close();
    }
  });

  test('the lists of an operator show damaged jobs, dead letters and schedules, or leave them out', async () => {
    const { bus, queues } = await start({ entities: { account: { onExhausted: 'deadLetter' } } });
    const account = queues.of('account', 'views');
    await account.pause();
    for (const _ of VALUES) await bus.enqueueJob(job('views', 'x'));
    await bus.scheduleJob(job('views', 'x'), { id: 's', every: 3_600_000 });
    const hashes = async () => {
      const keys = await redis.keys(`${prefix}:*`);
      const types = await Promise.all(keys.map(key => redis.type(key)));
      return keys.filter((key, at) => types[at] === 'hash' && !/(meta|worker)$/.test(key));
    };
    const lists = async () => [
      await account.list('waiting'),
      await account.list('failed'),
      await account.schedules(),
      await queues.deadLetters('account').list(),
      await account.status(),
    ];
    for (const [n, key] of (await hashes()).entries()) {
      const fields = Object.keys(await redis.hgetall(key));
      await Promise.all(fields.map((field, at) => damage(key, [field, VALUES[(n + at) % VALUES.length]])));
    }
    expect(JSON.stringify(await lists())).not.toMatch(/NaN/);
    for (const key of await hashes()) {
      await redis.del(key);
      await redis.set(key, 'text');
    }
    // The present run of the schedule is among them.
    expect((await lists())[0]).toHaveLength(VALUES.length + 1);
    await account.resume();
    // A letter of a damaged job, and damaged itself.
    await bus.enqueueJob({ ...job('views', 'x'), name: 'nothing handles it' });
    const letters = queues.deadLetters('account');
    await eventually('it is dead', async () =>
      (await letters.list()).some(({ name }) => name === 'nothing handles it'),
    );
    const dead = (await letters.list()).find(({ name }) => name === 'nothing handles it');
    const key = `${prefix}:$:dead:account:${dead?.letterId}`;
    for (const value of VALUES) {
      for (const field of ['opts', 'atm', 'timestamp', 'stacktrace', 'aq']) await damage(key, [field, value]);
      expect(JSON.stringify(await letters.list())).not.toMatch(/NaN/);
    }
    await damage(key, ['name', undefined]);
    await expect(letters.replay(dead?.letterId ?? '')).rejects.toMatchObject({ code: 'STORE_REFUSED' });
    expect(unhandled).toEqual([]);
  }, 60_000);
});
