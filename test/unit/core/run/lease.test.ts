/**
 * Leases by two clocks, what a renewal reports, and responses that arrive too late to be true: one test for each
 * guard that no other test misses when it is taken out. The numbers of invariants (I) and races are from `docs/protocol.md`.
 */
import { settle } from '../../../support/clock.js';
import { LEASE_MS, type MemoryPods, type Pod, startPodA } from '../../../support/memory-pods.js';

describe('leases and late responses', () => {
  let cluster: MemoryPods;
  let a: Pod;

  beforeEach(async () => {
    ({ cluster, a } = await startPodA({ instant: false }));
  });
  afterEach(() => cluster.close());

  const running = () => cluster.running.map(({ n }) => n);
  const starts = (...ns: number[]) => ns.map(n => `A:1:${n}`);

  /** Job 1 runs, job 2 comes next. The pod gets no further renewal until the test calls the result. */
  const withoutRenewal = async () => {
    await a.add('1', 0, 1, 2);
    await cluster.job(0).end();
    return a.store.hold('renew');
  };

  test('I2: a wall clock that is set back does not lengthen a lease', async () => {
    const letThrough = await withoutRenewal();
    cluster.clock.stall(LEASE_MS);
    cluster.clock.jumpWall(-LEASE_MS);
    await cluster.job(1).end();
    expect(running()).toEqual([]);
    letThrough();
    await settle();
    expect(running()).toEqual([2]);
  });

  test('I2: the last part of a lease is not used, because the clocks of two machines differ in speed', async () => {
    const letThrough = await withoutRenewal();
    cluster.clock.stall(0.96 * LEASE_MS);
    await cluster.job(1).end();
    expect(running()).toEqual([]);
    letThrough();
    await settle();
    expect(running()).toEqual([2]);
  });

  test('I2: a lease counts from when its renewal was sent, not from the response', async () => {
    await a.add('1', 0, 1, 2);
    await cluster.job(0).end();
    const late = a.store.hold('renew');
    await cluster.clock.advance(LEASE_MS / 3);
    cluster.clock.stall(LEASE_MS);
    late();
    await settle();
    const letThrough = a.store.hold('renew');
    await cluster.job(1).end();
    expect(running()).toEqual([]);
    letThrough();
    await settle();
    expect(running()).toEqual([2]);
  });

  test('I2: the first lease counts from when the claim was requested', async () => {
    const late = a.store.hold('add');
    const added = a.add('1', 0);
    await settle();
    cluster.clock.stall(LEASE_MS);
    const letThrough = a.store.hold('renew');
    late();
    await added;
    expect(running()).toEqual([]);
    letThrough();
    await settle();
    expect(running()).toEqual([0]);
  });

  test('a renewal reports which job runs, keeps its lock alive, and reports which workers are idle', async () => {
    await a.add('1', 0, 1);
    await a.add('2', 2);
    await cluster.job(2).end();
    await cluster.clock.advance(LEASE_MS / 3);
    const [{ id: jobId = '' } = {}] = cluster.stored().active;
    expect(a.store.lastArguments.get('renew')?.[0]).toMatchObject([
      { claim: { entity: { id: '1' } }, idle: false, runningJobIds: [jobId] },
      { claim: { entity: { id: '2' } }, idle: true, runningJobIds: [] },
    ]);
  });

  test('race 27: the response to a fetch from before a resync brings nothing, although it arrives after the resync', async () => {
    await a.add('1', 0, 1, 2);
    const late = a.store.hold('finish');
    await cluster.job(0).end();
    a.store.next('add', 'lose');
    await expect(a.add('1', 3)).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    await settle();
    expect(running()).toEqual([1]);
    late();
    await settle();
    for (const n of [1, 2, 3]) await cluster.job(n).end();
    expect(cluster.starts).toEqual(starts(0, 1, 2, 3));
  });

  test('I3: an end that is refused as stale tells the pod at once that it has lost the entity', async () => {
    await a.add('1', 0, 1, 2);
    await cluster.job(0).end();
    await cluster.job(1).end();
    const last = cluster.job(2).context;
    cluster.stored().owner = {
      podId: 'B',
      epoch: 1,
      untilMs: Number.POSITIVE_INFINITY,
    };
    await cluster.job(2).end();
    expect(last.signal.aborted).toBe(true);
    expect(a.count('resync')).toBe(1);
    cluster.stored().owner = undefined;
  });

  test('a job that another pod adds wakes its idle owner at once', async () => {
    const b = await cluster.pod('B');
    await a.add('1', 0);
    await cluster.job(0).end();
    await b.add('1', 1);
    expect(running()).toEqual([1]);
    expect(a.count('resync')).toBe(0);
  });

  test('race 26: a claim that is still ours is adopted after a refused release with a job enqueued behind it', async () => {
    const b = await cluster.pod('B');
    const renewed = await cluster.addBehindRelease(a, b);
    const refused = a.store.hold('release');
    renewed();
    await settle();
    await a.add('1', 2);
    expect(cluster.starts).toEqual(starts(0, 1, 2));
    refused();
    await a.add('1', 3);
    expect(cluster.starts).toEqual(starts(0, 1, 2, 3));
  });

  test('race 37: what a renewal saw of an idle worker does not affect a worker that is busy by now', async () => {
    const b = await cluster.pod('B');
    cluster.server.inspections.wake = () => {};
    await a.add('1', 0);
    await cluster.job(0).end();
    await b.add('1', 1);
    const renewed = a.store.hold('renew');
    await cluster.clock.advance(LEASE_MS / 3);
    await a.add('1', 2);
    renewed();
    await settle();
    await cluster.job(1).end();
    await cluster.job(2).end();
    expect(cluster.starts).toEqual(starts(0, 1, 2));
    expect(a.count('resync')).toBe(0);
  });

  test('race 37: what a renewal saw of an idle worker does not affect a worker that waits for a response', async () => {
    await a.add('1', 0);
    await cluster.job(0).end();
    const entered = a.store.hold('add');
    const added = a.add('1', 1);
    await cluster.clock.advance(LEASE_MS);
    expect(a.count('resync')).toBe(0);
    entered();
    await added;
    expect(running()).toEqual([1]);
  });

  test('I7: a renewal makes good a lost wake-up even if the worker waits for a delayed job', async () => {
    const b = await cluster.pod('B');
    cluster.instant = true;
    cluster.server.inspections.wake = () => {};
    await a.add('1', 0);
    await a.addForLater('1', 9);
    await b.add('1', 1);
    expect(cluster.starts).toEqual(starts(0));
    await cluster.clock.advance(LEASE_MS / 3);
    expect(cluster.starts).toEqual(starts(0, 1));
  });
});
