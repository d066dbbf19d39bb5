/**
 * The core on the store in memory and a clock that the test moves: order, leases, and races, each forced
 * by a barrier. The numbers of invariants (I) and races are from `docs/protocol.md`.
 */
import { settle } from '../../support/clock.js';
import { LEASE_MS, type MemoryPods, type Pod, startPodA } from '../../support/memory-pods.js';
import { plantedJob } from '../../support/planted-job.js';

describe('the engine', () => {
  let cluster: MemoryPods;
  let a: Pod;

  beforeEach(async () => {
    ({ cluster, a } = await startPodA());
  });
  afterEach(() => cluster.close());

  test('runs jobs of one entity in order, and jobs of another entity alongside them', async () => {
    cluster.instant = false;
    await a.add('1', 0, 1, 2);
    await a.add('2', 10);
    expect(cluster.running.map(({ n }) => n)).toEqual([0, 10]);
    await cluster.job(0).end();
    await cluster.job(1).end();
    expect(cluster.starts).toEqual(['A:1:0', 'A:2:10', 'A:1:1', 'A:1:2']);
  });

  test('fails a job with the reason of its handler, and runs its successor', async () => {
    cluster.instant = false;
    await a.add('1', 0, 1);
    await cluster.job(0).fail();
    expect(cluster.running.map(({ n }) => n)).toEqual([1]);
    expect(cluster.stored().failed[0]?.outcome).toMatchObject({
      kind: 'failed',
      value: 'the handler threw',
    });
    expect(a.log.lines.join()).toContain('"withdraw") of account:1 failed: the handler threw');
  });

  test('prefetches one job at rest, and more only when the end of a job has brought the next one', async () => {
    cluster.instant = false;
    await a.add('1', ...Array.from({ length: 20 }, (_, n) => n));
    const active = () => cluster.stored().active.length;
    const seen = [active()];
    for (let n = 0; n < 6; n++) {
      await cluster.job(n).end();
      seen.push(active());
    }
    expect(seen[0]).toBe(1);
    expect(seen).toEqual([...seen].sort((x, y) => x - y));
    expect(seen.at(-1)).toBeGreaterThan(3);
  });

  test('I2: starts no prefetched job after a stall before the lease is known to be valid', async () => {
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

  test('I2: counts a lease by the wall clock too, because a suspended machine stops the other clock', async () => {
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

  test('I1, I3: when a pod is cut off, it loses the entity, its handler is told, its end does not count, and nothing more starts there', async () => {
    cluster.instant = false;
    const b = await cluster.pod('B');
    await a.add('1', 0, 1, 2);
    const zombie = cluster.job(0);
    a.store.break('drop');
    // B must be able to run job 0 alongside the zombie: the fencing token exists for this.
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
    expect(a.log.lines.join()).toContain('The end of this run does not count');
    expect(b.log.lines).toEqual([]);
  });

  test('gives each run a signal of its own, which ends with it, under one claim', async () => {
    cluster.instant = false;
    await a.add('1', 0, 1);
    const first = cluster.job(0).context;
    const { signal } = first;
    expect(first.signal).toBe(signal);
    await cluster.job(0).end();
    const second = cluster.job(1).context.signal;
    expect(second).not.toBe(signal);
    cluster.stored().owner = undefined;
    await cluster.clock.advance(LEASE_MS / 3);
    expect([signal.aborted, second.aborted]).toEqual([false, true]);
    await cluster.job(1).end();
  });

  test('starts no job on a pod while a lost handler of the entity is unsettled there', async () => {
    cluster.instant = false;
    await a.add('1', 0);
    const zombie = cluster.job(0);
    // The claim is deleted: the pod learns of it with its next renewal.
    cluster.stored().owner = undefined;
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

  test('counts an end that was never sent before the end of its prefetched successor', async () => {
    cluster.instant = false;
    await a.add('1', 0, 1, 2, 3);
    await cluster.job(0).end();
    await cluster.job(1).end();
    a.store.next('finish', 'refuse');
    await cluster.job(2).end();
    const ends = a.count('finish');
    const letThrough = a.store.hold('resync');
    await cluster.job(3).end();
    expect(a.count('finish')).toBe(ends);
    const settled = a.store.lastArguments.get('resync')?.[2] as { job: { data: { n: number } } }[];
    expect(settled.map(({ job }) => job.data.n)).toEqual([2, 3]);
    letThrough();
    await settle();
    expect(cluster.server.entities.get('account:1')?.active).toEqual([]);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1', 'A:1:2', 'A:1:3']);
  });

  test('race 1: runs nothing twice and forgets nothing if the response to an executed end is lost', async () => {
    cluster.instant = false;
    await a.add('1', 0, 1, 2);
    a.store.next('finish', 'lose');
    await cluster.job(0).end();
    await cluster.job(1).end();
    await cluster.job(2).end();
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1', 'A:1:2']);
  });

  test('race 28: makes good an end that was never executed, and does not run the job again', async () => {
    cluster.instant = false;
    await a.add('1', 0, 1, 2, 3);
    await cluster.job(0).end();
    a.store.next('finish', 'drop');
    await cluster.job(1).end();
    await cluster.job(2).end();
    await cluster.job(3).end();
    await settle();
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1', 'A:1:2', 'A:1:3']);
    expect(cluster.stored().active).toEqual([]);
  });

  test('races 2 and 25: runs a handler neither alongside itself nor again if the store is away for longer than the lease', async () => {
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

  test('race 26: runs the job once if the response to a cold claim is lost, which the pod finds out', async () => {
    a.store.next('add', 'lose');
    await expect(a.add('1', 0)).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    await settle();
    expect(cluster.starts).toEqual(['A:1:0']);
  });

  test('race 26: runs the job once if the response to a cold claim is lost and only the sweep can find out', async () => {
    a.store.next('add', 'lose');
    a.store.next('tryClaim', 'drop');
    await expect(a.add('1', 0)).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    await cluster.clock.advance(2 * LEASE_MS);
    expect(cluster.starts).toEqual(['A:1:0']);
  });

  test('race 27: behaves the same if the responses to a fetch and a resync are lost', async () => {
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

  test('race 37: finds jobs with the renewal that are fetched in the store but unknown to the idle worker', async () => {
    await a.add('1', 0);
    const entity = cluster.stored();
    entity.active.push({ ...plantedJob('x', '{"n":1}'), attempt: 1 });
    await cluster.clock.advance(LEASE_MS / 3);
    await settle();
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1']);
  });

  test('makes good a lost wake-up with the renewal', async () => {
    const b = await cluster.pod('B');
    await a.add('1', 0);
    cluster.server.inspections.wake = () => {};
    await b.add('1', 1);
    expect(cluster.starts).toEqual(['A:1:0']);
    await cluster.clock.advance(LEASE_MS / 3);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1']);
  });

  test('race 4: runs a job at once that is enqueued while the release is under way', async () => {
    await a.add('1', 0);
    const letThrough = a.store.hold('release');
    await cluster.clock.advance(16_000);
    expect(a.count('release')).toBe(1);
    await a.add('1', 1);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1']);
    letThrough();
    await a.add('1', 2);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1', 'A:1:2']);
    expect(cluster.stored().owner?.podId).toBe('A');
  });

  test('race 4: runs a job at once when the release is refused because another pod’s job came first', async () => {
    const b = await cluster.pod('B');
    await a.add('1', 0);
    await cluster.clock.advance(14_900);
    cluster.server.inspections.wake = () => {};
    await b.add('1', 1);
    await cluster.clock.advance(5_000);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1']);
  });

  test('I8: releases an idle entity after its time, and leaves nothing of it', async () => {
    await a.add('1', 0);
    await a.add('2', 1);
    await cluster.clock.advance(17_000);
    expect(cluster.server.entities.size).toBe(0);
    expect(cluster.server.due.size).toBe(0);
    await a.add('1', 2);
    expect(cluster.starts).toEqual(['A:1:0', 'A:2:1', 'A:1:2']);
  });

  test('runs a delayed job when it is due, on a live worker or on a new one', async () => {
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

  test('I7: takes over the work of a dead pod within a lease and a sweep', async () => {
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

  test('ends the running job at shutdown, and leaves the rest to another pod at once, in order', async () => {
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

  test('logs at shutdown how many jobs did not end, and names five of them', async () => {
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

  test('race 12: keeps the claim of a running handler when a shutdown times out', async () => {
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

  test('races 15 and 29: renews claims as long as any response arrives, and not when none does', async () => {
    cluster.instant = false;
    await a.add('1', 0);
    const renewals = () => a.count('renew');
    const before = renewals();
    await cluster.clock.advance(LEASE_MS);
    expect(renewals()).toBeGreaterThan(before);
    a.store.silent = true;
    const whenSilent = renewals();
    await cluster.clock.advance(2 * LEASE_MS);
    expect(renewals()).toBe(whenSilent);
  });

  test('routes jobs from a pod without their handlers to a pod that has them', async () => {
    const request = { entityType: 'order', entityId: 1, name: 'ship', data: {} };
    expect(await a.engine.enqueue(request)).toMatchObject({ entityType: 'order', entityId: '1' });
    expect(cluster.server.entity({ type: 'order', id: '1' }).owner).toBeUndefined();
    expect(cluster.server.due.has('order:1')).toBe(true);
  });

  test('fails a job that no handler knows with a typed reason that names the remedies', async () => {
    await a.engine.enqueue({ entityType: 'account', entityId: '9', name: 'w', data: { n: 1 } });
    await settle();
    expect(cluster.starts).toEqual(['A:9:1']);
  });
});
