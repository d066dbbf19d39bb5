/**
 * The core on the memory store and a clock that the test moves: order, leases, and the races of the design, each forced
 * by a barrier. Numbers are those of the design's invariants (I) and races.
 */
import { settle } from '../../support/clock.js';
import { LEASE_MS, MemoryPods, type Pod } from '../../support/memory-pods.js';
import { plantedJob } from '../../support/planted-job.js';

describe('the engine', () => {
  let cluster: MemoryPods;
  let a: Pod;

  beforeEach(async () => {
    cluster = new MemoryPods();
    a = await cluster.pod('A');
  });
  afterEach(() => cluster.close());

  test('jobs of one entity run in order; those of another beside them', async () => {
    cluster.instant = false;
    await a.add('1', 0, 1, 2);
    await a.add('2', 10);
    expect(cluster.running.map(({ n }) => n)).toEqual([0, 10]);
    await cluster.job(0).end();
    await cluster.job(1).end();
    expect(cluster.starts).toEqual(['A:1:0', 'A:2:10', 'A:1:1', 'A:1:2']);
  });

  test('a job that fails is failed with its reason, and its successor runs', async () => {
    cluster.instant = false;
    await a.add('1', 0, 1);
    await cluster.job(0).fail();
    expect(cluster.running.map(({ n }) => n)).toEqual([1]);
    expect(cluster.server.entity({ type: 'account', id: '1' }).failed[0]?.outcome).toMatchObject({
      kind: 'failed',
      value: 'the handler threw',
    });
    expect(a.log.lines.join()).toContain('"withdraw") of account:1 failed: the handler threw');
  });

  test('the window: one job at rest, more only when the end of a job has brought the next', async () => {
    cluster.instant = false;
    await a.add('1', ...Array.from({ length: 20 }, (_, n) => n));
    const active = () => cluster.server.entity({ type: 'account', id: '1' }).active.length;
    const seen = [active()];
    for (let n = 0; n < 6; n++) {
      await cluster.job(n).end();
      seen.push(active());
    }
    expect(seen[0]).toBe(1);
    expect(seen).toEqual([...seen].sort((x, y) => x - y));
    expect(seen.at(-1)).toBeGreaterThan(3);
  });

  test('I2: after a stall no prefetched job starts before the lease is known to be valid', async () => {
    cluster.instant = false;
    await a.add('1', 0, 1, 2, 3);
    await cluster.job(0).end();
    const letThrough = a.store.hold('renew');
    cluster.clock.stall(LEASE_MS);
    await cluster.job(1).end();
    expect(cluster.running).toHaveLength(0);
    letThrough();
    await settle();
    expect(cluster.running.map(({ n }) => n)).toEqual([2]);
  });

  test('I2: the wall clock counts too, since a suspended machine stops the other', async () => {
    cluster.instant = false;
    await a.add('1', 0, 1, 2);
    await cluster.job(0).end();
    a.store.next('renew', 'drop');
    cluster.clock.jumpWall(LEASE_MS);
    await cluster.job(1).end();
    expect(cluster.running).toHaveLength(0);
    await cluster.clock.advance(LEASE_MS);
    expect(cluster.running.map(({ n }) => n)).toEqual([2]);
  });

  test('I1, I3: a pod that is cut off loses the entity; its handler is told, its end does not count, and nothing more starts there', async () => {
    cluster.instant = false;
    const b = await cluster.pod('B');
    await a.add('1', 0, 1, 2);
    const zombie = cluster.job(0);
    a.store.break('drop');
    // B must be able to run job 0 beside the zombie: that is what the fencing token is for.
    cluster.forget(zombie);
    await cluster.clock.advance(2 * LEASE_MS);
    expect(cluster.starts).toEqual(['A:1:0', 'B:1:0']);
    expect(BigInt(cluster.job(0).context.fencingToken)).toBeGreaterThan(BigInt(zombie.context.fencingToken));
    expect(zombie.context.signal.aborted).toBe(false);
    a.store.mend();
    await cluster.clock.advance(LEASE_MS);
    expect(zombie.context.signal.aborted).toBe(true);
    await a.add('1', 3);
    await zombie.end();
    await cluster.clock.advance(LEASE_MS);
    for (const n of [0, 1, 2, 3]) await cluster.job(n).end();
    expect(cluster.starts).toEqual(['A:1:0', 'B:1:0', 'B:1:1', 'B:1:2', 'B:1:3']);
    expect(a.log.lines.join()).toContain('its end will not count');
    expect(b.log.lines).toEqual([]);
  });

  test('each run has a signal of its own, which goes with it, under one claim', async () => {
    cluster.instant = false;
    await a.add('1', 0, 1);
    const first = cluster.job(0).context;
    const { signal } = first;
    expect(first.signal).toBe(signal);
    await cluster.job(0).end();
    const second = cluster.job(1).context.signal;
    expect(second).not.toBe(signal);
    cluster.server.entity({ type: 'account', id: '1' }).owner = undefined;
    await cluster.clock.advance(LEASE_MS / 3);
    expect([signal.aborted, second.aborted]).toEqual([false, true]);
    await cluster.job(1).end();
  });

  test('no job starts on a pod while a lost handler of the entity is unsettled there', async () => {
    cluster.instant = false;
    await a.add('1', 0);
    const zombie = cluster.job(0);
    // Somebody deletes the claim: the pod is told so by its next renewal.
    cluster.server.entity({ type: 'account', id: '1' }).owner = undefined;
    await cluster.clock.advance(LEASE_MS / 3);
    expect(zombie.context.signal.aborted).toBe(true);
    await a.add('1', 1);
    await cluster.clock.advance(2 * LEASE_MS);
    expect(cluster.starts).toEqual(['A:1:0']);
    await zombie.end();
    await cluster.clock.advance(3 * LEASE_MS);
    await cluster.job(0).end();
    await cluster.job(1).end();
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:0', 'A:1:1']);
  });

  test('an end that was never sent counts before that of its successor, which was fetched already', async () => {
    cluster.instant = false;
    await a.add('1', 0, 1, 2, 3);
    await cluster.job(0).end();
    await cluster.job(1).end();
    a.store.next('finish', 'refuse');
    await cluster.job(2).end();
    const ends = a.store.calls.filter(call => call === 'finish').length;
    const letThrough = a.store.hold('resync');
    await cluster.job(3).end();
    expect(a.store.calls.filter(call => call === 'finish')).toHaveLength(ends);
    const settled = a.store.lastArguments.get('resync')?.[2] as { job: { data: { n: number } } }[];
    expect(settled.map(({ job }) => job.data.n)).toEqual([2, 3]);
    letThrough();
    await settle();
    expect(cluster.server.entities.get('account:1')?.active).toEqual([]);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1', 'A:1:2', 'A:1:3']);
  });

  test('race 1: the answer to an end is lost after it was executed: nothing runs twice, nothing is forgotten', async () => {
    cluster.instant = false;
    await a.add('1', 0, 1, 2);
    a.store.next('finish', 'lose');
    await cluster.job(0).end();
    await cluster.job(1).end();
    await cluster.job(2).end();
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1', 'A:1:2']);
  });

  test('race 28: an end that was never executed is made good, and the job does not run again', async () => {
    cluster.instant = false;
    await a.add('1', 0, 1, 2, 3);
    await cluster.job(0).end();
    a.store.next('finish', 'drop');
    await cluster.job(1).end();
    await cluster.job(2).end();
    await cluster.job(3).end();
    await settle();
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1', 'A:1:2', 'A:1:3']);
    expect(cluster.server.entity({ type: 'account', id: '1' }).active).toEqual([]);
  });

  test('races 2 and 25: the store is away for longer than the lease while a handler runs; it does not run beside itself, nor again', async () => {
    cluster.instant = false;
    await a.add('1', 0, 1);
    a.store.break('drop');
    await cluster.clock.advance(3 * LEASE_MS);
    await cluster.job(0).end();
    await cluster.clock.advance(LEASE_MS);
    expect(cluster.running).toHaveLength(0);
    a.store.mend();
    await cluster.clock.advance(LEASE_MS);
    await cluster.job(1).end();
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1']);
  });

  test('race 26: the answer to a cold claim is lost: the pod finds out, and the job runs once', async () => {
    a.store.next('add', 'lose');
    await expect(a.add('1', 0)).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    await settle();
    expect(cluster.starts).toEqual(['A:1:0']);
  });

  test('race 26: … also when nobody but the sweep can find out', async () => {
    a.store.next('add', 'lose');
    a.store.next('tryClaim', 'drop');
    await expect(a.add('1', 0)).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    await cluster.clock.advance(2 * LEASE_MS);
    expect(cluster.starts).toEqual(['A:1:0']);
  });

  test('race 27: a fetch and a resync whose answers are lost make no difference', async () => {
    cluster.instant = false;
    await a.add('1', 0, 1, 2);
    a.store.next('finish', 'lose');
    a.store.next('resync', 'lose');
    a.store.next('resync', 'lose');
    await cluster.job(0).end();
    await cluster.clock.advance(1000);
    await cluster.job(1).end();
    await cluster.job(2).end();
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1', 'A:1:2']);
  });

  test('race 37: jobs that are fetched in the store’s books and unknown to the idle worker are found by the renewal', async () => {
    await a.add('1', 0);
    const entity = cluster.server.entity({ type: 'account', id: '1' });
    entity.active.push({ ...plantedJob('x', '{"n":1}'), attempt: 1 });
    await cluster.clock.advance(LEASE_MS / 3);
    await settle();
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1']);
  });

  test('a wake-up that is lost is made good by the renewal', async () => {
    const b = await cluster.pod('B');
    await a.add('1', 0);
    cluster.server.wake = () => {};
    await b.add('1', 1);
    expect(cluster.starts).toEqual(['A:1:0']);
    await cluster.clock.advance(LEASE_MS / 3);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1']);
  });

  test('race 4: what is enqueued while the release is under way runs at once', async () => {
    await a.add('1', 0);
    const letThrough = a.store.hold('release');
    await cluster.clock.advance(16_000);
    expect(a.store.calls.filter(call => call === 'release')).toHaveLength(1);
    await a.add('1', 1);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1']);
    letThrough();
    await a.add('1', 2);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1', 'A:1:2']);
    expect(cluster.server.entity({ type: 'account', id: '1' }).owner?.podId).toBe('A');
  });

  test('race 4: … and also when the release is refused because another pod’s job came first', async () => {
    const b = await cluster.pod('B');
    await a.add('1', 0);
    await cluster.clock.advance(14_900);
    cluster.server.wake = () => {};
    await b.add('1', 1);
    await cluster.clock.advance(5_000);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1']);
  });

  test('I8: an idle entity is given up after its time, and nothing of it is left', async () => {
    await a.add('1', 0);
    await a.add('2', 1);
    await cluster.clock.advance(17_000);
    expect(cluster.server.entities.size).toBe(0);
    expect(cluster.server.due.size).toBe(0);
    await a.add('1', 2);
    expect(cluster.starts).toEqual(['A:1:0', 'A:2:1', 'A:1:2']);
  });

  test('a delayed job runs when its time has come: on a live worker, and on none', async () => {
    const enqueue = (entityId: string, n: number, delay: number) =>
      a.engine.enqueue({ entityType: 'account', entityId, name: 'w', data: { n }, options: { delay } });
    await a.add('1', 0);
    await enqueue('1', 1, 2000);
    await enqueue('2', 2, 30_000);
    await cluster.clock.advance(1990);
    expect(cluster.starts).toEqual(['A:1:0']);
    await cluster.clock.advance(20);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1']);
    await cluster.clock.advance(30_000);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1', 'A:2:2']);
  });

  test('I7: the work of a pod that died is taken over within a lease and a sweep', async () => {
    cluster.instant = false;
    const b = await cluster.pod('B');
    await a.add('1', 0, 1);
    const dead = cluster.job(0);
    a.store.break('drop');
    cluster.forget(dead);
    await cluster.clock.advance(LEASE_MS + 1200);
    expect(cluster.starts.at(-1)).toBe('B:1:0');
    await cluster.job(0).end();
    await cluster.job(1).end();
    expect(b.log.lines).toEqual([]);
    await dead.end();
  });

  test('shutdown: the running job ends, the rest goes to another pod at once, in order', async () => {
    cluster.instant = false;
    await a.add('1', 0, 1, 2, 3);
    await cluster.job(0).end();
    const b = await cluster.pod('B');
    const drained = a.engine.drain();
    await settle();
    expect(cluster.running.map(({ n }) => n)).toEqual([1]);
    await a.add('1', 4);
    await cluster.job(1).end();
    await drained;
    expect(cluster.running.map(({ pod, n }) => `${pod}${n}`)).toEqual(['B2']);
    for (const n of [2, 3, 4]) await cluster.job(n).end();
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1', 'B:1:2', 'B:1:3', 'B:1:4']);
    await a.engine.close();
    await expect(a.add('1', 5)).rejects.toMatchObject({ code: 'CLOSED' });
    expect(b.log.lines).toEqual([]);
  });

  test('the line about jobs that did not end counts them all and names five', async () => {
    cluster.instant = false;
    for (let id = 1; id <= 7; id++) await a.add(`${id}`, id);
    const closed = a.engine.close();
    await cluster.clock.advance(10_000);
    await closed;
    const [line = ''] = a.log.lines.filter(text => text.includes('did not end'));
    expect(line).toMatch(/7 jobs did not end within 10000 ms: .*, 2 more\. Their entities stay claimed/);
    expect(line.match(/Job \S+ \("withdraw"\) of account:\d/g)).toHaveLength(5);
    for (let id = 1; id <= 7; id++) await cluster.job(id).end();
  });

  test('race 12: a shutdown that times out does not give up the claim of a running handler', async () => {
    cluster.instant = false;
    await a.add('1', 0, 1);
    const b = await cluster.pod('B');
    const closed = a.engine.close();
    await cluster.clock.advance(10_000);
    await closed;
    expect(a.log.lines.join()).toMatch(
      /1 job did not end within 10000 ms: Job \S+ \("withdraw"\) of account:1\. Its entity stays claimed/,
    );
    expect(cluster.job(0).context.signal.reason).toMatchObject({ code: 'CLOSED' });
    await cluster.clock.advance(5 * LEASE_MS);
    expect(cluster.starts).toEqual(['A:1:0']);
    await cluster.job(0).end();
    await cluster.job(1).end();
    expect(cluster.starts).toEqual(['A:1:0', 'B:1:1']);
    expect(b.log.lines).toEqual([]);
  });

  test('races 15 and 29: claims are renewed as long as any answer comes, and not when none does', async () => {
    cluster.instant = false;
    await a.add('1', 0);
    const renewals = () => a.store.calls.filter(call => call === 'renew').length;
    const before = renewals();
    await cluster.clock.advance(LEASE_MS);
    expect(renewals()).toBeGreaterThan(before);
    a.store.silent = true;
    const whenSilent = renewals();
    await cluster.clock.advance(2 * LEASE_MS);
    expect(renewals()).toBe(whenSilent);
  });

  test('a pod without handlers of a type routes its jobs to one that has them', async () => {
    const request = { entityType: 'order', entityId: 1, name: 'ship', data: {} };
    expect(await a.engine.enqueue(request)).toMatchObject({ entityType: 'order', entityId: '1' });
    expect(cluster.server.entity({ type: 'order', id: '1' }).owner).toBeUndefined();
    expect(cluster.server.due.has('order:1')).toBe(true);
  });

  test('a job that no handler knows fails with a typed reason that names the remedies', async () => {
    await a.engine.enqueue({ entityType: 'account', entityId: '9', name: 'w', data: { n: 1 } });
    await settle();
    expect(cluster.starts).toEqual(['A:9:1']);
  });
});
