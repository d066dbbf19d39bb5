/**
 * Races of time: deadlines that differ from claim to claim, clocks that jump, a suspended machine. Each clock
 * stands until the test moves it. The numbers of invariants (I) and races are from `docs/protocol.md`.
 */
import { settle } from '../../support/clock.js';
import { LEASE_MS, type MemoryPods, type Pod, startPodA } from '../../support/memory-pods.js';

const HOUR_MS = 3_600_000;

describe('races of time', () => {
  let cluster: MemoryPods;
  let a: Pod;

  beforeEach(async () => {
    ({ cluster, a } = await startPodA({ instant: false }));
  });
  afterEach(() => cluster.close());

  const running = () => cluster.running.map(({ pod, n }) => `${pod}${n}`);

  test('race 3: a claim that outlives the last renewal of its dead pod is found when it expires', async () => {
    await a.add('early', 0);
    await cluster.clock.advance(0.3 * LEASE_MS);
    await a.add('late', 1);
    const dead = [...cluster.running];
    for (const handler of dead) cluster.forget(handler);
    a.store.break('drop');
    const b = await cluster.pod('B');
    const untilMs = cluster.stored('late').owner?.untilMs ?? 0;
    // At the deadline of the pod's last renewal a sweep looks at both claims: one of them still has a live owner.
    await cluster.clock.advance((cluster.stored('early').owner?.untilMs ?? 0) - cluster.clock.monotonicMs());
    for (const id of ['early', 'late']) cluster.server.inspections.wake('B', cluster.stored(id));
    await settle();
    expect(running()).toEqual(['B0']);
    expect(cluster.stored('late').owner?.podId).toBe('A');
    expect(cluster.server.due.get('account:late')).toBe(untilMs);
    await cluster.clock.advance(untilMs - cluster.clock.monotonicMs() + 1200);
    expect(running()).toEqual(['B0', 'B1']);
    expect(b.log.lines).toEqual([]);
    for (const handler of dead) await handler.end();
  });

  test('race 20: a machine that was suspended starts nothing that it had prefetched, although its monotonic clock stood still', async () => {
    const b = await cluster.pod('B');
    await cluster.prefetchOn(a);
    const zombie = cluster.job(2);
    const before = cluster.clock.monotonicMs();
    // While A is suspended others are heard, its lease expires in the store, and B takes over.
    cluster.server.heard = { sinceMs: Number.NEGATIVE_INFINITY, untilMs: Number.POSITIVE_INFINITY };
    cluster.stored().owner = { podId: 'A', epoch: cluster.stored().owner?.epoch ?? 0, untilMs: 0 };
    cluster.forget(zombie);
    cluster.server.inspections.wake('B', cluster.stored());
    await settle();
    expect(running()).toEqual(['B2']);
    cluster.clock.jumpWall(LEASE_MS);
    const letThrough = a.store.hold('renew');
    await zombie.end();
    expect(cluster.clock.monotonicMs()).toBe(before);
    expect(running()).toEqual(['B2']);
    expect(a.count('finish')).toBe(3);
    letThrough();
    await settle();
    for (const n of [2, 3]) await cluster.job(n).end();
    expect(cluster.starts.slice(3)).toEqual(['B:1:2', 'B:1:3']);
    expect(b.log.lines).toEqual([]);
  });

  test('race 20: a wall clock that jumps ahead costs one renewal, and no job', async () => {
    await cluster.prefetchOn(a);
    cluster.clock.jumpWall(HOUR_MS);
    await cluster.job(2).end();
    expect(running()).toEqual(['A3']);
    await cluster.job(3).end();
    expect(cluster.starts).toEqual([0, 1, 2, 3].map(n => `A:1:${n}`));
    expect(a.store.calls).not.toContain('resync');
  });

  test('race 20: a wall clock that is set back does not make renewals invalid', async () => {
    await cluster.prefetchOn(a);
    cluster.clock.jumpWall(-HOUR_MS);
    await cluster.clock.advance(3 * LEASE_MS);
    const letThrough = a.store.hold('renew');
    await cluster.job(2).end();
    expect(running()).toEqual(['A3']);
    letThrough();
  });

  test('race 20: tokens grow even if the clock that they come from is set back', async () => {
    const b = await cluster.pod('B');
    await a.add('1', 0);
    const first = BigInt(cluster.job(0).context.fencingToken);
    cluster.clock.jumpWall(-HOUR_MS);
    const drained = a.engine.drain();
    await b.add('1', 1);
    await cluster.job(0).end();
    await drained;
    expect(running()).toEqual(['B1']);
    expect(BigInt(cluster.job(1).context.fencingToken)).toBeGreaterThan(first);
  });
});
