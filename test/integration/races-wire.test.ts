/**
 * Races between calls in flight and what happens meanwhile, on real Redis: a wire holds back a call, or its
 * response, until the other side has done its part. `docs/protocol.md` defines the numbers.
 */
import type { Redis } from 'ioredis';
import type { RedisEntityStore } from '../../src/store/redis/redis-store.js';
import { connect } from '../support/redis.js';
import { RedisEntity } from '../support/redis-entity.js';
import { RedisProxy } from '../support/redis-proxy.js';
import { claimOf, done, serving } from '../support/settlements.js';
import { eventually } from '../support/wait.js';

describe('calls in flight', () => {
  const proxy = new RedisProxy();
  let on: RedisEntity;
  let url: string;
  /** The pod at the wire. */
  let far: RedisEntityStore;
  let watcher: Redis;

  beforeAll(async () => {
    url = await proxy.start();
  });
  beforeEach(async () => {
    on = await RedisEntity.create();
    far = await on.cluster.pod(on.config, 'far', url);
    watcher = connect();
    // From now on Redis knows the script: a call is one message on the wire.
    await far.tryClaim({ type: 'account', id: 'other' }, 1);
  });
  afterEach(async () => {
    proxy.block('none');
    watcher.disconnect();
    await on.close();
  });
  afterAll(() => proxy.close());

  const fence = () => on.key('$:worker');
  /** Redis has executed a script that names the entity's queue. */
  const executed = async (send: () => void) => {
    const monitor = await watcher.monitor();
    let seen = false;
    monitor.on('monitor', (_time: string, args: string[]) => {
      if (args[0]?.toLowerCase() === 'evalsha' && args.includes(on.cluster.base(on.entity))) seen = true;
    });
    send();
    await eventually('the call is executed', () => seen);
    monitor.disconnect();
  };

  test('race 24: a renewal in flight when the claim is released brings nothing back', async () => {
    const { claim, jobs } = await on.cold(far, 2);
    await far.finish(claim, [done(jobs[0])], 1);
    const letThrough = proxy.hold('heartbeat');
    const renewed = far.renew([{ claim, idle: true }], serving());
    expect(await far.release(claim, 'idle')).toBe(true);
    letThrough();
    expect(await renewed).toMatchObject({ lost: [0], kicked: [] });
    expect((await on.redis.hkeys(fence())).sort()).toEqual(['entity', 'lastId', 'token']);
    expect(await on.redis.ttl(fence())).toBeGreaterThan(0);
    expect(await on.cluster.dueScore(on.entity)).toBeUndefined();
  });

  test('race 24: a renewal in flight when the claim is released does not extend the claim of the next owner', async () => {
    const { claim, jobs } = await on.cold(far, 2);
    await far.finish(claim, [done(jobs[0])], 1);
    const letThrough = proxy.hold('heartbeat');
    const renewed = far.renew([{ claim, idle: true }], serving());
    await far.release(claim, 'idle');
    // The epochs of two pods may be the same.
    await on.cold(on.b, 2, on.job(1));
    const held = await on.redis.hgetall(fence());
    letThrough();
    expect(await renewed).toMatchObject({ lost: [0], kicked: [] });
    expect(await on.redis.hgetall(fence())).toEqual(held);
    expect(await on.cluster.dueScore(on.entity)).toBe(Number(held['until']));
  });

  test('race 25: an end that was sent before an outage longer than the lease counts when it arrives, before any renewal', async () => {
    const { claim, jobs } = await on.cold(far, 2);
    await on.a.add(on.job(1), 'route-only');
    proxy.block('both');
    const ended = far.finish(claim, [done(jobs[0])], 1);
    await on.cluster.expireLeases();
    proxy.block('none');
    expect((await ended).jobs.map(({ data }) => data)).toEqual([{ n: 1 }]);
    expect(await on.redis.lrange(on.key('wait'), 0, -1)).toEqual([]);
    expect(await far.renew([{ claim, idle: false }], serving())).toMatchObject({ lost: [], kicked: [] });
  });

  test('race 25: after such an outage an add of the pod gets no second claim, and does not bring back what runs', async () => {
    const { claim, jobs } = await on.cold(far, 2);
    proxy.block('both');
    const same = far.add(on.job(1), { epoch: 2, mayClaim: true, atOnce: 1 });
    const newer = far.add(on.job(2), { epoch: 3, mayClaim: true, atOnce: 1 });
    await on.cluster.expireLeases();
    proxy.block('none');
    expect(await same).toMatchObject({ route: 'local', fetched: { jobs: [] } });
    expect((await newer).route).toBe('unknown-claim');
    expect(await on.redis.lrange(on.key('active'), 0, -1)).toEqual([jobs[0]?.id]);
    expect(await on.redis.hmget(fence(), 'token', 'epoch')).toEqual([claim.token, '2']);
  });

  test('races 11 and 30: work that is added while the response to an empty inspection is in flight stays scheduled', async () => {
    await on.redis.zadd(on.system('due:account'), 1, '42');
    proxy.block('answers');
    let looked: ReturnType<typeof far.tryClaim> | undefined;
    await executed(() => {
      looked = far.tryClaim(on.entity, 2);
    });
    await on.a.add(on.job(0), 'route-only');
    proxy.block('none');
    expect(await looked).toBe('later');
    // When this call has its response, the pod has acted on that one.
    await far.take({ entity: on.entity, token: '0', epoch: 9 }).catch(() => {});
    expect(await on.a.due('account', 0, 10)).toEqual([on.entity]);
    expect(claimOf(await far.tryClaim(on.entity, 3)).jobs.map(({ data }) => data)).toEqual([{ n: 0 }]);
  });

  test('race 30: work that is added at the very time that a sweep has seen is found by its inspection', async () => {
    await on.redis.zadd(on.system('due:account'), 1, '42');
    expect(await far.due('account', 0, 10)).toEqual([on.entity]);
    proxy.block('both');
    const looked = far.tryClaim(on.entity, 2);
    await on.a.add(on.job(0), 'route-only');
    expect(await on.cluster.dueScore(on.entity)).toBe(1);
    proxy.block('none');
    expect(claimOf(await looked).jobs.map(({ data }) => data)).toEqual([{ n: 0 }]);
  });

  test('race 14: a wake-up that the server gives to a dead connection is made up for by the renewal', async () => {
    const { claim, jobs } = await on.cold(far, 2);
    await far.finish(claim, [done(jobs[0])], 1);
    const swallowed = far.wakeUps([]).catch((error: Error) => error);
    const waits = async () => (await on.redis.client('LIST')) as string;
    await eventually('Redis holds the wait', async () => /far:wake-ups .*cmd=bzpopmin/.test(await waits()));
    proxy.abandon();
    expect(await swallowed).toBeInstanceOf(Error);
    await on.b.add(on.job(1), { epoch: 1, mayClaim: true, atOnce: 1 });
    await eventually('the wake-up is gone', async () => (await on.redis.exists(on.system('pod:far:wake'))) === 0);
    await eventually('the pod is connected again', () =>
      far.renew([{ claim, idle: true }], serving()).then(
        ({ kicked }) => kicked.length === 1,
        () => false,
      ),
    );
    expect((await far.resync(claim, 3, [])).jobs.map(({ data }) => data)).toEqual([{ n: 1 }]);
  });
});
