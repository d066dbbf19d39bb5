/** A pod with room for few entities: which entity is released for a waiting one, so that none waits forever (races 16 and 35). */
import { LEASE_MS, MemoryPods, type Pod } from '../../../support/memory-pods.js';

describe('a pod with room for two entities', () => {
  let cluster: MemoryPods;
  let a: Pod;

  beforeEach(async () => {
    cluster = new MemoryPods();
    a = await cluster.pod('A', { maxWorkersPerPod: 2 });
  });
  afterEach(() => cluster.close());

  const owned = () => [...cluster.server.entities.values()].flatMap(({ owner, ref }) => (owner ? [ref.id] : [])).sort();

  test('releases an idle entity for a new one, the longest idle first', async () => {
    await a.add('1', 0);
    await cluster.clock.advance(100);
    await a.add('2', 1);
    await cluster.clock.advance(100);
    await a.add('3', 2);
    await cluster.clock.advance(100);
    expect(cluster.starts).toEqual(['A:1:0', 'A:2:1', 'A:3:2']);
    expect(owned()).toEqual(['2', '3']);
  });

  test('race 16: releases busy entities after a slice of time, so that none starves', async () => {
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

  test('does not interrupt a running job for room', async () => {
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

  test('race 35: releases nothing for an entity that no handler here can serve', async () => {
    const b = await cluster.pod('B', { maxWorkersPerPod: 1 }, ['pay']);
    await b.addNamed('pay', '1', 0);
    await b.addNamed('refund', '9', 9);
    await cluster.clock.advance(60_000);
    expect(b.count('defer')).toBeLessThanOrEqual(13);
  });

  test('race 16: releases the other busy entity while one handler runs for hours', async () => {
    cluster.instant = false;
    await a.add('long', 0);
    await a.add('hot', ...Array.from({ length: 100 }, (_, i) => 100 + i));
    await a.add('third', 9);
    for (let round = 0; round < 40 && !cluster.starts.includes('A:third:9'); round++) {
      await cluster.clock.advance(250);
      await cluster.running.find(({ entityId }) => entityId === 'hot')?.end();
    }
    expect(cluster.starts).toContain('A:third:9');
  });

  test('race 16: lets an entity that pauses between its jobs use its whole slice', async () => {
    cluster.instant = false;
    await a.add('long', 0);
    await a.add('1', 100);
    await a.add('2', 7);
    for (let n = 101; n < 160 && !cluster.starts.includes('A:2:7'); n++) {
      await cluster.clock.advance(99);
      await cluster.running.find(({ entityId }) => entityId === '1')?.end();
      await cluster.clock.advance(1);
      await a.add('1', n);
    }
    expect(cluster.starts).toContain('A:2:7');
  });

  test('race 16: releases an entity and its work despite endless enqueues with pending responses', async () => {
    const one = await cluster.pod('one', { maxWorkersPerPod: 1 });
    await a.engine.close();
    const later = () => ({ hold: new Promise<void>(resolve => void cluster.clock.after(20, resolve)) });
    let n = 100;
    const enqueue = (entityId: string) => {
      one.store.next('add', later());
      void one.engine.enqueue({ entityType: 'account', entityId, name: 'x', data: { n: n++ } });
    };
    enqueue('hot');
    await cluster.clock.advance(50);
    enqueue('other');
    for (let i = 0; i < 500; i++) {
      enqueue('hot');
      await cluster.clock.advance(10);
    }
    const of = (id: string) => cluster.starts.filter(start => start.startsWith(`one:${id}:`)).length;
    expect(of('other')).toBe(1);
    expect(of('hot')).toBeGreaterThan(400);
  });

  test('releases nothing for enqueues to entities of other pods', async () => {
    const b = await cluster.pod('B');
    for (let id = 10; id < 17; id++) await b.add(String(id), id);
    cluster.instant = false;
    await a.add('1', 0, 1);
    await a.add('2', 2, 3);
    await cluster.clock.advance(1500);
    a.store.before('due', () => {
      for (let n = 100; n < 130; n++)
        void a.engine.enqueue({ entityType: 'account', entityId: 10 + (n % 7), name: 'x', data: { n } });
    });
    await cluster.clock.advance(1300);
    for (const n of [0, 2]) await cluster.job(n).end();
    expect(cluster.starts.filter(start => start.startsWith('A:'))).toEqual(['A:1:0', 'A:2:2', 'A:1:1', 'A:2:3']);
  });

  test('does not call a store that refuses without pause, even if it has no room', async () => {
    const one = await cluster.pod('one', { maxWorkersPerPod: 1 });
    await a.engine.close();
    const producer = await cluster.pod('P', { producerOnly: true });
    let looks = 0;
    const refuse = () => {
      looks++;
      one.store.next('tryClaim', 'refuse');
      if (looks < 1000) one.store.before('tryClaim', refuse);
    };
    one.store.before('tryClaim', refuse);
    await producer.add('1', 0);
    await producer.add('2', 1);
    await cluster.clock.advance(3000);
    expect(looks).toBeLessThan(200);
  });

  test('race 16: releases no busy entity for paused entities that are due', async () => {
    for (let id = 10; id < 30; id++) cluster.server.entity({ type: 'account', id: String(id) }).paused = true;
    const producer = await cluster.pod('P', { producerOnly: true });
    for (let id = 10; id < 30; id++) await producer.add(String(id), id);
    cluster.instant = false;
    await cluster.clock.advance(3000);
    await a.add('1', ...Array.from({ length: 100 }, (_, i) => 100 + i));
    await a.add('2', ...Array.from({ length: 100 }, (_, i) => 200 + i));
    const before = a.count('release');
    for (let i = 0; i < 100; i++) {
      await cluster.clock.advance(100);
      for (const running of [...cluster.running]) await running.end();
    }
    expect(a.count('release')).toBe(before);
    for (let id = 10; id < 30; id++) cluster.server.entity({ type: 'account', id: String(id) }).paused = false;
  });

  test('uses no attempt of the fetched jobs of a released entity', async () => {
    cluster.instant = false;
    for (const id of ['1', '2', '3']) await a.add(id, ...Array.from({ length: 20 }, (_, i) => 100 * Number(id) + i));
    const attempts = new Set<number>();
    for (let i = 0; i < 60; i++) {
      await cluster.clock.advance(100);
      for (const running of [...cluster.running]) {
        attempts.add(running.context.attempt);
        await running.end();
      }
    }
    expect([...attempts]).toEqual([1]);
  });

  test('race 16: keeps no room for a paused entity', async () => {
    const refs = ['1', '2'].map(id => ({ type: 'account', id }));
    for (const ref of refs) cluster.server.entity(ref).paused = true;
    await a.add('1', 0);
    await a.add('2', 1);
    await a.add('3', 2);
    await cluster.clock.advance(5000);
    expect(cluster.starts).toEqual(['A:3:2']);
    for (const ref of refs) {
      cluster.server.entity(ref).paused = false;
      cluster.server.inspections.inspectNow(cluster.server.entity(ref));
    }
    await cluster.clock.advance(10_000);
    expect(cluster.starts.slice(1).sort()).toEqual(['A:1:0', 'A:2:1']);
  });

  test('leaves an entity for which it has no room to a pod that has room, at once', async () => {
    cluster.instant = false;
    await cluster.pod('B');
    await a.add('1', 0);
    await a.add('2', 1);
    await a.add('3', 2);
    expect(cluster.running.map(({ pod, n }) => `${pod}${n}`)).toEqual(['A0', 'A1', 'B2']);
  });
});

describe('pods that share the load', () => {
  test('leave new entities to others when they have more than their share: no pod has more than 1.5 times the mean', async () => {
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

  test('take everything if there is only one', async () => {
    const cluster = new MemoryPods();
    const a = await cluster.pod('A');
    await cluster.clock.advance(LEASE_MS);
    for (let id = 0; id < 50; id++) await a.add(String(id), id);
    expect(cluster.starts).toHaveLength(50);
    expect(cluster.server.requests.size).toBe(0);
    expect(new Set(a.store.calls)).not.toContain('tryClaim');
    await cluster.close();
  });

  test('do not include a producer, which works nothing and wakes the others', async () => {
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
