/** Real connections that break at the worst moment. `docs/protocol.md` defines the numbers. */
import { OutcomeUnknownError } from '../../src/core/model/store-errors.js';
import { RedisEntity } from '../support/redis-entity.js';
import { RedisProxy } from '../support/redis-proxy.js';
import { claimOf, done } from '../support/settlements.js';

describe('a connection that breaks after a step was executed and before its response arrives', () => {
  const proxy = new RedisProxy();
  let on: RedisEntity;
  let url: string;

  beforeAll(async () => {
    url = await proxy.start();
  });
  beforeEach(async () => {
    on = await RedisEntity.create();
  });
  afterEach(() => on.close());
  afterAll(() => proxy.close());

  test('race 1: an add is not sent again, and its outcome is unknown', async () => {
    const pod = await on.cluster.pod(on.config, 'p', url);
    await pod.add(on.job(0), 'route-only');
    proxy.cutNextAnswer();
    await expect(pod.add(on.job(1), 'route-only')).rejects.toBeInstanceOf(OutcomeUnknownError);
    await pod.add(on.job(2), 'route-only');
    expect((await on.queue().getJobs(['waiting'], 0, -1, true)).map(({ data }) => data.n)).toEqual([0, 1, 2]);
  });

  test('races 1 and 26: a claim is not requested again; the pod finds its claim, and its job', async () => {
    const pod = await on.cluster.pod(on.config, 'p', url);
    await pod.tryClaim(on.entity, 1);
    proxy.cutNextAnswer();
    await expect(on.cold(pod, 2)).rejects.toBeInstanceOf(OutcomeUnknownError);
    const { claim, jobs } = claimOf(await pod.tryClaim(on.entity, 3));
    expect(jobs.map(({ data }) => data)).toEqual([{ n: 0 }]);
    proxy.cutNextAnswer();
    await expect(pod.finish(claim, [done(jobs[0])], 1)).rejects.toBeInstanceOf(OutcomeUnknownError);
    expect((await pod.resync(claim, 4, [done(jobs[0])])).jobs).toEqual([]);
  });
});
