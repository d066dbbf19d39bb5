/** Ends that are sent again after a lost response: which of them count. The contract has the plain cases. */
import { RedisEntity } from '../support/redis-entity.js';
import { claimOf, done, numbers } from '../support/settlements.js';

const HINT = { epoch: 1, mayClaim: true, atOnce: 1 } as const;

describe('an end that is sent again', () => {
  let entity: RedisEntity;
  beforeEach(async () => {
    entity = await RedisEntity.create();
  });
  afterEach(() => entity.close());

  test('does not end the job that was added under its id after the queue was obliterated: its number is the same', async () => {
    const { claim, jobs } = claimOf(await entity.a.add(entity.job(0, { jobId: 'mine', timestamp: 1 }), HINT));
    await entity.a.finish(claim, [done(jobs[0])], 1);
    await entity.queue().obliterate();
    const second = await entity.a.add(entity.job(1, { jobId: 'mine', timestamp: 2 }), HINT);
    expect(second.route === 'local' && numbers(second.fetched.jobs)).toEqual([1]);
    expect(numbers((await entity.a.resync(claim, 2, [done(jobs[0])])).jobs)).toEqual([1]);
  });

  test('counts if the hash of its job was damaged, and mended, meanwhile', async () => {
    const { claim, jobs } = await entity.cold(entity.a, 1);
    await entity.redis.del(entity.key('1'));
    await entity.redis.hset(entity.key('1'), { timestamp: Date.now() + 5, defa: 'damaged' });
    expect((await entity.a.resync(claim, 2, [done(jobs[0])])).jobs).toEqual([]);
  });

  test('makes no dead letter if the job was moved manually while it ran', async () => {
    const { claim, jobs } = await entity.cold(entity.a, 1);
    await entity.redis.multi().lrem(entity.key('active'), 1, '1').rpush(entity.key('wait'), '1').exec();
    expect(numbers((await entity.a.resync(claim, 2, [done(jobs[0], 'dead')])).jobs)).toEqual([0]);
    expect(await entity.redis.zcard(entity.system('dead:account:failed'))).toBe(0);
  });

  test('counts if the time of its job, or its number, is damaged', async () => {
    const { claim, jobs } = await entity.cold(entity.a, 1);
    await entity.a.add(entity.job(1, { jobId: 'mine' }), HINT);
    await entity.redis.hset(entity.key('mine'), 'timestamp', Buffer.from([0xff]), 'nth', Buffer.from([0xff]));
    const { jobs: next } = await entity.a.finish(claim, [done(jobs[0])], 1);
    expect(numbers(next)).toEqual([1]);
    expect((await entity.a.resync(claim, 2, [done(next[0])])).jobs).toEqual([]);
  });
});
