/** A type with a required codec reads nothing that was written without it, on real Redis: jobs, letters, results. */
import { Injectable } from '@nestjs/common';
import { type Job, Queue } from 'bullmq';
import { SuperJSON } from 'superjson';
import {
  type AtomicQueuesModuleOptions,
  BatchHandler,
  EntityQueues,
  encryptedCodec,
  JobHandler,
  jsonCodec,
  superjsonCodec,
  WorkerProcessor,
} from '../../src/index.js';
import { redisUrl } from '../support/redis.js';
import { RedisApps } from '../support/redis-apps.js';
import { eventually } from '../support/wait.js';

/** No cipher, but all that matters here: what was not written by it is refused. */
const secret = (keyId: string) =>
  encryptedCodec({
    keyId,
    encrypt: text => `${keyId}:${Buffer.from(text).toString('base64')}`,
    decrypt: text => {
      if (!text.startsWith(`${keyId}:`)) throw new Error('not encrypted with this key');
      return Buffer.from(text.slice(keyId.length + 1), 'base64').toString();
    },
  });
const [now, before] = [secret('now'), secret('before')];
const rich = superjsonCodec(new SuperJSON());
const encrypted = { codec: now, readCodecs: [before, rich] };

const seen: unknown[] = [];

@WorkerProcessor({ entityType: 'account' })
@Injectable()
class Accounts {
  @JobHandler('note')
  note({ data }: Job) {
    seen.push(data);
    return { of: data };
  }
  @JobHandler('collect')
  async collect(_job: Job, _id: string, context: { children(): Promise<readonly { outcome: object }[]> }) {
    seen.push((await context.children()).map(({ outcome }) => outcome));
  }
  @BatchHandler('batched', { max: 10 })
  batched(jobs: Job[]) {
    seen.push(jobs.map(({ data }) => data));
  }
}

describe('a required codec', () => {
  const apps = new RedisApps({});
  const { redis, prefix, logs } = apps;
  const queues: Queue[] = [];
  afterEach(async () => {
    for (const queue of queues.splice(0)) await queue.close();
    await apps.clear();
    seen.length = 0;
  });
  afterAll(() => apps.quit());

  const start = async (options: Partial<AtomicQueuesModuleOptions>, providers = [Accounts]) => {
    const app = await apps.start(options, { providers });
    return { bus: app.bus, account: app.queue('account', '1'), app };
  };
  const producer = (options: Partial<AtomicQueuesModuleOptions>) => start(options, []);
  const job = (name: string, data: unknown, entityId = '1') => ({ entityType: 'account', entityId, name, data });
  const base = () => `${prefix}:account:1:queue`;
  /** The queue as a client that can write to Redis sees it. */
  const injected = () => {
    const queue = new Queue('queue', { prefix: `${prefix}:account:1`, connection: { url: redisUrl() } as never });
    queues.push(queue);
    return queue;
  };
  const failures = async ({ account }: Awaited<ReturnType<typeof start>>) =>
    (await account.list('failed')).map(({ failedReason, attemptsMade }) => [failedReason, attemptsMade]);
  const REFUSED =
    /^Entity type "account" requires the codec "encrypted:now", or another one that is secret, and the payload was written by "(json|superjson)"; it is not read\./;

  test('a plain job, one of a weaker codec, and one without a payload fail once, and show nothing; a job with a key runs', async () => {
    const { bus } = await producer(encrypted);
    await bus.enqueueJob(job('note', 'first'));
    const queue = injected();
    const attempts = { attempts: 5 };
    await queue.add('note', { card: 'hunter2' }, attempts);
    const downgrade = async (codec: string, data: unknown) => {
      const { id } = await queue.add('note', data, attempts);
      await redis.hset(`${base()}:${id}`, 'aq', JSON.stringify({ codec }));
    };
    await downgrade('json', { card: 'hunter2' });
    await downgrade('superjson', { json: { card: 'hunter2' } });
    await downgrade('encrypted:now', null);
    const former = await producer({ codec: before });
    await former.bus.enqueueJob(job('note', 'of the former key'));
    await bus.enqueueJob(job('note', 'last'));
    const worker = await start(encrypted);
    await eventually('all have run', async () => seen.length === 3 && (await worker.account.status()).failed === 4);
    expect(seen).toEqual(['first', 'of the former key', 'last']);
    const reasons = (await failures(worker)).reverse();
    expect(reasons.map(([, tries]) => tries)).toEqual([1, 1, 1, 1]);
    for (const [reason] of reasons.slice(0, 3)) expect(reason).toMatch(REFUSED);
    expect(reasons[3]?.[0]).toMatch(/^The payload is null/);
    expect(logs.join('\n') + JSON.stringify(reasons)).not.toContain('hunter2');
  });

  test('a plain job of a batch fails by itself, and so does each run of a schedule that another tool has added', async () => {
    const { bus } = await producer(encrypted);
    await bus.enqueueJob(job('batched', 1));
    await injected().add('batched', 2);
    await bus.enqueueJob(job('batched', 3));
    await injected().upsertJobScheduler(
      'planted',
      { every: 50, limit: 2 },
      { name: 'note', data: { card: 'hunter2' } },
    );
    const worker = await start(encrypted);
    await eventually('all have ended', async () => seen.length === 1 && (await worker.account.status()).failed === 3);
    expect(seen).toEqual([[1, 3]]);
    for (const [reason] of await failures(worker)) expect(reason).toMatch(REFUSED);
  });

  test('a letter whose payload was changed is refused when it is replayed', async () => {
    const worker = await start({ ...encrypted, entities: { account: { onExhausted: 'deadLetter' } } });
    const letters = worker.app.get(EntityQueues).deadLetters('account');
    await worker.bus.enqueueJob({ ...job('note', 'x'), name: 'collect' });
    await injected().add('note', { card: 'hunter2' });
    await eventually('it is dead', async () => (await letters.list()).length === 1);
    expect(await letters.replayAll()).toBe(1);
    await eventually('it is dead again', async () => (await letters.list())[0]?.letterId === '2');
    expect((await letters.list())[0]?.failedReason).toMatch(REFUSED);
    expect(seen).toEqual([[]]);
  });

  test('a planted result is not read: of a child, and of a job that an earlier enqueue has added', async () => {
    const { bus } = await producer(encrypted);
    const children = [{ job: job('note', 'child', '2') }];
    const flow = await bus.enqueueFlow({ job: job('collect', {}), children });
    const [child] = flow.children;
    const parentKey = `${base()}:${flow.jobId}`;
    // The results of the children are stored with the parent.
    const planted = JSON.stringify({ card: 'hunter2' });
    const envelope = JSON.parse((await redis.hget(parentKey, 'aq')) ?? '');
    delete envelope.children[0].codec;
    const worker = await start(encrypted);
    await eventually('the child has run', () => seen.length > 0);
    await eventually('the parent has run', () => seen.length === 2);
    expect(seen[1]).toEqual([{ kind: 'completed', value: { of: 'child' } }]);
    await worker.account.pause();
    const again = await bus.enqueueFlow({ job: job('collect', {}), children });
    await eventually('the child has run', () => seen.length === 3);
    const key = `${base()}:${again.jobId}`;
    await eventually('it is told', async () => (await redis.hlen(`${key}:processed`)) === 1);
    const [id] = again.children;
    await redis.hset(`${key}:processed`, `${prefix}:account:2:queue:${id?.jobId}`, planted);
    envelope.children[0].jobId = id?.jobId;
    await redis.hset(key, 'aq', JSON.stringify(envelope));
    await worker.account.resume();
    await eventually('it has failed', async () => (await worker.account.status()).failed === 1);
    expect((await failures(worker))[0]?.[0]).toMatch(
      new RegExp(`^The result of child job ${id?.jobId}.*requires the codec`),
    );
    expect(child?.jobId).toBeDefined();

    const kept = { jobId: 'kept', removeOnComplete: false, timeoutMs: 10_000 };
    expect(await bus.enqueueJobAndWait(job('note', 'kept'), kept)).toEqual({ of: 'kept' });
    await redis.hset(`${base()}:kept`, { returnvalue: planted, aq: '{}' });
    await expect(bus.enqueueJobAndWait(job('note', 'kept'), kept)).rejects.toMatchObject({
      code: 'RESULT_UNAVAILABLE',
      message: expect.stringMatching(/requires the codec "encrypted:now"/),
    });
    expect(logs.join('\n')).not.toContain('hunter2');
  });

  test('with requireCodec false waiting plain jobs can be read while a codec is introduced', async () => {
    const former = await producer({});
    await former.bus.enqueueJob(job('note', 'plain'));
    await start({ ...encrypted, entities: { account: { requireCodec: false } } });
    await eventually('it has run', () => seen.length === 1);
    expect(seen).toEqual(['plain']);
  });

  test('a codec that is not secret may be required, and plain JSON cannot', async () => {
    const { bus } = await producer({ codec: rich });
    await injected().add('note', 'plain');
    await bus.enqueueJob(job('note', 7n));
    const worker = await start({ codec: rich, requireCodec: true });
    await eventually('both have ended', async () => seen.length === 1 && (await worker.account.status()).failed === 1);
    expect(seen).toEqual([7n]);
    expect((await failures(worker))[0]?.[0]).toMatch(/requires the codec "superjson"/);
    const invalid = { code: 'INVALID_OPTION', message: expect.stringMatching(/"account".*requireCodec/) };
    await expect(start({ requireCodec: true })).rejects.toMatchObject(invalid);
    const entities = { account: { codec: jsonCodec, requireCodec: true } };
    await expect(start({ ...encrypted, entities })).rejects.toMatchObject(invalid);
    await expect(start({ requireCodec: 'yes' as never })).rejects.toMatchObject({ code: 'INVALID_OPTION' });
  });
});
