/**
 * What only real Redis and real BullMQ can show: leftover keys, scripts that are flushed, half-failed adds, plain BullMQ
 * tools alongside. `docs/protocol.md` defines the numbers.
 */
import { Job, Queue, Worker } from 'bullmq';
import type { EntityRef } from '../../src/core/model/entity.js';
import { InvalidOptionError, UnsupportedError } from '../../src/core/model/errors.js';
import type { FetchedJob, NewJob, Settlement } from '../../src/core/model/job.js';
import { StaleClaimError } from '../../src/core/model/job-errors.js';
import { StoreRefusedError } from '../../src/core/model/store-errors.js';
import { resolveOptions } from '../../src/core/options/resolve.js';
import type { RedisEntityStore } from '../../src/store/redis/redis-store.js';
import { redisUrl } from '../support/redis.js';
import { RedisCluster } from '../support/redis-cluster.js';
import { claimOf, done, serving } from '../support/settlements.js';
import { eventually } from '../support/wait.js';

describe('the protocol on Redis', () => {
  const config = resolveOptions({
    entities: {
      named: { queueName: id => `q-${id}`, workerName: id => `w-${id}` },
      sameName: { queueName: id => `q-${id}` },
    },
  });
  const entity: EntityRef = { type: 'account', id: '42' };
  let cluster: RedisCluster;
  let a: RedisEntityStore;
  let b: RedisEntityStore;

  beforeEach(async () => {
    cluster = new RedisCluster();
    a = await cluster.pod(config, 'a');
    b = await cluster.pod(config, 'b');
  });
  afterEach(() => cluster.close());

  const job = (n: number, options: Record<string, unknown> = {}, of = entity): NewJob => ({
    entity: of,
    name: 'withdraw',
    data: JSON.stringify({ n }),
    options: { ...config.entityType('account').jobOptions, ...options },
  });

  const failed = (fetched: FetchedJob | undefined): Settlement => ({
    job: done(fetched).job,
    outcome: { kind: 'failed', reason: 'because', stack: 'Error: because\n  at here' },
  });
  const cold = async (pod: RedisEntityStore, epoch: number, newJob = job(0)) =>
    claimOf(await pod.add(newJob, { epoch, mayClaim: true, atOnce: 1 }));
  const key = (name: string) => `${cluster.base(entity)}:${name}`;
  const queue = () => {
    const { queue: name, prefix } = cluster.keys(entity);
    return new Queue(name, { prefix, connection: { url: redisUrl() } as never });
  };

  test('I1: a pod counts as heard for a lease from its last renewal', async () => {
    await a.renew([], serving('account'));
    const aliveMs = await cluster.redis.pttl(`${cluster.prefix}:$:pod:a:alive`);
    expect(aliveMs).toBeGreaterThan(config.leaseMs / 2);
    expect(aliveMs).toBeLessThanOrEqual(config.leaseMs);
  });

  test('I8: a drained, released entity leaves its fence and its events, and both expire', async () => {
    const { claim, jobs } = await cold(a, 1);
    await a.finish(claim, [done(jobs[0])], 1);
    await a.release(claim, 'idle');
    expect(await cluster.allKeys()).toEqual([key('$:worker'), key('events')].sort());
    expect((await cluster.redis.hkeys(key('$:worker'))).sort()).toEqual(['entity', 'lastId', 'token']);
    expect(await cluster.redis.ttl(key('$:worker'))).toBeGreaterThan(80_000);
    expect(await cluster.redis.ttl(key('events'))).toBeLessThanOrEqual(60);
    const ttl = 3 * 86_400_000;
    const again = await cold(a, 2, job(1, { deduplication: { id: 'k', ttl } }));
    await a.finish(again.claim, [done(again.jobs[0])], 1);
    await a.release(again.claim, 'idle');
    // Both may expire in the same millisecond; the fence is asked first, so its answer is not the lower one by waiting.
    expect(await cluster.redis.pttl(key('$:worker'))).toBeGreaterThanOrEqual(await cluster.redis.pttl(key('de:k')));
    expect(await cluster.redis.del(key('de:k'))).toBe(1);
  });

  test('I8: an entity whose fence has expired, since it kept a job for longer, leaves a fence that expires', async () => {
    const { claim, jobs } = await cold(a, 1, job(0, { removeOnFail: { age: 1 } }));
    await a.finish(claim, [failed(jobs[0])], 1);
    await a.release(claim, 'idle');
    await cluster.redis.del(key('$:worker'));
    await cluster.redis.zadd(key('failed'), 1, jobs[0]?.id ?? '');
    expect(await a.tryClaim(entity, 2)).toBe('later');
    expect(await cluster.allKeys()).toEqual([key('$:worker'), key('events')].sort());
    expect(await cluster.redis.ttl(key('$:worker'))).toBeGreaterThan(80_000);
    const next = await cold(a, 3, job(1));
    expect(Number(next.jobs[0]?.id)).toBeGreaterThan(Number(jobs[0]?.id));
    expect(await cluster.redis.ttl(key('$:worker'))).toBe(-1);
  });

  test('I5: a key of an entity without a worker keeps the fence for as long as it lives', async () => {
    const { claim, jobs } = await cold(a, 1);
    await a.finish(claim, [done(jobs[0])], 1);
    await a.release(claim, 'idle');
    await b.add(job(1, { deduplication: { id: 'k', ttl: 3 * 86_400_000 } }), 'route-only');
    expect(await cluster.redis.pttl(key('$:worker'))).toBeGreaterThan((await cluster.redis.pttl(key('de:k'))) - 1000);
    await cluster.redis.del(key('de:k'));
  });

  test('I5: ids continue if a queue was emptied between two adds of one tick, or is new again with a schedule', async () => {
    const answers = await Promise.all([
      a.add(job(0), 'route-only'),
      a.control.drop(entity),
      a.add(job(1), 'route-only'),
      a.control.drop(entity),
    ]);
    const [first, second] = [answers[0].jobId, answers[2].jobId].map(Number);
    expect(second).toBeGreaterThan(Number(first));
    await a.schedules.put(job(2), { id: 'nightly', every: 3_600_000 });
    const third = await a.add(job(3), 'route-only');
    expect(Number(third.jobId)).toBeGreaterThan(Number(second));
  });

  test('race 34: events do not expire under new work', async () => {
    const { claim, jobs } = await cold(a, 1);
    await a.finish(claim, [done(jobs[0])], 1);
    await a.release(claim, 'idle');
    await cold(b, 1, job(1));
    expect(await cluster.redis.ttl(key('events'))).toBe(-1);
    expect(await cluster.redis.ttl(key('$:worker'))).toBe(-1);
  });

  test('race 34: events do not expire when a pod that may not claim adds a job', async () => {
    const { claim, jobs } = await cold(a, 1);
    await a.finish(claim, [done(jobs[0])], 1);
    await a.release(claim, 'idle');
    await b.add(job(1), 'route-only');
    expect(await cluster.redis.ttl(key('events'))).toBe(-1);
  });

  test('race 9: with a failed job kept its id is never given again, and settings of an operator stay', async () => {
    const first = await cold(a, 1);
    await a.finish(first.claim, [failed(first.jobs[0])], 1);
    await a.release(first.claim, 'idle');
    const second = await cold(a, 2, job(1));
    expect(second.jobs[0]?.id).not.toBe(first.jobs[0]?.id);
    expect(await Job.fromId(queueOnce(), first.jobs[0]?.id ?? '')).toMatchObject({
      failedReason: 'because',
      stacktrace: ['Error: because\n  at here'],
      attemptsMade: 1,
      data: { n: 0 },
    });
    await a.finish(second.claim, [done(second.jobs[0])], 1);
    await a.release(second.claim, 'idle');
    expect(await cluster.redis.exists(key('id'), key('meta'), key('failed'))).toBe(3);
  });

  test('race 9: a rate limit, a global concurrency and jobs that wait for children keep the queue’s keys', async () => {
    for (const [name, set] of [
      ['rate limit', () => cluster.redis.hset(key('meta'), 'max', 5, 'duration', 1000)],
      ['concurrency', () => cluster.redis.hset(key('meta'), 'concurrency', 3)],
      ['waiting children', () => cluster.redis.zadd(key('waiting-children'), 1, 'parent')],
    ] as const) {
      const { claim, jobs } = await cold(a, 100 + name.length);
      await set();
      await a.finish(claim, [done(jobs[0])], 0);
      await a.release(claim, 'idle');
      expect([name, await cluster.redis.exists(key('meta'), key('id'))]).toEqual([name, 2]);
      await cluster.redis.del(key('meta'), key('waiting-children'), key('limiter'));
    }
  });

  const open: Queue[] = [];
  const queueOnce = () => {
    const made = queue();
    open.push(made);
    return made;
  };
  afterEach(async () => {
    for (const made of open.splice(0)) await made.close();
  });

  test('a plain BullMQ Queue reads everything: counts, jobs, their options and their worker', async () => {
    const { jobs } = await cold(a, 1);
    await a.add(job(1), { epoch: 1, mayClaim: false, atOnce: 1 });
    await a.add(job(2, { delay: 60_000 }), { epoch: 1, mayClaim: false, atOnce: 1 });
    const bull = queueOnce();
    expect(await bull.getJobCounts('active', 'waiting', 'delayed')).toEqual({ active: 1, waiting: 1, delayed: 1 });
    const [active] = await bull.getJobs(['active']);
    expect(active).toMatchObject({ id: jobs[0]?.id, name: 'withdraw', data: { n: 0 }, processedBy: 'a' });
    expect(active?.opts).toMatchObject({ removeOnComplete: true });
  });

  test('race 8: claims survive BullMQ’s removal of orphaned jobs, and no job can take a key of the queue', async () => {
    const { claim, jobs } = await cold(a, 1);
    await queueOnce().removeOrphanedJobs();
    expect((await a.finish(claim, [done(jobs[0])], 1)).jobs).toEqual([]);
    for (const jobId of ['meta', 'wait', '$', '$:worker', 'a:b', '', '17']) {
      await expect(a.add(job(1, { jobId }), { epoch: 1, mayClaim: false, atOnce: 1 })).rejects.toBeInstanceOf(
        InvalidOptionError,
      );
    }
  });

  test('race 5: an expired or stolen lock, or a deleted hash, does not affect the claim', async () => {
    const { claim, jobs } = await cold(a, 1);
    for (let n = 1; n < 5; n++) await a.add(job(n), { epoch: 1, mayClaim: false, atOnce: 1 });
    await cluster.redis.del(key(`${jobs[0]?.id}:lock`));
    const [second] = (await a.finish(claim, [done(jobs[0])], 1)).jobs;
    await cluster.redis.set(key(`${second?.id}:lock`), 'a-thief');
    const [third] = (await a.finish(claim, [done(second)], 1)).jobs;
    await cluster.redis.del(key(`${third?.id}`));
    const [fourth] = (await a.finish(claim, [done(third)], 1)).jobs;
    expect(fourth?.data).toEqual({ n: 3 });
    expect(await cluster.redis.lrange(key('active'), 0, -1)).toEqual([fourth?.id]);
    expect((await cluster.allKeys()).filter(name => name.endsWith(':lock'))).toEqual([key(`${fourth?.id}:lock`)]);
  });

  test('a job whose hash was deleted while it waited fails and does not stop the entity', async () => {
    const { claim, jobs } = await cold(a, 1);
    const entered = await a.add(job(1), { epoch: 1, mayClaim: false, atOnce: 1 });
    await cluster.redis.del(key(entered.jobId));
    const [wreck] = (await a.finish(claim, [done(jobs[0])], 1)).jobs;
    expect(wreck?.mustFail).toMatch(/data of the job is gone/);
    expect((await a.finish(claim, [failed(wreck)], 1)).jobs).toEqual([]);
  });

  test('race 18: a handler writes to its job through the claim; a zombie’s writes change nothing', async () => {
    const { claim, jobs } = await cold(a, 1);
    const native = jobs[0]?.native() as Job;
    await native.updateData({ n: 1 });
    await native.updateProgress(50);
    expect(await native.log('one')).toBe(1);
    await native.log('two');
    await native.clearLogs(1);
    expect(await native.getState()).toBe('active');
    expect(await cluster.redis.hmget(key(`${native.id}`), 'data', 'progress')).toEqual(['{"n":1}', '50']);
    expect(await cluster.redis.lrange(key(`${native.id}:logs`), 0, -1)).toEqual(['two']);
    await expect(native.moveToDelayed(Date.now() + 1000, 'a')).rejects.toBeInstanceOf(UnsupportedError);
    await expect(native.remove()).rejects.toBeInstanceOf(UnsupportedError);

    await a.resync(claim, 2, []);
    await expect(native.updateData({ n: 2 })).rejects.toBeInstanceOf(StaleClaimError);
    await expect(native.updateProgress(99)).rejects.toBeInstanceOf(StaleClaimError);
    await expect(native.log('three')).rejects.toBeInstanceOf(StaleClaimError);
    await expect(native.clearLogs()).rejects.toBeInstanceOf(StaleClaimError);
    expect(await cluster.redis.hmget(key(`${native.id}`), 'data', 'progress')).toEqual(['{"n":1}', '50']);
    expect(await cluster.redis.lrange(key(`${native.id}:logs`), 0, -1)).toEqual(['two']);
  });

  test('race 38: an add that fails half-way leaves nothing, and can be tried again', async () => {
    await cluster.redis.set(key('wait'), 'not a list');
    for (const options of [{}, { jobId: 'order-1' }]) {
      await expect(a.add(job(0, options), { epoch: 1, mayClaim: true, atOnce: 1 })).rejects.toBeInstanceOf(
        StoreRefusedError,
      );
    }
    expect((await cluster.allKeys()).filter(name => name.startsWith(`${cluster.base(entity)}:`)).sort()).toEqual(
      [key('events'), key('id'), key('meta'), key('wait')].sort(),
    );
    await cluster.redis.del(key('wait'));
    const { jobs } = await cold(a, 2, job(0, { jobId: 'order-1' }));
    expect(jobs[0]?.id).toBe('order-1');
  });

  test('race 38: a hash that is in no state at all is no duplicate', async () => {
    await cluster.redis.hset(key('order-1'), 'name', 'wreck');
    const { jobs } = await cold(a, 1, job(7, { jobId: 'order-1' }));
    expect(jobs[0]).toMatchObject({ id: 'order-1', name: 'withdraw', data: { n: 7 } });
  });

  test('race 17: after SCRIPT FLUSH the calls of many ticks still run once each, in order', async () => {
    const { claim, jobs } = await cold(a, 1);
    const added: Promise<unknown>[] = [];
    for (let n = 1; n <= 300; n++) {
      if (n % 50 === 1) await cluster.redis.script('FLUSH');
      added.push(a.add(job(n), { epoch: 1, mayClaim: false, atOnce: 1 }));
      if (n % 7 === 0) await new Promise(resolve => setImmediate(resolve));
    }
    await Promise.all(added);
    const order: number[] = [];
    let [next] = jobs;
    while (next) {
      order.push((next.data as { n: number }).n);
      [next] = (await a.finish(claim, [done(next)], 1)).jobs;
    }
    expect(order).toEqual(Array.from({ length: 301 }, (_, n) => n));
  });

  test('race 19: an error of one call of a tick does not affect the others', async () => {
    await cluster.redis.set(`${cluster.base({ type: 'account', id: 'bad' })}:wait`, 'not a list');
    const outcomes = await Promise.allSettled([
      a.add(job(1), { epoch: 1, mayClaim: true, atOnce: 1 }),
      a.add(job(2, {}, { type: 'account', id: 'bad' }), { epoch: 2, mayClaim: true, atOnce: 1 }),
      a.add(job(3), { epoch: 1, mayClaim: false, atOnce: 1 }),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });

  test('race 22: jobs under the lock of a plain BullMQ worker are left alone, and reported', async () => {
    await a.add(job(0), 'route-only');
    let release: () => void = () => {};
    const held = new Promise<void>(resolve => {
      release = resolve;
    });
    const { queue: name, prefix } = cluster.keys(entity);
    const worker = new Worker(name, () => held, { prefix, connection: { url: redisUrl() } as never });
    await eventually('the plain worker has the job', async () => (await cluster.redis.llen(key('active'))) === 1);
    await a.add(job(1), { epoch: 1, mayClaim: true, atOnce: 1 });
    expect(cluster.log.lines.join()).toMatch(/locked by a BullMQ Worker outside this library/);
    expect(await cluster.redis.lrange(key('active'), 0, -1)).toHaveLength(2);
    release();
    await worker.close();
  });

  test('race 36: wake-ups for a dead pod expire', async () => {
    const { claim, jobs } = await cold(a, 1);
    await a.finish(claim, [done(jobs[0])], 1);
    await b.add(job(1), { epoch: 1, mayClaim: true, atOnce: 1 });
    const wakeUps = `${cluster.prefix}:$:pod:a:wake`;
    expect(await cluster.redis.zrange(wakeUps, '0', '-1')).toEqual(['account:42']);
    expect(await cluster.redis.pttl(wakeUps)).toBeGreaterThan(0);
  });

  test('race 14: a wait for wake-ups returns all that are there, the oldest first', async () => {
    for (const id of ['z', 'y', 'x']) {
      const of = { type: 'account', id };
      const { claim, jobs } = await cold(a, id.charCodeAt(0), job(0, {}, of));
      await a.finish(claim, [done(jobs[0])], 1);
      await b.add(job(1, {}, of), { epoch: 1, mayClaim: true, atOnce: 1 });
    }
    expect((await a.wakeUps([])).map(({ id }) => id)).toEqual(['z', 'y', 'x']);
  });

  test('queues and workers have the user’s names, and the id in a queue’s name is written as in keys', async () => {
    const named = { type: 'named', id: 'a:b' };
    expect(a.queueName(named)).toBe('q-a%3Ab');
    expect(a.queueName(entity)).toBe(`${cluster.prefix}:account:42:queue`);
    const { jobs } = await cold(a, 1, job(0, {}, named));
    expect(jobs[0]?.native()).toMatchObject({ processedBy: 'w-a:b' });
    expect(await cluster.redis.exists(`${cluster.prefix}:q-a%3Ab:active`)).toBe(1);
  });

  test('a queue belongs to one entity: another entity with the same queue is refused, before anything is added', async () => {
    const [first, second] = ['named', 'sameName'].map(type => ({ type, id: '1' }));
    // One tick, one script.
    const added = a.add(job(0, {}, first), 'route-only');
    const refused = a.add(job(1, {}, second), { epoch: 1, mayClaim: true, atOnce: 1 });
    expect(await added).toMatchObject({ route: 'unowned' });
    await expect(refused).rejects.toThrow(InvalidOptionError);
    await expect(refused).rejects.toThrow(/belongs to named:1; queueName must give sameName:1 one of its own/);
    expect(await cluster.redis.llen(`${cluster.prefix}:q-1:wait`)).toBe(1);
    await a.tryClaim(first ?? entity, 2);
    await expect(b.add(job(1, {}, second), 'route-only')).rejects.toThrow(InvalidOptionError);
  });

  test('a job whose routing fails is added all the same: its caller is not told otherwise, and it is found', async () => {
    await cluster.redis.set(key('active'), 'of a wrong type');
    const entered = await a.add(job(0), { epoch: 1, mayClaim: true, atOnce: 1 });
    expect(entered).toMatchObject({ route: 'unknown-claim', jobId: '1' });
    expect(cluster.log.lines.join()).toMatch(/Job 1 of account:42 was added; routing it failed: WRONGTYPE/);
    await cluster.redis.del(key('active'));
    expect(await a.tryClaim(entity, 2)).toMatchObject({ jobs: [{ id: '1' }] });
  });

  test('a delayed job is due when BullMQ says so, which also counts its timestamp', async () => {
    const timestamp = Date.now() - 59_000;
    await a.add(job(0, { delay: 60_000, timestamp }), 'route-only');
    expect(await cluster.dueScore(entity)).toBe((timestamp + 60_000) * 1000);
  });

  test('jobs with a priority, added outside the library, go back in their order', async () => {
    const bull = queueOnce();
    for (const n of [2, 0, 1]) await bull.add('withdraw', { n }, { priority: 5, jobId: `job-${n}` });
    const claimed = await a.tryClaim(entity, 1);
    if (typeof claimed === 'string') throw new Error(claimed);
    const { jobs } = await a.finish(claimed.claim, [done(claimed.jobs[0])], 2);
    expect(jobs.map(({ id }) => id)).toEqual(['job-0', 'job-1']);
    expect((await a.resync(claimed.claim, 2, [])).jobs.map(({ id }) => id)).toEqual(['job-0']);
  });

  test('the renewal keeps the lock of a long job alive, and never creates it again', async () => {
    const { claim, jobs } = await cold(a, 1);
    const lock = key(`${jobs[0]?.id}:lock`);
    await cluster.redis.pexpire(lock, 5000);
    await a.renew([{ claim, idle: false, runningJobIds: jobs.map(({ id }) => id) }], serving());
    expect(await cluster.redis.pttl(lock)).toBeGreaterThan(20_000);
    await cluster.redis.del(lock);
    await a.renew([{ claim, idle: false, runningJobIds: jobs.map(({ id }) => id) }], serving());
    expect(await cluster.redis.exists(lock)).toBe(0);
  });
});
