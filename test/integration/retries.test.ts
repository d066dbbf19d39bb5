/**
 * Retries on real Redis: what BullMQ's jobs contain, and what only Redis can get wrong. What every store must do is in
 * `test/contract/retry-contract.ts`.
 */
import { Job } from 'bullmq';
import type { Claim } from '../../src/core/model/claim.js';
import type { FetchedJob, Settlement } from '../../src/core/model/job.js';
import { resolveOptions } from '../../src/core/options/resolve.js';
import { RedisEntity } from '../support/redis-entity.js';
import { claimOf, done, numbers, serving } from '../support/settlements.js';

const LONG_MS = 60_000;
const TRIES = { attempts: 3 };

describe('retries', () => {
  let on: RedisEntity;

  beforeEach(async () => {
    on = await RedisEntity.create();
  });
  afterEach(() => on.close());

  const fence = () => on.key('$:worker');
  const again = (job: FetchedJob | undefined, delayMs: number, reason = 'because'): Settlement => ({
    job: done(job).job,
    outcome: { kind: 'retrying', reason, stack: `Error: ${reason}`, delayMs },
  });
  const add = (n: number, options = {}) => on.a.add(on.job(n, options), { epoch: 1, mayClaim: false, atOnce: 1 });

  test('each attempt leaves its reason and its stack, for any tool of BullMQ to see', async () => {
    const { claim, jobs } = await on.cold(on.a, 1, on.job(0, TRIES));
    const id = jobs[0]?.id ?? '';
    const second = await on.a.finish(claim, [again(jobs[0], 0, 'first')], 1);
    expect(await Job.fromId(on.queue(), id)).toMatchObject({ attemptsMade: 1, failedReason: 'first' });
    const third = await on.a.finish(claim, [again(second.jobs[0], 0, 'second')], 1);
    await on.a.finish(claim, [done(third.jobs[0], 'failed')], 1);
    expect(await Job.fromId(on.queue(), id)).toMatchObject({
      attemptsMade: 3,
      attemptsStarted: 3,
      failedReason: 'because',
      stacktrace: ['Error: first', 'Error: second', 'Error: because'],
    });
  });

  test('stackTraceLimit bounds the number of stacks', async () => {
    const { claim, jobs } = await on.cold(on.a, 1, on.job(0, { ...TRIES, stackTraceLimit: 1 }));
    const second = await on.a.finish(claim, [again(jobs[0], 0, 'first')], 1);
    await on.a.finish(claim, [again(second.jobs[0], LONG_MS, 'second')], 1);
    expect(await Job.fromId(on.queue(), jobs[0]?.id ?? '')).toMatchObject({ stacktrace: ['Error: second'] });
  });

  test('a hold longer than a day outlives the fence’s usual time', async () => {
    const { claim, jobs } = await on.cold(on.a, 1, on.job(0, TRIES));
    await on.a.finish(claim, [again(jobs[0], 48 * 3_600_000)], 1);
    expect(await on.a.release(claim, 'idle')).toBe(true);
    expect(await on.redis.ttl(fence())).toBeGreaterThan(48 * 3600);
  });

  test('a hold that has ended is forgotten', async () => {
    const { claim, jobs } = await on.cold(on.a, 1, on.job(0, TRIES));
    await on.a.finish(claim, [again(jobs[0], LONG_MS)], 1);
    await on.cluster.endHold(on.entity);
    expect((await on.a.take(claim)).jobs).toHaveLength(1);
    expect(await on.redis.hexists(fence(), 'hold')).toBe(0);
  });

  test('I8: a drained entity keeps no hold', async () => {
    const { claim, jobs } = await on.cold(on.a, 1, on.job(0, TRIES));
    await on.a.finish(claim, [again(jobs[0], LONG_MS)], 1);
    await on.cluster.removeJob(on.entity, jobs[0]?.id ?? '');
    expect(await on.a.release(claim, 'idle')).toBe(true);
    expect(await on.redis.hexists(fence(), 'hold')).toBe(0);
  });

  test('an add of another pod calls no pod while a hold lasts', async () => {
    const { claim, jobs } = await on.cold(on.a, 1, on.job(0, TRIES));
    await on.a.finish(claim, [again(jobs[0], LONG_MS)], 1);
    expect((await on.b.add(on.job(1), 'route-only')).route).toBe('remote');
    expect(await on.redis.exists(on.system('pod:a:wake'))).toBe(0);
    await on.cluster.removeJob(on.entity, jobs[0]?.id ?? '');
    await on.b.add(on.job(2), 'route-only');
    expect(await on.a.wakeUps([])).toEqual([on.entity]);
  });

  test('race 33: an end does not fetch around a hold', async () => {
    const { claim, jobs } = await on.cold(on.a, 1, on.job(0, TRIES));
    await add(1);
    await on.redis.hset(fence(), 'hold', `${Date.now() + LONG_MS}:${LONG_MS}:0:2`);
    await on.redis.hset(on.key('2'), 'atm', 0);
    const { jobs: none, againInMs } = await on.a.finish(claim, [done(jobs[0])], 1);
    expect(none).toEqual([]);
    expect(againInMs).toBeGreaterThan(LONG_MS - 5000);
  });

  test('race 33: a job with a priority, added outside the library, keeps its place, too; jobs that were fetched after it go back', async () => {
    const bull = on.queue();
    for (const n of [0, 1]) await bull.add('withdraw', { n }, { priority: 5, attempts: 2 });
    for (const n of [2, 3]) await on.b.add(on.job(n), 'route-only');
    const { claim, jobs } = claimOf(await on.a.tryClaim(on.entity, 1));
    expect(numbers(jobs)).toEqual([2]);
    const next = await on.a.finish(claim, [done(jobs[0])], 3);
    expect(numbers(next.jobs)).toEqual([3, 0, 1]);
    await on.a.finish(claim, [done(next.jobs[0])], 0);
    await add(4);
    await on.a.finish(claim, [again(next.jobs[1], LONG_MS)], 1);
    expect(await on.redis.llen(on.key('active'))).toBe(0);
    await on.cluster.endHold(on.entity);
    const { jobs: rest } = await on.a.finish(claim, [done((await on.a.take(claim)).jobs[0])], 3);
    expect(numbers(rest)).toEqual([4, 1]);
    expect(rest.map(({ attempt }) => attempt)).toEqual([1, 1]);
  });

  test('race 33: a hold is of one attempt of one job: another job with its id does not inherit it', async () => {
    const { claim, jobs } = await on.cold(on.a, 1, on.job(0, { ...TRIES, jobId: 'pay-1' }));
    await on.a.finish(claim, [again(jobs[0], LONG_MS)], 1);
    await on.cluster.removeJob(on.entity, 'pay-1');
    const entered = await add(1, { jobId: 'pay-1' });
    expect(entered.route === 'local' && numbers(entered.fetched.jobs)).toEqual([1]);
  });

  test('race 33: a hold does not outlive the hash of its job', async () => {
    const { claim, jobs } = await on.cold(on.a, 1, on.job(0, TRIES));
    await add(1);
    await on.a.finish(claim, [again(jobs[0], LONG_MS)], 1);
    await on.redis.del(on.key(String(jobs[0]?.id)));
    expect(await on.a.renew([{ claim, idle: true }], serving())).toMatchObject({ kicked: [0] });
    expect((await on.a.take(claim)).jobs).toMatchObject([
      { id: jobs[0]?.id, mustFail: expect.stringContaining('gone') },
    ]);
  });

  test('a job that is put before a held one does not end its backoff', async () => {
    const { claim, jobs } = await on.cold(on.a, 1, on.job(0, TRIES));
    await on.a.finish(claim, [again(jobs[0], LONG_MS)], 1);
    await on.queue().add('withdraw', { n: 1 }, { lifo: true });
    const first = await on.a.take(claim);
    expect(numbers(first.jobs)).toEqual([1]);
    expect((await on.a.finish(claim, [done(first.jobs[0])], 1)).againInMs).toBeGreaterThan(LONG_MS - 5000);
  });

  test('a job that is put before a held one does not wait for its backoff when its pod dies', async () => {
    const { claim, jobs } = await on.cold(on.a, 1, on.job(0, TRIES));
    await on.a.finish(claim, [again(jobs[0], LONG_MS)], 1);
    await on.queue().add('withdraw', { n: 1 }, { lifo: true });
    expect(numbers((await on.a.take(claim)).jobs)).toEqual([1]);
    expect(await on.a.renew([{ claim, idle: true }], serving())).toMatchObject({ kicked: [0] });
    await on.cluster.expireLeases();
    expect(numbers(claimOf(await on.b.tryClaim(on.entity, 1)).jobs)).toEqual([1]);
  });

  test('race 20: if Redis’s clock steps back, the entity does not wait for it', async () => {
    const { claim, jobs } = await on.cold(on.a, 1, on.job(0, TRIES));
    await on.a.finish(claim, [again(jobs[0], LONG_MS)], 1);
    const hold = (await on.redis.hget(fence(), 'hold')) ?? '';
    await on.redis.hset(
      fence(),
      'hold',
      hold.replace(/^\d+/, until => String(Number(until) + 3_600_000)),
    );
    expect(await on.a.renew([{ claim, idle: true }], serving())).toMatchObject({ kicked: [0] });
    expect(numbers((await on.a.take(claim)).jobs)).toEqual([0]);
  });

  test('race 13: the time since a job was left for other pods belongs to one attempt', async () => {
    const { claim, jobs } = await on.cold(on.a, 1, on.job(0, TRIES));
    expect(await on.a.defer(claim, done(jobs[0]).job, LONG_MS)).toBe(true);
    const known = claimOf(await on.b.tryClaim(on.entity, 1));
    await on.b.finish(known.claim, [again(known.jobs[0], LONG_MS)], 1);
    expect(await on.redis.hexists(on.key(String(jobs[0]?.id)), 'left')).toBe(0);
  });

  test('the end of a later attempt whose job is gone leaves nothing active', async () => {
    const { claim, jobs } = await on.cold(on.a, 1, on.job(0, TRIES));
    await add(1);
    const second = await on.a.finish(claim, [again(jobs[0], 0)], 1);
    await on.redis.del(on.key(String(jobs[0]?.id)));
    expect(numbers((await on.a.finish(claim, [again(second.jobs[0], 0)], 1)).jobs)).toEqual([1]);
    expect(await on.redis.lrange(on.key('active'), 0, -1)).toEqual(['2']);
  });

  test('race 10: a job that waits for its retry is not taken for one added outside the library', async () => {
    const { claim, jobs } = await on.cold(on.a, 1, on.job(0, TRIES));
    await on.a.finish(claim, [again(jobs[0], LONG_MS)], 1);
    await on.a.release(claim, 'idle');
    expect(await on.b.discover(['account'], 1)).toMatchObject({ found: 0 });
    // Its successors are, once an operator has removed it.
    await on.b.add(on.job(1), 'route-only');
    await on.cluster.removeJob(on.entity, String(jobs[0]?.id));
    await on.redis.zadd(on.system('due:account'), (Date.now() + LONG_MS) * 1000, on.entity.id);
    await on.cluster.timePasses(2);
    expect(await on.b.discover(['account'], 1)).toMatchObject({ found: 1 });
  });

  test('an attempt whose lock was lost counts all the same (race 5)', async () => {
    const { claim, jobs } = await on.cold(on.a, 1, on.job(0, TRIES));
    await on.redis.del(on.key(`${jobs[0]?.id}:lock`));
    expect((await on.a.finish(claim, [again(jobs[0], 0)], 1)).jobs[0]).toMatchObject({ attempt: 2, attemptsMade: 1 });
  });

  test('relaxed types know priority and lifo', async () => {
    const config = resolveOptions({ entities: { account: { ordering: 'relaxed' } } });
    const pod = await on.cluster.pod(config, 'relaxed');
    const { claim, jobs } = await on.cold(pod, 1);
    const order: number[] = [];
    const enter = (n: number, options: object) => pod.add(on.job(n, { ...options }), 'route-only');
    await enter(1, { priority: 9 });
    await enter(2, { priority: 3 });
    await enter(3, {});
    await enter(4, { lifo: true });
    await worked(claim, jobs[0]);
    expect(order).toEqual([0, 4, 3, 2, 1]);

    async function worked(under: Claim, job: FetchedJob | undefined): Promise<void> {
      if (!job) return;
      order.push(...numbers([job]));
      await worked(under, (await pod.finish(under, [done(job)], 1)).jobs[0]);
    }
  });
});
