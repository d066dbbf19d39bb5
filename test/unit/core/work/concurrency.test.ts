/**
 * A type that gives up order: several handlers of an entity at once, on one pod, under one claim and one token.
 */
import { LEASE_MS, MemoryPods, type Pod } from '../../../support/memory-pods.js';

describe('an entity with three handlers at once', () => {
  const options = { entities: { account: { maxWorkersPerEntity: 3 } } };
  let cluster: MemoryPods;
  let a: Pod;

  beforeEach(async () => {
    cluster = new MemoryPods({ instant: false, atOnce: 3 });
    a = await cluster.pod('A', options);
  });
  afterEach(() => cluster.close());

  const running = () => cluster.running.map(({ n }) => n).sort();
  const entity = () => cluster.server.entities.get('account:1');

  test('runs three jobs at once under one token, and starts a fourth as soon as any of them ends', async () => {
    await a.add('1', 0, 1, 2, 3, 4);
    expect(running()).toEqual([0, 1, 2]);
    expect(new Set(cluster.running.map(({ context }) => context.fencingToken)).size).toBe(1);
    await cluster.job(2).end();
    expect(running()).toEqual([0, 1, 3]);
    await cluster.job(0).end();
    expect(running()).toEqual([1, 3, 4]);
  });

  test('starts a job at once if a handler is free, also a job from another pod', async () => {
    const b = await cluster.pod('B', options);
    await a.add('1', 0);
    await b.add('1', 1);
    await a.add('1', 2);
    expect(running()).toEqual([0, 1, 2]);
    expect(cluster.starts.every(start => start.startsWith('A:'))).toBe(true);
  });

  test('race 21: one claim keeps out a pod of another version with another number of workers', async () => {
    const b = await cluster.pod('B', { entities: { account: { maxWorkersPerEntity: 1 } } });
    await a.add('1', 0);
    await b.add('1', 1, 2);
    await cluster.clock.advance(3 * LEASE_MS);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1', 'A:1:2']);
    expect(new Set(cluster.running.map(({ context }) => context.fencingToken)).size).toBe(1);
  });

  test('counts each end by itself, in any order', async () => {
    await a.add('1', 0, 1, 2);
    await cluster.job(1).end();
    await cluster.job(2).fail();
    expect(entity()?.active).toHaveLength(1);
    expect(entity()?.failed.map(({ data }) => JSON.parse(data).n)).toEqual([2]);
  });

  test('resyncs after a lost response once all its handlers have ended, and runs nothing twice', async () => {
    await a.add('1', 0, 1, 2, 3, 4, 5);
    a.store.next('finish', 'lose');
    await cluster.job(1).end();
    // It was fetched before the response was missed.
    expect(running()).toEqual([0, 2, 3]);
    await cluster.job(0).end();
    await cluster.job(2).end();
    expect(running()).toEqual([3]);
    await cluster.job(3).end();
    expect(running()).toEqual([4, 5]);
    for (const n of [4, 5]) await cluster.job(n).end();
    expect(cluster.starts).toHaveLength(6);
  });

  test('when lost, waits for all its handlers before any job of it starts here again', async () => {
    await a.add('1', 0, 1);
    const [zero, one] = [cluster.job(0), cluster.job(1)];
    cluster.stored().owner = undefined;
    await cluster.clock.advance(LEASE_MS / 3);
    expect([zero, one].map(({ context }) => context.signal.aborted)).toEqual([true, true]);
    await a.add('1', 2);
    await zero.end();
    await cluster.clock.advance(LEASE_MS);
    expect(running()).toEqual([1]);
    await one.end();
    await cluster.clock.advance(2 * LEASE_MS);
    // The jobs that a lost pod ran are run again one at a time, because no pod knows which of them crashed it.
    expect(running()).toEqual([0]);
    await cluster.job(0).end();
    await cluster.job(1).end();
    expect(running()).toEqual([2]);
  });

  test('race 7: runs the jobs that a dead pod had fetched one at a time, and then three at once again', async () => {
    const b = await cluster.pod('B', options);
    await a.add('1', 0, 1, 2, 3, 4, 5, 6);
    a.store.break('drop');
    const zombies = [...cluster.running];
    for (const zombie of zombies) cluster.forget(zombie);
    await cluster.clock.advance(2 * LEASE_MS);
    for (const n of [0, 1, 2, 3]) {
      expect(running()).toEqual([n]);
      await cluster.job(n).end();
    }
    expect(running()).toEqual([4, 5, 6]);
    for (const zombie of zombies) await zombie.end();
    expect(b.log.lines).toEqual([]);
  });

  test('race 7: suspects the job that kills its pod, even if more jobs are enqueued meanwhile', async () => {
    const dead = [];
    await a.add('1', 0, 1);
    let [dying, n] = [a, 2];
    for (const name of ['B', 'C', 'D', 'E']) {
      dying.store.break('drop');
      dead.push(...cluster.running);
      for (const handler of [...cluster.running]) cluster.forget(handler);
      const next = await cluster.pod(name, options);
      await cluster.clock.advance(2 * LEASE_MS);
      await next.add('1', n++);
      dying = next;
    }
    expect(entity()?.failed.map(({ data, outcome }) => [data, outcome?.value])).toContainEqual([
      '{"n":0}',
      'job stalled more than allowable limit',
    ]);
    for (const handler of dead) await handler.end();
  });

  test('finds work that no wake-up announced while another handler runs', async () => {
    const b = await cluster.pod('B', { ...options, producerOnly: true });
    await a.add('1', 0);
    const wake = cluster.server.inspections.wake;
    cluster.server.inspections.wake = () => {};
    await b.add('1', 1);
    cluster.server.inspections.wake = wake;
    expect(running()).toEqual([0]);
    await cluster.clock.advance(LEASE_MS / 3);
    expect(running()).toEqual([0, 1]);
  });

  test('gives its room to others, but not while they would wait for a handler that runs for long', async () => {
    const small = await cluster.pod('S', { ...options, maxWorkersPerPod: 1 });
    await a.engine.close();
    await small.add('1', ...Array.from({ length: 100 }, (_, i) => i));
    await small.add('2', 900);
    for (let i = 0; i < 40; i++) {
      await cluster.clock.advance(250);
      for (const handler of [...cluster.running]) if (handler.n > 0) await handler.end();
    }
    expect(cluster.starts.length).toBeGreaterThan(70);
  });

  test('is handed over at shutdown when all its handlers have ended', async () => {
    const b = await cluster.pod('B', options);
    await a.add('1', 0, 1, 2, 3);
    const closing = a.engine.close();
    await cluster.job(0).end();
    await cluster.job(1).end();
    expect(running()).toEqual([2]);
    await cluster.job(2).end();
    await closing;
    expect(cluster.starts.at(-1)).toBe('B:1:3');
    expect(b.log.lines).toEqual([]);
  });

  test('starts delayed jobs together that become due together', async () => {
    const jobs = [0, 1, 2].map(n => ({ n }));
    await Promise.all(
      jobs.map(data =>
        a.engine.enqueue({ entityType: 'account', entityId: '1', name: 'x', data, options: { delay: 500 } }),
      ),
    );
    await cluster.clock.advance(2000);
    expect(running()).toEqual([0, 1, 2]);
  });
});

describe('the cron manager', () => {
  const options = { entities: { account: { maxWorkersPerEntity: 3 } }, enableCronManager: true, cronInterval: 1000 };

  test('gives an entity more workers as its backlog grows, up to its maximum, removes them again, and emits events', async () => {
    const cluster = new MemoryPods({ instant: false, atOnce: 3 });
    const a = await cluster.pod('A', options);
    const running = () => cluster.running.map(({ n }) => n).sort();
    const decisions = () =>
      a.events.flatMap(event =>
        event.type === 'scaler.spawned' || event.type === 'scaler.terminated' ? [[event.type, event.workers]] : [],
      );
    await a.add('1', 0, 1, 2, 3, 4);
    expect(running()).toEqual([0]);
    await cluster.clock.advance(1000);
    expect(running()).toEqual([0, 1, 2]);
    for (const n of [0, 1, 2]) await cluster.job(n).end();
    await cluster.clock.advance(1000);
    expect(decisions()).toEqual([
      ['scaler.spawned', 3],
      ['scaler.terminated', 2],
    ]);
    for (const n of [3, 4]) await cluster.job(n).end();
    await a.engine.scale();
    expect(decisions().at(-1)).toEqual(['scaler.terminated', 1]);
    await a.add('1', 5, 6);
    expect(running()).toEqual([5]);
    await cluster.close();
  });

  test('asks for nothing if no type may have several workers', async () => {
    const cluster = new MemoryPods();
    const a = await cluster.pod('A', { enableCronManager: true, cronInterval: 1000 });
    await a.add('1', 0);
    await cluster.clock.advance(5000);
    expect(a.store.calls).not.toContain('backlogs');
    await cluster.close();
  });
});
