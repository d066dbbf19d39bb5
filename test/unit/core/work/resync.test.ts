/**
 * A resync that meets another change of the claim: a loss, a takeover, a shutdown, the response to an earlier call. The renewal
 * travels on a connection of its own, so a worker may learn from it that the claim is lost before the resync has a response.
 */
import { settle } from '../../../support/clock.js';
import { LEASE_MS, type MemoryPods, type Pod, startPodA } from '../../../support/memory-pods.js';

/** After 0, 50, 150, 350 and 750 ms. The next one would come after 1,550 ms, and the renewal comes after 1,000 ms. */
const TRIES_BEFORE_A_BEAT = 5;

describe('resync', () => {
  let cluster: MemoryPods;
  let a: Pod;
  let b: Pod;

  beforeEach(async () => {
    ({ cluster, a } = await startPodA({ instant: false }));
    b = await cluster.pod('B');
  });
  afterEach(() => cluster.close());

  const errors = (pod: Pod) => pod.log.lines.filter(line => line.startsWith('error'));
  const told = (pod: Pod, type: string) => pod.events.filter(event => event.type === type).length;

  /** The end of job 0 has no response, so pod A resyncs. @returns what lets the response to that through. */
  const resyncing = async (fault: 'hold' | 'delay') => {
    await a.add('1', 0, 1);
    a.store.next('finish', 'drop');
    const letThrough = a.store[fault]('resync');
    await cluster.job(0).end();
    expect(a.count('resync')).toBe(1);
    return letThrough;
  };

  /** The claim of pod A lapses in the store, and pod B claims the entity at once. */
  const takeOver = async () => {
    const now = cluster.server.now();
    cluster.server.heard = { sinceMs: now - 10 * LEASE_MS, untilMs: now + LEASE_MS };
    const { owner } = cluster.stored();
    if (owner) owner.untilMs = now;
    cluster.server.inspections.wake('B', cluster.stored());
    await settle();
    expect(cluster.stored().owner?.podId).toBe('B');
  };

  describe('the claim is lost while a resync is under way', () => {
    test.each([
      ['as granted', 'hold', ['A:1:0', 'B:1:1']],
      ['as stale', 'delay', ['A:1:0', 'B:1:0', 'B:1:1']],
    ] as const)('the worker starts nothing when the response comes %s afterwards', async (_, fault, starts) => {
      const letThrough = await resyncing(fault);
      await takeOver();
      // The renewal is the first to tell of it.
      await cluster.clock.advance(LEASE_MS / 3);
      expect(told(a, 'worker.lost')).toBe(1);
      letThrough();
      await settle();
      expect(a.count('resync')).toBe(1);
      for (const start of starts.slice(1)) await cluster.job(Number(start.split(':')[2])).end();
      expect(cluster.starts).toEqual(starts);
      expect(told(a, 'worker.lost')).toBe(1);
      expect(a.log.lines).toEqual([]);
      // Its worker has ended: pod A is able to work the entity again.
      b.store.break('refuse');
      await cluster.clock.advance(6 * LEASE_MS);
      await a.add('1', 2);
      await cluster.job(2).end();
      expect(cluster.starts.at(-1)).toBe('A:1:2');
    });

    test('the resync is not tried again when the loss comes between two tries', async () => {
      await a.add('1', 0, 1);
      a.store.next('finish', 'drop');
      for (let i = 0; i < TRIES_BEFORE_A_BEAT; i++) a.store.next('resync', 'drop');
      await cluster.job(0).end();
      await takeOver();
      await cluster.clock.advance(LEASE_MS / 3);
      expect(told(a, 'worker.lost')).toBe(1);
      await cluster.clock.advance(LEASE_MS);
      expect(a.count('resync')).toBe(TRIES_BEFORE_A_BEAT);
      expect(errors(a)).toEqual([]);
      for (const n of [0, 1]) await cluster.job(n).end();
      expect(cluster.starts).toEqual(['A:1:0', 'B:1:0', 'B:1:1']);
    });
  });

  test('I1: a worker whose resync fails while another pod takes the entity over learns of the loss, and starts nothing', async () => {
    await a.add('1', 0, 1);
    a.store.next('finish', 'drop');
    a.store.next('resync', 'lose');
    await cluster.job(0).end();
    await takeOver();
    expect(cluster.starts).toEqual(['A:1:0', 'B:1:1']);
    // The second try comes before the next renewal, and is stale.
    await cluster.clock.advance(60);
    expect(a.count('resync')).toBe(2);
    expect(told(a, 'worker.lost')).toBe(1);
    await cluster.job(1).end();
    expect(cluster.starts).toEqual(['A:1:0', 'B:1:1']);
    expect(cluster.stored().active).toEqual([]);
  });

  test('race 12: a pod that shuts down during a resync hands the entity over when the response has come', async () => {
    const letThrough = await resyncing('hold');
    const closed = a.engine.close();
    await settle();
    expect(a.count('release')).toBe(0);
    letThrough();
    await closed;
    await cluster.job(1).end();
    expect(cluster.starts).toEqual(['A:1:0', 'B:1:1']);
    expect(a.log.lines).toEqual([]);
  });

  test('a resync without a response does not keep its pod from closing, and a late response starts nothing', async () => {
    const letThrough = await resyncing('hold');
    const closed = a.engine.close();
    await cluster.clock.advance(60_000);
    await closed;
    letThrough();
    await settle();
    await cluster.clock.advance(LEASE_MS);
    await cluster.job(1).end();
    expect(cluster.starts).toEqual(['A:1:0', 'B:1:1']);
    expect(errors(a)).toEqual([]);
  });

  test('race 6: the late response to a retry from before a resync does not lower the barrier of the next retry', async () => {
    const options = { attempts: 3 };
    for (const n of [0, 1]) {
      await a.engine.enqueue({ entityType: 'account', entityId: '1', name: 'w', data: { n }, options });
    }
    await settle();
    const first = a.store.hold('finish');
    await cluster.job(0).fail();
    a.store.next('add', 'lose');
    await expect(a.add('1', 2)).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    await settle();
    expect(a.count('resync')).toBe(1);
    const second = a.store.hold('finish');
    await cluster.job(0).fail();
    first();
    await settle();
    await b.add('1', 3);
    await cluster.clock.advance(LEASE_MS);
    expect(cluster.running).toEqual([]);
    second();
    await settle();
    for (const n of [0, 1, 2, 3]) await cluster.job(n).end();
    expect(cluster.starts).toEqual([0, 0, 0, 1, 2, 3].map(n => `A:1:${n}`));
  });
});
