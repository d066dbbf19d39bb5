/** Hashes of jobs that were deleted: keys and schedules that name those jobs continue to work. */
import type { EntityRef } from '../../src/core/model/entity.js';
import type { JobOptions } from '../../src/core/model/job.js';
import { resolveOptions } from '../../src/core/options/resolve.js';
import type { Claimed } from '../../src/core/ports/claims.js';
import type { RedisEntityStore } from '../../src/store/redis/redis-store.js';
import { RedisCluster } from '../support/redis-cluster.js';
import { claimOf, done, numbers, withdrawal } from '../support/settlements.js';

const config = resolveOptions({ entities: { small: { maxPending: 1 } } });
const entity: EntityRef = { type: 'account', id: '1' };
const DAY_MS = 24 * 3600 * 1000;

let cluster: RedisCluster;
let a: RedisEntityStore;
let epoch = 0;

beforeEach(async () => {
  cluster = new RedisCluster();
  a = await cluster.pod(config);
});
afterEach(() => cluster.close());

const key = (name: string, of = entity) => `${cluster.base(of)}:${name}`;
const enter = (n: number, options: JobOptions, of = entity) =>
  a.add(withdrawal(config, of, { n }, options), 'route-only').then(({ jobId }) => jobId);
const claim = async (): Promise<Claimed> => claimOf(await a.tryClaim(entity, ++epoch));

describe('the key of a job whose hash was deleted', () => {
  const keyed = (ttl?: number, more: JobOptions = {}): JobOptions => ({
    ...more,
    deduplication: { id: 'k', ...(ttl && { ttl }) },
  });

  test.each([
    ['for a day', DAY_MS, {}],
    ['as long as its job', undefined, {}],
    ['of a job for later', DAY_MS, { delay: 60_000 }],
    ['of a job with an id', DAY_MS, { jobId: 'order-1' }],
  ] as const)('I10: a key %s makes way while its job waits', async (_, ttl, more) => {
    const first = await enter(1, keyed(ttl, more));
    expect(await enter(2, keyed(ttl, more))).toBe(first);
    await cluster.redis.del(key(first));
    const second = await enter(3, keyed(ttl, { ...more, ...('jobId' in more && { jobId: 'order-2' }) }));
    expect(second).not.toBe(first);
    expect(await cluster.redis.hget(key(second), 'data')).toBe('{"n":3}');
    expect(await enter(4, keyed(ttl, more))).toBe(second);
  });

  test.each(['before it was fetched', 'since it was fetched'])(
    'I10: it makes way when the job has failed whose hash was deleted %s',
    async when => {
      const first = await enter(1, keyed(DAY_MS, { removeOnFail: true }));
      if (when.startsWith('before')) await cluster.redis.del(key(first));
      const { claim: held, jobs } = await claim();
      if (when.startsWith('since')) await cluster.redis.del(key(first));
      await a.finish(held, [done(jobs[0], 'failed')], 1);
      expect(await cluster.redis.lrange(key('active'), 0, -1)).toEqual([]);
      const second = await enter(2, keyed(DAY_MS));
      expect(second).not.toBe(first);
      expect(await enter(3, keyed(DAY_MS))).toBe(second);
    },
  );

  test('it makes way when the job was given back', async () => {
    const first = await enter(1, keyed(DAY_MS));
    const { claim: held } = await claim();
    await cluster.redis.del(key(first));
    await a.release(held, 'hand-over');
    expect(await enter(2, keyed(DAY_MS))).not.toBe(first);
  });

  test.each(['completed', 'failed'] as const)(
    'I5: it stays when the job has %s and is not kept, and when the hash of a kept job is deleted',
    async kind => {
      for (const isKept of [false, true]) {
        const options = { removeOnComplete: !isKept, removeOnFail: !isKept };
        const first = await enter(1, { ...options, deduplication: { id: `k ${isKept}`, ttl: DAY_MS } });
        const { claim: held, jobs } = await claim();
        await a.finish(held, [done(jobs[0], kind)], 1);
        await a.release(held, 'hand-over');
        await cluster.redis.del(key(first));
        expect(await enter(2, { deduplication: { id: `k ${isKept}`, ttl: DAY_MS } })).toBe(first);
      }
    },
  );

  test('I5: it stays when the job has completed although its hash was deleted while it ran', async () => {
    const first = await enter(1, keyed(DAY_MS));
    const { claim: held, jobs } = await claim();
    await cluster.redis.del(key(first));
    await a.finish(held, [done(jobs[0])], 1);
    expect(await enter(2, keyed(DAY_MS))).toBe(first);
  });

  test('a job with the id of a lost one keeps its key when it has ended', async () => {
    const options = keyed(DAY_MS, { jobId: 'order-1', removeOnComplete: true });
    await enter(1, options);
    let { claim: held, jobs } = await claim();
    await cluster.redis.del(key('order-1'));
    await a.finish(held, [done(jobs[0], 'failed')], 1);
    await enter(2, options);
    ({ jobs } = await a.take(held));
    expect(numbers(jobs)).toEqual([2]);
    await a.finish(held, [done(jobs[0])], 1);
    expect(await enter(3, options)).toBe('order-1');
    expect((await a.take(held)).jobs).toEqual([]);
  });

  test('it takes no room as a known job, if its type bounds its backlogs', async () => {
    const small = { type: 'small', id: '1' };
    const first = await enter(1, keyed(DAY_MS), small);
    await cluster.redis.del(key(first, small));
    await expect(enter(2, keyed(DAY_MS), small)).rejects.toMatchObject({ code: 'BACKLOG_FULL' });
  });
});

describe('a schedule whose run has lost its hash', () => {
  const put = (schedule: { every?: number; pattern?: string }) =>
    a.schedules.put(
      { ...withdrawal(config, entity, { n: 7 }, { attempts: 3 }), envelope: { ctx: { user: 'anna' } } },
      { id: 's', ...schedule },
    );
  const present = async () => `repeat:s:${await cluster.redis.zscore(key('repeat'), 's')}`;

  test.each([
    ['every', 'before it was fetched'],
    ['every', 'since it was fetched'],
    ['pattern', 'before it was fetched'],
    ['pattern', 'since it was fetched'],
  ])('I7: by %s continues if the hash was deleted %s', async (kind, when) => {
    await put(kind === 'every' ? { every: 50_000 } : { pattern: '0 0 1 1 *' });
    const run = await present();
    await cluster.ripenDelayed(entity);
    await cluster.redis.zadd(`${cluster.prefix}:$:due:account`, 1, '1');
    if (when.startsWith('before')) await cluster.redis.del(key(run));
    const { claim: held, jobs } = await claim();
    expect(jobs.map(({ id }) => id)).toEqual([run]);
    if (when.startsWith('since')) await cluster.redis.del(key(run));
    else expect(jobs[0]?.mustFail).toContain('data of the job is gone');
    await a.finish(held, [done(jobs[0], when.startsWith('before') ? 'failed' : 'completed')], 1);
    const next = await present();
    expect(next).not.toBe(run);
    expect(await cluster.redis.hmget(key(next), 'name', 'data', 'aq', 'rjk')).toEqual([
      'withdraw',
      '{"n":7}',
      '{"ctx":{"user":"anna"}}',
      's',
    ]);
    const opts = JSON.parse((await cluster.redis.hget(key(next), 'opts')) ?? '');
    expect(opts.repeat).toMatchObject(
      kind === 'every' ? { every: 50_000, count: 2 } : { pattern: '0 0 1 1 *', count: 2 },
    );
    expect(opts.attempts).toBe(3);
    expect(await a.schedules.list(entity, 0, 9)).toMatchObject([{ id: 's', data: { n: 7 }, runs: 1 }]);
    expect(await a.control.status(entity)).toMatchObject({ waiting: 0, active: 0, delayed: 1 });
  });

  test.each([31, 32, 33, 200, 3000])('I7: skips %d times that are taken', async taken => {
    await put({ every: 50_000 });
    const { claim: held, jobs } = await claim();
    const from = Number((await present()).split(':')[2]);
    const slots = Array.from({ length: taken }, (_, n) => from + (n + 1) * 50_000);
    const pipeline = cluster.redis.pipeline();
    for (const atMs of slots) pipeline.hset(key(`repeat:s:${atMs}`), 'name', 'kept');
    await pipeline.exec();
    await a.finish(held, [done(jobs[0])], 1);
    const next = Number((await present()).split(':')[2]);
    expect(next).toBeGreaterThan(slots.at(-1) ?? 0);
    expect((next - from) % 50_000).toBe(0);
    if (taken < 1000) expect(next - (slots.at(-1) ?? 0)).toBe(50_000);
    expect(await cluster.redis.hget(key(await present()), 'data')).toBe('{"n":7}');
    expect(await a.schedules.list(entity, 0, 9)).toMatchObject([{ nextAtMs: next, runs: 1 }]);
  });
});
