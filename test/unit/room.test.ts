/** A pod with room for few entities: who gives way for what waits, and that nothing waits for ever (races 16 and 35). */
import { LEASE_MS, MemoryPods, type Pod } from '../support/memory-pods.js';

describe('a pod with room for two entities', () => {
  let cluster: MemoryPods;
  let a: Pod;

  beforeEach(async () => {
    cluster = new MemoryPods();
    a = await cluster.pod('A', { maxWorkersPerPod: 2 });
  });
  afterEach(() => cluster.close());

  const owned = () => [...cluster.server.entities.values()].flatMap(({ owner, ref }) => (owner ? [ref.id] : [])).sort();

  test('an idle one gives way, the longest idle first', async () => {
    await a.add('1', 0);
    await cluster.clock.advance(100);
    await a.add('2', 1);
    await cluster.clock.advance(100);
    await a.add('3', 2);
    await cluster.clock.advance(100);
    expect(cluster.starts).toEqual(['A:1:0', 'A:2:1', 'A:3:2']);
    expect(owned()).toEqual(['2', '3']);
  });

  test('race 16: busy ones give way after a slice, so that nobody starves', async () => {
    cluster.instant = false;
    for (const id of ['1', '2', '3', '4']) await a.add(id, ...[0, 1, 2, 3].map(n => 10 * Number(id) + n));
    const started = () => new Set(cluster.starts.map(start => start.split(':')[1]));
    for (let round = 0; round < 20 && started().size < 4; round++) {
      expect(cluster.running.length).toBeLessThanOrEqual(2);
      for (const running of [...cluster.running]) await running.end();
      await cluster.clock.advance(500);
    }
    expect([...started()].sort()).toEqual(['1', '2', '3', '4']);
    cluster.instant = true;
    for (const running of [...cluster.running]) await running.end();
    await cluster.clock.advance(30_000);
    for (const id of ['1', '2', '3', '4']) {
      const order = cluster.starts.filter(start => start.startsWith(`A:${id}:`)).map(start => Number(start.slice(4)));
      expect(order).toEqual([0, 1, 2, 3].map(n => 10 * Number(id) + n));
    }
  });

  test('a job that runs is not given up for room', async () => {
    cluster.instant = false;
    await a.add('1', 0);
    await a.add('2', 1);
    await a.add('3', 2);
    await cluster.clock.advance(10 * LEASE_MS);
    expect(cluster.running.map(({ n }) => n)).toEqual([0, 1]);
    await cluster.job(0).end();
    await cluster.clock.advance(20);
    expect(cluster.running.map(({ n }) => n)).toEqual([1, 2]);
  });

  test('race 35: nobody gives way for an entity that nobody here can serve', async () => {
    const b = await cluster.pod('B', { maxWorkersPerPod: 1 }, ['pay']);
    await b.addNamed('pay', '1', 0);
    await b.addNamed('refund', '9', 9);
    await cluster.clock.advance(60_000);
    expect(b.store.calls.filter(call => call === 'leave').length).toBeLessThanOrEqual(13);
  });

  test('race 16: one that is paused takes no room', async () => {
    const refs = ['1', '2'].map(id => ({ type: 'account', id }));
    for (const ref of refs) cluster.server.entity(ref).paused = true;
    await a.add('1', 0);
    await a.add('2', 1);
    await a.add('3', 2);
    await cluster.clock.advance(5000);
    expect(cluster.starts).toEqual(['A:3:2']);
    for (const ref of refs) cluster.server.entity(ref).paused = false;
    await cluster.clock.advance(10_000);
    expect(cluster.starts.slice(1).sort()).toEqual(['A:1:0', 'A:2:1']);
  });

  test('what it has no room for is taken by a pod that has, at once', async () => {
    cluster.instant = false;
    await cluster.pod('B');
    await a.add('1', 0);
    await a.add('2', 1);
    await a.add('3', 2);
    expect(cluster.running.map(({ pod, n }) => `${pod}${n}`)).toEqual(['A0', 'A1', 'B2']);
  });
});

describe('pods that share the load', () => {
  test('new entities go to others once a pod has more than its share; no pod has more than 1.5 of the mean', async () => {
    const cluster = new MemoryPods();
    const pods = [];
    for (const name of ['A', 'B', 'C', 'D', 'E']) pods.push(await cluster.pod(name));
    await cluster.clock.advance(LEASE_MS);
    for (let id = 0; id < 1000; id++)
      await pods[0]?.engine.enqueue({ entityType: 'account', entityId: id, name: 'x', data: { n: id } });
    await cluster.clock.advance(LEASE_MS / 3);
    expect(cluster.starts).toHaveLength(1000);
    const counts = new Map<string, number>();
    for (const { owner } of cluster.server.entities.values())
      if (owner) counts.set(owner.podId, (counts.get(owner.podId) ?? 0) + 1);
    expect(counts.size).toBe(5);
    for (const count of counts.values()) expect(count).toBeLessThanOrEqual(300);
    await cluster.close();
  });

  test('a pod alone takes all', async () => {
    const cluster = new MemoryPods();
    const a = await cluster.pod('A');
    await cluster.clock.advance(LEASE_MS);
    for (let id = 0; id < 50; id++) await a.add(String(id), id);
    expect(cluster.starts).toHaveLength(50);
    expect(cluster.server.requests.size).toBe(0);
    expect(new Set(a.store.calls)).not.toContain('look');
    await cluster.close();
  });

  test('a producer works nothing, and asks those that do', async () => {
    const cluster = new MemoryPods();
    const producer = await cluster.pod('P', { producerOnly: true });
    await producer.add('1', 0);
    await cluster.clock.advance(2 * LEASE_MS);
    expect(cluster.starts).toEqual([]);
    await cluster.pod('A');
    await cluster.clock.advance(1000);
    await producer.add('2', 1);
    expect(cluster.starts).toEqual(['A:1:0', 'A:2:1']);
    expect(producer.store.calls).not.toContain('renew');
    await cluster.close();
  });
});
