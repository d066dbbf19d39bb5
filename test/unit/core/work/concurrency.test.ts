/**
 * A type that gives up order: several handlers of an entity at once, on one pod, under one claim and one token.
 */
import { LEASE_MS, MemoryPods, type Pod } from '../../../support/memory-pods.js';

describe('an entity with three handlers at once', () => {
  const options = { entities: { account: { maxWorkersPerEntity: 3 } } };
  let cluster: MemoryPods;
  let a: Pod;

  beforeEach(async () => {
    cluster = new MemoryPods();
    cluster.instant = false;
    cluster.atOnce = 3;
    a = await cluster.pod('A', options);
  });
  afterEach(() => cluster.close());

  const running = () => cluster.running.map(({ n }) => n).sort();
  const entity = () => cluster.server.entities.get('account:1');

  test('runs three at once under one token; a fourth starts when one ends, whichever that is', async () => {
    await a.add('1', 0, 1, 2, 3, 4);
    expect(running()).toEqual([0, 1, 2]);
    expect(new Set(cluster.running.map(({ context }) => context.fencingToken)).size).toBe(1);
    await cluster.job(2).end();
    expect(running()).toEqual([0, 1, 3]);
    await cluster.job(0).end();
    expect(running()).toEqual([1, 3, 4]);
  });

  test('a job that comes while a handler is free starts at once, also from another pod', async () => {
    const b = await cluster.pod('B', options);
    await a.add('1', 0);
    await b.add('1', 1);
    await a.add('1', 2);
    expect(running()).toEqual([0, 1, 2]);
    expect(cluster.starts.every(start => start.startsWith('A:'))).toBe(true);
  });

  test('race 21: a pod of another version, with another number of workers, is kept out by the same claim', async () => {
    const b = await cluster.pod('B', { entities: { account: { maxWorkersPerEntity: 1 } } });
    await a.add('1', 0);
    await b.add('1', 1, 2);
    await cluster.clock.advance(3 * LEASE_MS);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1', 'A:1:2']);
    expect(new Set(cluster.running.map(({ context }) => context.fencingToken)).size).toBe(1);
  });

  test('each end counts by itself, in any order', async () => {
    await a.add('1', 0, 1, 2);
    await cluster.job(1).end();
    await cluster.job(2).fail();
    expect(entity()?.active).toHaveLength(1);
    expect(entity()?.failed.map(({ data }) => JSON.parse(data).n)).toEqual([2]);
  });

  test('after a lost answer it begins anew once all its handlers have ended; nothing runs twice', async () => {
    await a.add('1', 0, 1, 2, 3, 4, 5);
    a.store.next('finish', 'lose');
    await cluster.job(1).end();
    // It was fetched before the answer was missed.
    expect(running()).toEqual([0, 2, 3]);
    await cluster.job(0).end();
    await cluster.job(2).end();
    expect(running()).toEqual([3]);
    await cluster.job(3).end();
    expect(running()).toEqual([4, 5]);
    for (const n of [4, 5]) await cluster.job(n).end();
    expect(cluster.starts).toHaveLength(6);
  });

  test('a lost entity waits for all its handlers before anything of it starts here again', async () => {
    await a.add('1', 0, 1);
    const [zero, one] = [cluster.job(0), cluster.job(1)];
    cluster.server.entity({ type: 'account', id: '1' }).owner = undefined;
    await cluster.clock.advance(LEASE_MS / 3);
    expect([zero, one].map(({ context }) => context.signal.aborted)).toEqual([true, true]);
    await a.add('1', 2);
    await zero.end();
    await cluster.clock.advance(LEASE_MS);
    expect(running()).toEqual([1]);
    await one.end();
    await cluster.clock.advance(2 * LEASE_MS);
    // What a lost pod has run is run again, and nobody knows which of them was to blame: one at a time.
    expect(running()).toEqual([0]);
    await cluster.job(0).end();
    await cluster.job(1).end();
    expect(running()).toEqual([2]);
  });

  test('race 7: what a dead pod had fetched runs one at a time, and then three at once again', async () => {
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

  test('race 7: a job that kills its pod is blamed although more are enqueued meanwhile', async () => {
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

  test('work that no wake-up told of is found while another handler runs', async () => {
    const b = await cluster.pod('B', { ...options, producerOnly: true });
    await a.add('1', 0);
    const wake = cluster.server.wake;
    cluster.server.wake = () => {};
    await b.add('1', 1);
    cluster.server.wake = wake;
    expect(running()).toEqual([0]);
    await cluster.clock.advance(LEASE_MS / 3);
    expect(running()).toEqual([0, 1]);
  });

  test('for room it gives way, but not while the others would wait for one that runs for long', async () => {
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

  test('a shutdown hands the entity over when all its handlers have ended', async () => {
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

  test('delayed jobs that ripen together start together', async () => {
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

  test('gives an entity workers with its backlog, up to its most, takes them away again, and tells', async () => {
    const cluster = new MemoryPods();
    cluster.instant = false;
    cluster.atOnce = 3;
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

  test('asks for nothing where no type may have several', async () => {
    const cluster = new MemoryPods();
    const a = await cluster.pod('A', { enableCronManager: true, cronInterval: 1000 });
    await a.add('1', 0);
    await cluster.clock.advance(5000);
    expect(a.store.calls).not.toContain('backlogs');
    await cluster.close();
  });
});
