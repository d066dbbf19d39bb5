/** What only Redis can have too much of: stacks of an older version, stacks of a batch, results of many children (I11). */
import type { ChildRef } from '../../src/core/model/envelope.js';
import type { FetchedJob, Settlement } from '../../src/core/model/job.js';
import { resolveOptions } from '../../src/core/options/resolve.js';
import type { Claimed } from '../../src/core/ports/claims.js';
import { JobEnds } from '../../src/store/redis/job-end.js';
import type { RedisJob } from '../../src/store/redis/read-job.js';
import { RedisEntity } from '../support/redis-entity.js';
import { claimOf, done } from '../support/settlements.js';

describe('sizes on Redis', () => {
  let on: RedisEntity;
  beforeEach(async () => {
    on = await RedisEntity.create();
  });
  afterEach(() => on.close());

  const failing = (job: FetchedJob | undefined, stack: string, delayMs = 0): Settlement => ({
    job: done(job).job,
    outcome: { kind: 'retrying', reason: 'because', stack, delayMs },
  });
  const add = (n: number) => on.a.add(on.job(n, { attempts: 9 }), { epoch: 1, mayClaim: false, atOnce: 1 });

  test('unbounded failures that an older version has kept are not read, and the next failure replaces them', async () => {
    const { claim, jobs } = await on.cold(on.a, 1, on.job(0, { attempts: 9 }));
    await add(1);
    await add(2);
    const old = JSON.stringify(['s'.repeat(5_000_000)]);
    for (const id of ['2', '3']) await on.redis.hset(on.key(id), 'stacktrace', old, 'failedReason', old);
    const one = await on.a.finish(claim, [done(jobs[0])], 1);
    const two = await on.a.take(claim, 1);
    expect([...one.jobs, ...two.jobs].map(job => (job as RedisJob).stacks)).toEqual(['[]', '[]']);
    await on.a.finish(claim, [failing(one.jobs[0], 'the new one', 60_000)], 0);
    expect(await on.redis.hget(on.key('2'), 'stacktrace')).toBe('["the new one"]');
  });

  test('jobs that fail in one step share a bound for their stacks', async () => {
    const { claim, jobs } = await on.cold(on.a, 1, on.job(0, { attempts: 9 }));
    for (let n = 1; n < 64; n++) await add(n);
    const all = [...jobs, ...(await on.a.take(claim, 63)).jobs];
    await on.a.finish(
      claim,
      all.map(job => failing(job, 's'.repeat(16_000))),
      0,
    );
    const kept = await Promise.all(all.map(({ id }) => on.redis.hstrlen(on.key(id), 'stacktrace')));
    expect(Math.max(...kept)).toBeLessThanOrEqual(16_400);
    const more = await on.a.take(claim, 64);
    await on.a.finish(
      claim,
      more.jobs.map(job => failing(job, 't'.repeat(16_000))),
      0,
    );
    const grown = await Promise.all(all.map(({ id }) => on.redis.hstrlen(on.key(id), 'stacktrace')));
    expect(grown.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(1_100_000);
  });

  test('the results of many children are read in parts, and returned in order', async () => {
    const children: ChildRef[] = Array.from({ length: 40 }, (_, n) => ({
      type: 'account',
      id: `c${n}`,
      jobId: `${n}`,
      name: 'child',
      failsParent: false,
    }));
    const parent = { ...on.job(0), envelope: { children } };
    const { jobs } = claimOf(await on.a.add(parent, { epoch: 1, mayClaim: true, atOnce: 1 }));
    const key = on.key(jobs[0]?.id ?? '');
    for (const { id, jobId } of children) {
      const child = `${on.cluster.base({ type: 'account', id })}:${jobId}`;
      if (jobId === '7') await on.redis.hset(`${key}:failed`, child, 'it failed');
      else if (jobId !== '8') await on.redis.hset(`${key}:processed`, child, JSON.stringify(jobId.repeat(100_000)));
    }
    const results = (await jobs[0]?.children?.()) ?? [];
    expect(results.map(({ jobId }) => jobId)).toEqual(children.map(({ jobId }) => jobId));
    expect(results[7]?.outcome).toEqual({ kind: 'failed', reason: 'it failed' });
    expect(results[8]?.outcome.kind).toBe('failed');
    expect(results[39]?.outcome).toEqual({ kind: 'completed', value: '39'.repeat(100_000) });
    expect(await on.redis.exists(key)).toBe(1);
  });

  describe('a parent that fails as a dead letter', () => {
    const MANY = 5000;
    const child = (n: number): ChildRef => ({
      type: 'account',
      id: `c${n}`,
      jobId: `${n}`,
      name: 'child',
      failsParent: false,
    });
    const field = ({ id, jobId }: ChildRef) => `${on.cluster.base({ type: 'account', id })}:${jobId}`;
    let parent: Claimed;

    /** Its children have brought more than one step could copy. */
    beforeEach(async () => {
      const job = { ...on.job(0), envelope: { children: [child(MANY - 1)] } };
      parent = claimOf(await on.a.add(job, { epoch: 1, mayClaim: true, atOnce: 1 }));
      const brought = Array.from({ length: MANY }, (_, n) => [field(child(n)), `"${n}"`]).flat();
      await on.redis.hset(on.key(`${parent.jobs[0]?.id}:processed`), ...brought);
    });

    test('keeps the results of its children, and has them again after a replay', async () => {
      await on.a.finish(parent.claim, [done(parent.jobs[0], 'dead')], 0);
      const [letter] = await on.a.deadLetters.list('account', 0, 9);
      const id = await on.a.deadLetters.replay('account', letter?.letterId ?? '');
      expect(await on.redis.hlen(on.key(`${id}:processed`))).toBe(MANY);
      const [again] = (await on.a.take(parent.claim)).jobs;
      expect(await again?.children?.()).toMatchObject([{ outcome: { kind: 'completed', value: `${MANY - 1}` } }]);
    });

    test('keeps the results of its children if it could not end', async () => {
      const id = parent.jobs[0]?.id ?? '';
      await on.redis.lmove(on.key('active'), on.key('wait'), 'LEFT', 'LEFT');
      await on.a.finish(parent.claim, [done(parent.jobs[0], 'dead')], 0);
      expect(await on.a.deadLetters.list('account', 0, 9)).toEqual([]);
      expect(await on.redis.hlen(on.key(`${id}:processed`))).toBe(MANY);
    });
  });

  test('ends that exceed one step are sent in several: in order, no batch in two, jobs that come back last', () => {
    const ends = new JobEnds({ config: resolveOptions({}) } as never, undefined as never);
    const end = (id: string, bytes: number, batch?: number): Settlement => ({
      job: { id } as FetchedJob,
      ...(batch !== undefined && { batch }),
      outcome: { kind: 'completed', value: 'x'.repeat(bytes) },
    });
    const large = 3_000_000;
    const settled = [
      end('a', 10),
      failing({ id: 'back' } as FetchedJob, ''),
      end('b', large, 1),
      end('c', large, 1),
      end('d', large, 1),
      end('e', large, 2),
      end('f', large, 2),
      end('g', 10),
    ];
    const { pages, last } = ends.pages(settled);
    const ids = (page: readonly Settlement[]) => page.map(({ job }) => job.id).join('');
    expect(pages.map(ids)).toEqual(['abcd', 'ef']);
    expect(ids(last)).toBe('gback');
    expect(ends.pages([end('a', 10), end('b', 10)]).pages).toEqual([]);
  });
});
