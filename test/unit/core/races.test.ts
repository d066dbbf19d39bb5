/**
 * Races that `engine.test.ts` does not force: one test for each guard of the core that no other test
 * misses when it is taken out. Barriers and scripted faults only; their numbers are from `docs/protocol.md`.
 */
import { settle } from '../../support/clock.js';
import { LEASE_MS, type MemoryPods, type Pod, startPodA } from '../../support/memory-pods.js';

describe('races of the core', () => {
  let cluster: MemoryPods;
  let a: Pod;

  beforeEach(async () => {
    ({ cluster, a } = await startPodA({ instant: false }));
  });
  afterEach(() => cluster.close());

  const enqueue = (pod: Pod, n: number, jobId: string) =>
    pod.engine.enqueue({ entityType: 'account', entityId: '1', name: 'w', data: { n }, options: { jobId } });

  test('races 1 and 28: if a pod dies before it makes good an end that was not executed, both jobs run again, in order', async () => {
    const b = await cluster.pod('B');
    await cluster.prefetchOn(a);
    a.store.next('finish', 'refuse');
    await cluster.job(2).end();
    expect(cluster.active()).toEqual([2, 3]);
    const dead = cluster.job(3);
    a.store.break('drop');
    cluster.forget(dead);
    await cluster.clock.advance(LEASE_MS + 1200);
    await cluster.job(2).end();
    await cluster.job(3).end();
    await dead.end();
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1', 'A:1:2', 'A:1:3', 'B:1:2', 'B:1:3']);
    expect(b.log.lines).toEqual([]);
  });

  test('race 1: an add that certainly was not executed fails for its caller and has no other effect', async () => {
    await cluster.prefetchOn(a);
    a.store.next('add', 'refuse');
    await expect(a.add('1', 4)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    for (const n of [2, 3]) await cluster.job(n).end();
    expect(a.count('resync')).toBe(0);
  });

  test('race 2: a response that is lost while a handler runs is followed up when it has ended, and not before', async () => {
    await a.add('1', 0, 1);
    a.store.next('add', 'lose');
    await expect(a.add('1', 2)).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    await settle();
    expect(a.count('resync')).toBe(0);
    for (const n of [0, 1, 2]) await cluster.job(n).end();
    expect(a.count('resync')).toBe(1);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1', 'A:1:2']);
  });

  test('race 2: a pod that has lost the entity does not claim it by an add while the lost handler runs', async () => {
    await cluster.pod('B');
    await a.add('1', 0);
    const zombie = cluster.job(0);
    cluster.stored().owner = undefined;
    await cluster.clock.advance(LEASE_MS / 3);
    expect(zombie.context.signal.aborted).toBe(true);
    cluster.forget(zombie);
    await a.add('1', 1);
    expect(cluster.stored().owner?.podId).toBe('B');
    for (const n of [0, 1]) await cluster.job(n).end();
    await cluster.clock.advance(LEASE_MS);
    await zombie.end();
    expect(cluster.starts).toEqual(['A:1:0', 'B:1:0', 'B:1:1']);
    expect(a.log.lines.filter(line => line.includes('lost its claim of account:1'))).toHaveLength(1);
  });

  test('race 25: a pod whose claim is gone does not claim again, alongside its own handler, before it has been told', async () => {
    await a.add('1', 0);
    const zombie = cluster.job(0);
    cluster.stored().owner = undefined;
    await a.add('1', 1);
    expect(cluster.stored().owner).toBeUndefined();
    await cluster.clock.advance(LEASE_MS / 3);
    expect(zombie.context.signal.aborted).toBe(true);
  });

  test('race 4: a late response to a release does not affect the claim that came after it', async () => {
    await a.add('1', 0);
    await cluster.job(0).end();
    const letThrough = a.store.hold('release');
    await cluster.clock.advance(16_000);
    await a.add('1', 1);
    letThrough();
    await settle();
    await cluster.job(1).end();
    expect(cluster.active()).toEqual([]);
    expect(cluster.stored().owner?.podId).toBe('A');
  });

  test('races 4 and 24: a late notice that the earlier claim is gone does not affect the claim that came after it', async () => {
    await a.add('1', 0);
    await cluster.job(0).end();
    const released = a.store.hold('release');
    await cluster.clock.advance(15_000);
    const renewed = a.store.hold('renew');
    await cluster.clock.advance(LEASE_MS / 3);
    await a.add('1', 1);
    renewed();
    released();
    await settle();
    expect(cluster.job(1).context.signal.aborted).toBe(false);
    await cluster.job(1).end();
    expect(cluster.active()).toEqual([]);
  });

  test('race 4: a refused release takes the job that it was refused for at once', async () => {
    const b = await cluster.pod('B');
    const renewed = await cluster.addBehindRelease(a, b);
    renewed();
    await settle();
    expect(a.count('release')).toBe(1);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1']);
    expect(a.count('resync')).toBe(0);
  });

  test('race 4: a worker is not released while a response is pending that may have brought a job', async () => {
    const b = await cluster.pod('B');
    cluster.instant = true;
    cluster.server.inspections.wake = () => {};
    await a.add('1', 0);
    const entered = a.store.hold('add');
    const first = a.add('1', 1);
    await b.add('1', 2);
    await cluster.clock.advance(17_000);
    entered();
    await first;
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1', 'A:1:2']);
  });

  test('race 7: jobs that a dead owner had fetched are fetched one at a time, so that a crashing job is alone next time', async () => {
    const b = await cluster.pod('B');
    await a.add('1', ...Array.from({ length: 9 }, (_, n) => n));
    await cluster.job(0).end();
    await cluster.job(1).end();
    expect(cluster.active()).toEqual([2, 3]);
    const dead = cluster.job(2);
    a.store.break('drop');
    cluster.forget(dead);
    await cluster.clock.advance(LEASE_MS + 1200);
    const fetched: number[][] = [];
    for (const n of [2, 3, 4, 5]) {
      fetched.push(cluster.active());
      await cluster.job(n).end();
    }
    expect(fetched).toEqual([[2], [3], [4], [5, 6]]);
    await dead.end();
    expect(b.log.lines).toEqual([]);
  });

  test('race 12: a pod that shuts down while the response to its claim is lost finds the claim, and hands it over', async () => {
    await cluster.pod('B');
    a.store.next('add', 'lose');
    const added = a.add('1', 0);
    const drained = a.engine.drain();
    await expect(added).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    await settle();
    expect(cluster.starts).toEqual(['B:1:0']);
    await drained;
  });

  test('race 12: a pod that shuts down starts no prefetched job, and claims nothing more', async () => {
    await cluster.pod('B');
    await cluster.prefetchOn(a);
    const drained = a.engine.drain();
    await a.add('2', 9);
    expect(cluster.starts.at(-1)).toBe('B:2:9');
    await cluster.job(2).end();
    await drained;
    expect(cluster.starts.at(-1)).toBe('B:1:3');
  });

  for (const [what, fault] of [
    ['was confirmed', undefined],
    ['was made good', 'lose'],
  ] as const) {
    test(`race 28: an end that ${what} is not repeated for a later job of the same id`, async () => {
      for (const [n, id] of ['x', 'p', 'q', 'r'].entries()) await enqueue(a, n, id);
      await settle();
      if (fault) a.store.next('finish', fault);
      await cluster.job(0).end();
      await enqueue(a, 4, 'x');
      await cluster.job(1).end();
      await cluster.job(2).end();
      expect(cluster.active()).toEqual([3, 4]);
      a.store.next('add', 'lose');
      await expect(a.add('1', 5)).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
      for (const n of [3, 4, 5]) await cluster.job(n).end();
      expect(cluster.starts).toEqual([0, 1, 2, 3, 4, 5].map(n => `A:1:${n}`));
    });
  }
});
