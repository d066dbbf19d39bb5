/**
 * Races of responses: several that arrive at once, one that arrives after the state has changed, one that says that a job is
 * gone. Barriers and scripted faults only. The numbers of invariants (I) and races are from `docs/protocol.md`.
 */
import { settle } from '../../support/clock.js';
import { LEASE_MS, MemoryPods, type Pod, startPodA } from '../../support/memory-pods.js';
import type { Running } from '../../support/running-handlers.js';

describe('races of responses', () => {
  let cluster: MemoryPods;
  let a: Pod;

  beforeEach(async () => {
    ({ cluster, a } = await startPodA({ instant: false }));
  });
  afterEach(() => cluster.close());

  const starts = (pod: string, ...ns: number[]) => ns.map(n => `${pod}:1:${n}`);
  const newJob = (n: number) => ({
    entity: { type: 'account', id: '1' },
    name: 'withdraw',
    data: `{"n":${n}}`,
    options: {},
  });

  test('I6: responses that arrive at once are used in the order of their requests', async () => {
    await cluster.prefetchOn(a, 4, 5, 6, 7);
    const answers = [a.store.hold('finish'), a.store.hold('finish')];
    await cluster.job(2).end();
    await cluster.job(3).end();
    expect(cluster.running).toHaveLength(0);
    for (const letThrough of answers) letThrough();
    await settle();
    for (const n of [4, 5, 6, 7]) await cluster.job(n).end();
    expect(cluster.starts).toEqual(starts('A', 0, 1, 2, 3, 4, 5, 6, 7));
  });

  test('a pod that has closed starts nothing, even if its claim is granted afterwards', async () => {
    const letThrough = a.store.hold('add');
    const added = a.add('1', 0);
    const closed = a.engine.close();
    await cluster.clock.advance(20_000);
    await closed;
    letThrough();
    await added.catch(() => {});
    await settle();
    expect(cluster.stored().owner).toBeDefined();
    expect(cluster.starts).toEqual([]);
  });

  test('I6: a fetched job that waits for a lease is not forgotten if an idle release comes first', async () => {
    const b = await cluster.pod('B');
    cluster.instant = true;
    await a.add('1', 0);
    await a.addForLater('1', 9);
    await cluster.clock.advance(14_500);
    // By its own clocks A has no lease any more, and none of the next renewals brings one. In the store it is the owner.
    cluster.clock.jumpWall(LEASE_MS);
    a.store.next('renew', 'drop');
    a.store.next('renew', 'drop');
    await b.add('1', 1, 2);
    expect(cluster.active()).toEqual([1]);
    await cluster.clock.advance(LEASE_MS / 3);
    expect(cluster.starts).toEqual(starts('A', 0));
    await cluster.clock.advance(LEASE_MS);
    expect(cluster.starts).toEqual(starts('A', 0, 1, 2));
  });

  test('race 5: if an operator removes the running job, its end is refused, and its worker goes on under the same claim', async () => {
    await a.add('1', 0, 1);
    const { token } = cluster.stored();
    cluster.stored().active = [];
    await cluster.job(0).end();
    expect(cluster.job(1).context.fencingToken).toBe(String(token));
    const untilMs = cluster.stored().owner?.untilMs ?? 0;
    await cluster.clock.advance(LEASE_MS);
    expect(cluster.stored().owner?.untilMs).toBeGreaterThan(untilMs);
    await cluster.job(1).end();
    expect(cluster.starts).toEqual(starts('A', 0, 1));
    expect(a.store.calls).not.toContain('resync');
  });

  test('race 7: the job that crashed its pod is suspected, not the one before it, whose end was under way', async () => {
    const options = { entities: { account: { workerConfig: { maxStalledCount: 0 } } } };
    await cluster.close();
    cluster = new MemoryPods({ instant: false });
    a = await cluster.pod('A', options);
    await cluster.prefetchOn(a, 4);
    a.store.next('finish', 'drop');
    await cluster.job(2).end();
    expect(cluster.active()).toEqual([2, 3]);
    const dead: Running[] = [];
    for (const [dying, successor] of [
      ['A', 'B'],
      ['B', 'C'],
    ] as const) {
      const handler = cluster.job(3);
      expect(handler.pod).toBe(dying);
      dead.push(handler);
      cluster.forget(handler);
      cluster.pods.at(-1)?.store.break('drop');
      await cluster.pod(successor, options);
      await cluster.clock.advance(2 * LEASE_MS);
      if (successor === 'B') await cluster.job(2).end();
    }
    expect(cluster.stored().failed.map(({ data, outcome }) => [data, outcome?.value])).toEqual([
      ['{"n":3}', 'job stalled more than allowable limit'],
    ]);
    await cluster.job(4).end();
    expect(cluster.starts.slice(2)).toEqual([...starts('A', 2, 3), ...starts('B', 2, 3), ...starts('C', 4)]);
    for (const handler of dead) await handler.end();
  });

  test('race 4: a wake-up is not forgotten while the response to an empty claim attempt is under way', async () => {
    const producer = await cluster.pod('P', { producerOnly: true });
    await cluster.clock.advance(LEASE_MS);
    const late = a.store.hold('tryClaim');
    cluster.server.inspections.lowerDue(cluster.stored(), cluster.clock.monotonicMs());
    await cluster.clock.advance(1300);
    await producer.add('1', 0);
    expect(cluster.running).toEqual([]);
    late();
    await settle();
    expect(cluster.starts).toEqual(starts('A', 0));
  });

  test('race 11: the next sweep finds a job that is added while the response to an empty claim attempt is under way', async () => {
    const producer = a.store.asStore();
    const late = a.store.hold('tryClaim');
    cluster.server.inspections.lowerDue(cluster.stored(), cluster.clock.monotonicMs());
    await cluster.clock.advance(1300);
    expect(cluster.server.due.size).toBe(0);
    expect((await producer.add(newJob(0), 'route-only')).route).toBe('unowned');
    // The wake-up is lost.
    cluster.server.wakeUps.get('A')?.words.clear();
    late();
    await settle();
    await cluster.clock.advance(1300);
    expect(cluster.starts).toEqual(starts('A', 0));
  });
});
