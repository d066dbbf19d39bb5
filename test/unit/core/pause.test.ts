/** Pause and resume in the engine: what starts in between, with one handler and with several. */
import { settle } from '../../support/clock.js';
import { LEASE_MS, type MemoryPods, type Pod, startPodA } from '../../support/memory-pods.js';

describe('a pause', () => {
  const entity = { type: 'account', id: '1' };
  let cluster: MemoryPods;
  let a: Pod;

  beforeEach(async () => {
    ({ cluster, a } = await startPodA({ instant: false }));
  });
  afterEach(async () => {
    await a.engine.control.pause(entity, false);
    await cluster.close();
  });

  const starts = (...ns: number[]) => ns.map(n => `A:1:${n}`);
  const stored = () => cluster.server.entity(entity);
  const pause = async (isPaused = true) => {
    await a.engine.control.pause(entity, isPaused);
    await settle();
  };
  /** Job 2 runs, and the jobs behind it are fetched. */
  const withPrefetched = async () => {
    await a.add('1', 0, 1, 2, 3, 4, 5, 6);
    await cluster.job(0).end();
    await cluster.job(1).end();
    expect(stored().active.length).toBeGreaterThan(1);
  };

  test('gives fetched jobs back while the running job goes on; after a resume all run in order', async () => {
    await withPrefetched();
    await pause();
    expect(stored().active).toHaveLength(1);
    await cluster.job(2).end();
    expect(cluster.running).toEqual([]);
    await cluster.clock.advance(2 * LEASE_MS);
    expect(cluster.starts).toEqual(starts(0, 1, 2));
    await pause(false);
    for (const n of [3, 4, 5, 6]) await cluster.job(n).end();
    expect(cluster.starts).toEqual(starts(0, 1, 2, 3, 4, 5, 6));
  });

  test('has no effect on the next job if the resume follows at once', async () => {
    await withPrefetched();
    await pause();
    await pause(false);
    await cluster.job(2).end();
    expect(cluster.running.map(({ n }) => n)).toEqual([3]);
  });

  /** A pause whose wake-up is lost, so that only the mark in the claim remains. */
  const pauseUnheard = () => {
    stored().paused = true;
    const { owner } = stored();
    if (owner) owner.recall = 'pause';
  };

  test('is noticed with the end of the running job if its wake-up is lost, and at most one more job starts', async () => {
    await a.add('1', ...Array(16).keys());
    for (const n of [0, 1, 2, 3, 4]) await cluster.job(n).end();
    // More jobs are prefetched than the two that may start after an end before the pause is noticed.
    expect(stored().active.length).toBeGreaterThan(4);
    const letThrough = a.store.hold('finish');
    pauseUnheard();
    await cluster.job(5).end();
    expect(cluster.running.map(({ n }) => n)).toEqual([6]);
    letThrough();
    await settle();
    await cluster.job(6).end();
    expect(cluster.running).toEqual([]);
    expect(stored().wait.map(({ data }) => JSON.parse(data).n)).toEqual([7, 8, 9, 10, 11, 12, 13, 14, 15]);
  });

  test('is noticed by a free handler if its wake-up is lost and several handlers run, and work goes on after the resume', async () => {
    cluster.atOnce = 3;
    const b = await cluster.pod('B', { entities: { order: {}, account: { maxWorkersPerEntity: 3 } } });
    await a.engine.close();
    await b.add('1', 0);
    expect(cluster.running.map(({ n }) => n)).toEqual([0]);
    pauseUnheard();
    await b.add('1', 1, 2);
    expect(cluster.running.map(({ n }) => n)).toEqual([0]);
    await b.engine.control.pause(entity, false);
    await settle();
    expect(cluster.running.map(({ n }) => n)).toEqual([0, 1, 2]);
  });

  test('keeps a job with a retry due at once as the first after the resume', async () => {
    await a.engine.enqueue({
      entityType: 'account',
      entityId: '1',
      name: 'work',
      data: { n: 0 },
      options: { attempts: 2 },
    });
    await a.add('1', 1);
    expect(cluster.running.map(({ n }) => n)).toEqual([0]);
    const answers = [a.store.hold('finish'), a.store.hold('giveBack')];
    await cluster.job(0).fail();
    await pause();
    for (const letThrough of answers) {
      letThrough();
      await settle();
    }
    await pause(false);
    expect(cluster.starts).toEqual(starts(0, 0));
  });

  test('also gives back the jobs that an earlier call brings after the recall', async () => {
    await withPrefetched();
    const answers = [a.store.hold('finish'), a.store.hold('giveBack')];
    await cluster.job(2).end();
    await pause();
    for (const letThrough of answers) {
      letThrough();
      await settle();
    }
    await cluster.job(3).end();
    expect(cluster.starts).toEqual(starts(0, 1, 2, 3));
    expect(stored().active).toEqual([]);
    await pause(false);
    expect(cluster.running.map(({ n }) => n)).toEqual([4]);
  });

  test('leads to a resync if the response to the giving back is lost, and nothing paused runs', async () => {
    await withPrefetched();
    a.store.next('giveBack', 'lose');
    await pause();
    await cluster.job(2).end();
    await cluster.clock.advance(LEASE_MS);
    expect(cluster.starts).toEqual(starts(0, 1, 2));
    await pause(false);
    await cluster.clock.advance(LEASE_MS);
    expect(cluster.running.map(({ n }) => n)).toEqual([3]);
  });

  test('lets the running jobs of several handlers end by themselves; their ends count at once, and a resume goes on alongside them', async () => {
    cluster.atOnce = 3;
    const b = await cluster.pod('B', { entities: { order: {}, account: { maxWorkersPerEntity: 3 } } });
    await a.engine.close();
    await b.add('1', 0, 1, 2, 3, 4, 5);
    expect(cluster.running.map(({ n }) => n)).toEqual([0, 1, 2]);
    await pause();
    await cluster.job(1).end();
    expect(cluster.running.map(({ n }) => n)).toEqual([0, 2]);
    expect(stored().active).toHaveLength(2);
    await pause(false);
    expect(cluster.running.map(({ n }) => n)).toEqual([0, 2, 3]);
    await cluster.job(0).end();
    expect(cluster.running.map(({ n }) => n)).toEqual([2, 3, 4]);
  });
});
