/**
 * Races about claims, wake-ups and inspections, on real Redis: one test for each guard of the scripts that no other test
 * misses when it is taken out. `docs/protocol.md` defines the numbers.
 */
import type { Job } from 'bullmq';
import { StaleClaimError } from '../../src/core/model/job-errors.js';
import { connect } from '../support/redis.js';
import { RedisEntity } from '../support/redis-entity.js';
import { claimOf, done, serving } from '../support/settlements.js';
import { gate } from '../support/wait.js';

const HOUR_MS = 3_600_000;

describe('races about claims', () => {
  let on: RedisEntity;

  beforeEach(async () => {
    on = await RedisEntity.create();
  });
  afterEach(() => on.close());

  const fence = () => on.key('$:worker');

  test('calls of one tick travel together, and each sees what those before it did to the claim', async () => {
    const hint = { epoch: 1, mayClaim: true, atOnce: 1 };
    const [first, second] = await Promise.all([on.a.add(on.job(0), hint), on.a.add(on.job(1), hint)]);
    expect([first.route, second.route]).toEqual(['claimed', 'local']);
    const { claim, jobs } = claimOf(first);
    expect((await on.a.finish(claim, [done(jobs[0])], 1)).jobs).toHaveLength(1);
  });

  test('I8: a release of a dormant and recalled claim leaves the fence', async () => {
    const { claim, jobs } = await on.cold(on.a, 1);
    await on.a.finish(claim, [done(jobs[0])], 1);
    expect(await on.a.renew([{ claim, idle: true }], serving())).toMatchObject({ dormant: [0] });
    await on.b.control.pause(on.entity, true);
    await on.b.control.pause(on.entity, false);
    expect(await on.a.release(claim, 'idle')).toBe(true);
    expect(Object.keys(await on.redis.hgetall(fence())).sort()).toEqual(['entity', 'lastId', 'token']);
  });

  test('races 2 and 27: after an outage longer than the lease the token stays, and a late call with an old epoch claims nothing', async () => {
    const { claim, jobs } = await on.cold(on.a, 5);
    await on.cluster.expireLeases();
    expect(await on.a.tryClaim(on.entity, 3)).toBe('later');
    expect((await on.a.finish(claim, [done(jobs[0])], 1)).jobs).toEqual([]);
    await on.cluster.expireLeases();
    const again = await on.a.resync(claim, 6, []);
    expect(again.claim.token).toBe(claim.token);
  });

  test('race 27: a claim that a failover has set back to an earlier epoch is not the known one', async () => {
    const { claim } = await on.cold(on.a, 5);
    await on.redis.hset(fence(), 'epoch', '4');
    expect(await on.a.renew([{ claim, idle: false }], serving())).toMatchObject({ lost: [0], kicked: [] });
    await expect(on.a.resync(claim, 6, [])).rejects.toBeInstanceOf(StaleClaimError);
  });

  test('I4: the token grows after Redis’s clock stepped back, also across a hand-over, and after the fence has expired', async () => {
    await on.released(1);
    const future = 8_000_000_000_000_000n;
    await on.redis.hset(fence(), 'token', String(future));
    const first = await on.cold(on.a, 2);
    expect(BigInt(first.claim.token)).toBe(future + 1n);
    await on.a.finish(first.claim, [done(first.jobs[0])], 1);
    await on.a.release(first.claim, 'idle');
    const second = await on.cold(on.b, 1);
    expect(BigInt(second.claim.token)).toBe(future + 2n);
    await on.b.release(second.claim, 'hand-over');
    expect(BigInt((await on.cold(on.a, 3)).claim.token)).toBe(future + 3n);
    await on.redis.del(fence());
    const before = BigInt(Date.now() - 60_000) * 1000n;
    expect(BigInt((await on.cold(on.b, 2)).claim.token)).toBeGreaterThan(before);
  });

  test('race 18: a job’s own methods to keep its lock do nothing: the worker and the heartbeat keep it', async () => {
    const { jobs } = await on.cold(on.a, 1);
    const native = jobs[0]?.native() as Job;
    const lock = on.key(`${native.id}:lock`);
    await on.redis.pexpire(lock, 5000);
    expect(await native.extendLock('0', 60_000)).toBe(1);
    expect(await on.redis.pttl(lock)).toBeLessThanOrEqual(5000);
  });

  test('race 34: events do not expire under work that was added outside the library and is claimed by an inspection', async () => {
    await on.released();
    await on.queue().add('withdraw', { n: 1 });
    expect(await on.redis.ttl(on.key('events'))).toBeGreaterThan(0);
    expect(claimOf(await on.b.tryClaim(on.entity, 1)).jobs).toHaveLength(1);
    expect(await on.redis.ttl(on.key('events'))).toBe(-1);
  });

  test.each([{}, { delay: 60_000 }])(
    'race 34: events do not expire under a job %j that no pod claims yet',
    async options => {
      await on.released();
      await on.b.add(on.job(1, options), 'route-only');
      expect(await on.redis.ttl(on.key('events'))).toBe(-1);
    },
  );

  test('I4: a claim does not expire, for any expiry that its fence had', async () => {
    await on.released();
    expect(await on.redis.ttl(fence())).toBeGreaterThan(0);
    await on.cold(on.b, 1);
    expect(await on.redis.ttl(fence())).toBe(-1);
  });

  test('race 31: a delayed job does not postpone the work that is there now', async () => {
    await on.b.add(on.job(0), 'route-only');
    expect((await on.b.add(on.job(1, { delay: 3_600_000 }), 'route-only')).route).toBe('delayed');
    expect(await on.b.due('account', 0, 10)).toEqual([on.entity]);
    await on.redis.zadd(on.system('due:account'), 1, '42');
    await on.b.add(on.job(2), 'route-only');
    expect(await on.cluster.dueScore(on.entity)).toBe(1);
  });

  test('I7: a renewal moves the time of the next inspection on, and so does an inspection of an entity with a live owner', async () => {
    const { claim } = await on.cold(on.a, 1);
    const due = () => on.cluster.dueScore(on.entity);
    const until = async () => Number(await on.redis.hget(fence(), 'until'));
    const first = await due();
    await on.a.renew([{ claim, idle: false }], serving());
    expect(await due()).toBeGreaterThan(first ?? 0);
    expect(await due()).toBe(await until());
    await on.redis.zadd(on.system('due:account'), 1, '42');
    expect(await on.b.tryClaim(on.entity, 1)).toBe('owned');
    expect(await due()).toBe(await until());
  });

  test('I7: claims beyond the number of one script are renewed, too, and reported by their positions', async () => {
    const { claim } = await on.cold(on.a, 1);
    const gone = { claim: { ...claim, entity: { type: 'account', id: 'gone' } }, idle: true };
    const renewals = [...Array(500).fill(gone), { claim, idle: true }, gone];
    const lost = [...renewals.keys()].filter(position => position !== 500);
    expect(await on.a.renew(renewals, serving())).toMatchObject({ lost, kicked: [500] });
  });

  test('race 16: a paused entity is not inspected by every sweep', async () => {
    await on.a.add(on.job(0), 'route-only');
    await on.cluster.pause(on.entity, true);
    expect(await on.a.due('account', 0, 10)).toEqual([on.entity]);
    expect(await on.a.tryClaim(on.entity, 1)).toBe('paused');
    expect(await on.a.due('account', 0, 10)).toEqual([]);
  });

  test('race 36: the owner is not called for work that the end of its job brings', async () => {
    await on.cold(on.a, 1);
    await on.b.add(on.job(1), { epoch: 1, mayClaim: true, atOnce: 1 });
    expect(await on.redis.exists(on.system('pod:a:wake'))).toBe(0);
  });

  test('race 36: a pod that died is not called, and its entry is removed', async () => {
    const pods = on.system('pods:account');
    const leaseUs = on.config.leaseMs * 1000;
    await on.redis.zadd(pods, Date.now() * 1000 - 2 * leaseUs, 'dead', Date.now() * 1000 - 20 * leaseUs, 'long dead');
    await on.b.add(on.job(0), 'route-only');
    expect((await on.cluster.allKeys()).filter(key => key.includes(':wake'))).toEqual([]);
    await on.a.renew([], serving('account'));
    expect(await on.redis.zrange(pods, '0', '-1')).toEqual(['dead', 'a']);
    expect(await on.redis.pttl(pods)).toBeGreaterThan(0);
    await on.b.add(on.job(1), 'route-only');
    expect((await on.cluster.allKeys()).filter(key => key.includes(':wake'))).toEqual([on.system('pod:a:wake')]);
  });

  test('race 36: each of several pods is called for some entities, and none calls itself', async () => {
    // However long the adds take, the pod counts as heard.
    await on.redis.zadd(on.system('pods:account'), (Date.now() + HOUR_MS) * 1000, 'c');
    for (const pod of [on.a, on.b]) await pod.renew([], serving('account'));
    for (let n = 0; n < 20; n++) await on.b.add(on.job(0, {}, { type: 'account', id: `e${n}` }), 'route-only');
    const called = (await on.cluster.allKeys()).filter(key => key.includes(':wake'));
    expect(called).toEqual([on.system('pod:a:wake'), on.system('pod:c:wake')]);
  });

  test('race 14: a repeated wake-up keeps its place, and places differ by the microsecond', async () => {
    const entities = ['z', 'y'].map(id => ({ type: 'account', id }));
    for (const [epoch, of] of entities.entries()) {
      const { claim, jobs } = await on.cold(on.a, epoch + 1, on.job(0, {}, of));
      await on.a.finish(claim, [done(jobs[0])], 1);
    }
    for (const of of [...entities, ...entities.slice(0, 1)]) {
      await on.b.add(on.job(1, {}, of), { epoch: 1, mayClaim: true, atOnce: 1 });
    }
    const scores = await on.redis.zrange(on.system('pod:a:wake'), '0', '-1', 'WITHSCORES');
    expect(Number(scores[1])).toBeGreaterThan(1e15);
    expect(await on.a.wakeUps([])).toEqual(entities);
  });

  test('race 14: each wait for wake-ups ends, so that a dead connection keeps no wake-up for long', async () => {
    const watcher = connect();
    const monitor = await watcher.monitor();
    const seen = gate<string[]>();
    monitor.on('monitor', (_time: string, args: string[]) => {
      if (args[0]?.toLowerCase() === 'bzpopmin' && args[1] === on.system('pod:b:wake')) seen.open(args);
    });
    await on.redis.zadd(on.system('pod:b:wake'), 1, 'account:42');
    await on.b.wakeUps([]);
    const [, , seconds] = await seen.promise;
    expect(Number(seconds)).toBeGreaterThan(0);
    expect(Number(seconds)).toBeLessThanOrEqual(5);
    monitor.disconnect();
    watcher.disconnect();
  });
});
