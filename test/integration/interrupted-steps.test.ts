/** Steps that Redis stops half-way, or refuses: what is reported of them, and what completes them. */
import type { Job } from 'bullmq';
import { type DevRedis, startRedis } from '#dev-redis';
import { planFlow } from '../../src/core/enqueue/flow.js';
import type { EntityRef } from '../../src/core/model/entity.js';
import type { JobOptions, Settlement } from '../../src/core/model/job.js';
import { OutcomeUnknownError, StoreRefusedError } from '../../src/core/model/store-errors.js';
import { withIdempotency } from '../../src/core/options/job-options.js';
import { resolveOptions } from '../../src/core/options/resolve.js';
import type { Claimed } from '../../src/core/ports/claims.js';
import type { RedisEntityStore } from '../../src/store/redis/redis-store.js';
import { RedisCluster } from '../support/redis-cluster.js';
import { claimOf, done, numbers, withdrawal } from '../support/settlements.js';

const config = resolveOptions({ entities: { letter: { onExhausted: 'deadLetter' } } });
const up: EntityRef = { type: 'account', id: 'up' };
const child: EntityRef = { type: 'account', id: 'child' };

describe('a step that is stopped half-way', () => {
  let cluster: RedisCluster;
  let a: RedisEntityStore;
  let epoch = 0;

  beforeEach(async () => {
    cluster = new RedisCluster();
    a = await cluster.pod(config);
  });
  afterEach(() => cluster.close());

  const key = (of: EntityRef, name: string) => `${cluster.base(of)}:${name}`;
  const dueKey = (type = 'account') => `${cluster.prefix}:$:due:${type}`;
  const claim = async (of: EntityRef): Promise<Claimed> => claimOf(await a.tryClaim(of, ++epoch));

  /** A parent, and its one child, fetched under a claim. */
  const flow = async (options: JobOptions = {}): Promise<Claimed> => {
    const root = { name: 'withdraw', of: up, n: 0 };
    const leaf = { name: 'withdraw', of: child, n: 1, options };
    const plan = planFlow(
      { job: root, children: () => [{ job: leaf, children: () => [] }] },
      ({ of, n, options }: typeof root & { options?: JobOptions }) => withdrawal(config, of, { n }, options),
    );
    await Promise.all(
      a.addFlow({ id: plan.id, jobs: plan.jobs.map(job => ({ ...job, hint: 'route-only' as const })) }),
    );
    return claim(child);
  };

  test.each([true, false])(
    'I5, I7: the end of a last child, stopped before its parent was called, is completed when it arrives again (removeOnComplete %p)',
    async removeOnComplete => {
      const claimed = await flow({ removeOnComplete, removeOnFail: removeOnComplete });
      await cluster.redis.rename(dueKey(), 'due-aside');
      await cluster.redis.set(dueKey(), 'not a sorted set');
      const end: Settlement = done(claimed.jobs[0], 'failed');
      await expect(a.finish(claimed.claim, [end], 1)).rejects.toBeInstanceOf(OutcomeUnknownError);
      await cluster.redis.rename('due-aside', dueKey());
      expect(await cluster.dueScore(up)).toBeUndefined();
      await a.resync(claimed.claim, ++epoch, [end]);
      expect(await cluster.dueScore(up)).toBeDefined();
      const [job, ...others] = (await claim(up)).jobs;
      expect(others).toEqual([]);
      expect(job?.mustFail).toContain('failed: ');
    },
  );

  test('an end that arrives again does not affect a parent that has started meanwhile', async () => {
    const claimed = await flow();
    const end = done(claimed.jobs[0], 'failed');
    await a.finish(claimed.claim, [end], 1);
    const parent = await claim(up);
    await cluster.redis.hdel(key(up, parent.jobs[0]?.id ?? ''), 'defa');
    await a.resync(claimed.claim, ++epoch, [end]);
    expect(await cluster.redis.hexists(key(up, parent.jobs[0]?.id ?? ''), 'defa')).toBe(0);
  });

  test('I10: a parent fails with its child whose envelope was stored with half a surrogate pair', async () => {
    const claimed = await flow();
    const parentId = (await a.control.list(up, 'waiting-children', 0, 1))[0]?.jobId ?? '';
    const envelope = (await cluster.redis.hget(key(up, parentId), 'aq')) ?? '';
    // As it was written once.
    await cluster.redis.hset(key(up, parentId), 'aq', envelope.replace('{', '{"ctx":{"user":"Anna \\ud83d"},'));
    await a.finish(claimed.claim, [done(claimed.jobs[0], 'failed')], 1);
    expect((await claim(up)).jobs[0]?.mustFail).toContain('Child ');
  });

  test.each(['null', '{', '[]', '7', '"x"', '{"id":1,"queueKey":{}}', ''])(
    'I7: a child with a damaged field "parent" (%s) ends, and its parent runs',
    async damaged => {
      for (const kind of ['completed', 'failed'] as const) {
        const claimed = await flow();
        const [job] = claimed.jobs;
        await cluster.redis.hset(key(child, job?.id ?? ''), 'parent', damaged);
        await a.finish(claimed.claim, [done(job, kind)], 1);
        await a.release(claimed.claim, 'hand-over');
        const parent = await claim(up);
        expect([kind, numbers(parent.jobs)]).toEqual([kind, [0]]);
        await a.finish(parent.claim, [done(parent.jobs[0])], 0);
        await a.release(parent.claim, 'hand-over');
      }
    },
  );

  test.each(['null', '{', '7', '{"children":7}', '{"children":[7,null,{"failsParent":true}]}'])(
    'I7: a parent with a damaged envelope (%s) runs when its child has failed',
    async damaged => {
      const claimed = await flow();
      const parentId = (await a.control.list(up, 'waiting-children', 0, 1))[0]?.jobId ?? '';
      await cluster.redis.hset(key(up, parentId), 'aq', damaged);
      await a.finish(claimed.claim, [done(claimed.jobs[0], 'failed')], 1);
      expect(await cluster.dueScore(up)).toBeDefined();
      expect((await claim(up)).jobs).toHaveLength(1);
    },
  );

  test('I5: a job becomes a dead letter even if its claim does not name its entity', async () => {
    const of = { type: 'letter', id: '1' };
    const claimed = claimOf(
      await a.add(withdrawal(config, of, { n: 1 }), { epoch: ++epoch, mayClaim: true, atOnce: 1 }),
    );
    await cluster.redis.hdel(key(of, '$:worker'), 'entity');
    await a.finish(claimed.claim, [done(claimed.jobs[0], 'dead')], 0);
    expect(await a.deadLetters.list('letter', 0, 9)).toMatchObject([{ entityId: '1', data: { n: 1 } }]);
  });

  test('a letter with damaged options is replayed without them', async () => {
    const of = { type: 'letter', id: '1' };
    const claimed = claimOf(
      await a.add(withdrawal(config, of, { n: 1 }), { epoch: ++epoch, mayClaim: true, atOnce: 1 }),
    );
    await a.finish(claimed.claim, [done(claimed.jobs[0], 'dead')], 0);
    const [letter] = await a.deadLetters.list('letter', 0, 9);
    await cluster.redis.hset(`${cluster.prefix}:$:dead:letter:${letter?.letterId}`, 'opts', '{');
    expect(await a.deadLetters.replay('letter', letter?.letterId ?? '')).toBeDefined();
    expect(await a.control.status(of)).toMatchObject({ waiting: 1 });
  });

  const halfWay = /half-way.*a part of it may have been executed/;

  test('a step that throws before its first write was not executed', async () => {
    await cluster.redis.set(key(up, 'wait'), 'not a list');
    await expect(a.control.status(up)).rejects.toThrow(/refused.*nothing was changed/);
  });

  test('a step that throws after a write of ours may have been executed', async () => {
    const me = await cluster.pod(config, 'me');
    await me.add(withdrawal(config, up, { n: 1 }), { epoch: ++epoch, mayClaim: true, atOnce: 1 });
    await cluster.redis.set(`${cluster.prefix}:$:pod:me:wake`, 'not a sorted set');
    await expect(me.control.pauseType('account', true)).rejects.toThrow(halfWay);
    expect(await cluster.redis.hget(key(up, '$:worker'), 'recall')).toBe('pause');
  });

  test('a step that throws in a body of BullMQ may have been executed', async () => {
    const { jobs } = claimOf(
      await a.add(withdrawal(config, up, { n: 1 }), { epoch: ++epoch, mayClaim: true, atOnce: 1 }),
    );
    const native = jobs[0]?.native() as Job;
    await cluster.redis.del(key(up, 'events'));
    await cluster.redis.set(key(up, 'events'), 'not a stream');
    await expect(native.updateProgress(50)).rejects.toThrow(halfWay);
    expect(await cluster.redis.hget(key(up, jobs[0]?.id ?? ''), 'progress')).toBe('50');
  });

  test('I8: a flow with a refused job leaves no fence that lasts, however long its key lives', async () => {
    await cluster.redis.set(key(child, 'marker'), 'not a sorted set');
    const root = {
      name: 'withdraw',
      of: up,
      options: { idempotencyKey: 'k', idempotencyTtlMs: 30 * 24 * 3600 * 1000 },
    };
    const leaf = { name: 'withdraw', of: child, options: {} };
    const plan = planFlow<{ name: string; of: EntityRef; options: JobOptions }>(
      { job: root, children: () => [{ job: leaf, children: () => [] }] },
      ({ of, options }) => withdrawal(config, of, { n: 0 }, withIdempotency(options, 'It')),
    );
    const { jobs } = plan;
    const answers = a.addFlow({ id: plan.id, jobs: jobs.map(job => ({ ...job, hint: 'route-only' as const })) });
    for (const answer of answers) await expect(answer).rejects.toBeInstanceOf(StoreRefusedError);
    expect(await cluster.redis.exists(key(up, '$:worker'), key(up, 'de:k'))).toBe(0);
    await cluster.redis.del(key(child, 'marker'));
    await Promise.all(a.addFlow({ id: plan.id, jobs: jobs.map(job => ({ ...job, hint: 'route-only' as const })) }));
    expect(await cluster.redis.ttl(key(up, '$:worker'))).toBeGreaterThan(29 * 24 * 3600);
  });

  test('each job of a bulk in one step reports its own outcome', async () => {
    await cluster.redis.set(key(up, 'marker'), 'not a sorted set');
    const hint = 'route-only';
    const [bad, good] = await Promise.allSettled(
      a.addAll([up, child].map(of => [withdrawal(config, of, { n: 1 }), hint] as const)),
    );
    expect(bad).toMatchObject({ status: 'rejected', reason: expect.any(StoreRefusedError) });
    expect(good?.status).toBe('fulfilled');
  });
});

describe('a Redis that is full', () => {
  let redis: DevRedis;
  let cluster: RedisCluster;
  let a: RedisEntityStore;

  beforeEach(async () => {
    redis = await startRedis({ alwaysPrivate: true });
    cluster = new RedisCluster(redis.url);
    a = await cluster.pod(config);
  });
  afterEach(async () => {
    await cluster.redis.config('SET', 'maxmemory', '0');
    await cluster.close();
    await redis.stop();
  });

  // Redis 7 asks for memory once, before the first write of a script: after one that needs none, as of an end, all are let through.
  test('I5: refuses a step before its first write, or executes all of it', async () => {
    const hint = { epoch: 1, mayClaim: true, atOnce: 1 };
    const { claim, jobs } = claimOf(await a.add(withdrawal(config, up, { n: 1 }), hint));
    const before = await cluster.allKeys();
    await cluster.redis.config('SET', 'maxmemory', '1');
    await expect(a.add(withdrawal(config, up, { n: 2 }), 'route-only')).rejects.toBeInstanceOf(StoreRefusedError);
    await expect(a.take(claim)).rejects.toBeInstanceOf(StoreRefusedError);
    expect((await cluster.allKeys()).sort()).toEqual(before.sort());
    expect(await a.control.status(up)).toMatchObject({ waiting: 0, active: 1 });
    expect((await a.finish(claim, [done(jobs[0])], 1)).jobs).toEqual([]);
    expect(await a.control.status(up)).toMatchObject({ waiting: 0, active: 0 });
  });
});
