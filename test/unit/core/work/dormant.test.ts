/**
 * Dormant claims in the engine: when it renews them, what reactivates them, and what it does after its renewals were lost.
 * Neighbour: `contract/dormant-contract.ts` has what a store does for them.
 */

import type { Renewal } from '../../../../src/core/ports/claims.js';
import { DORMANT_LEASES } from '../../../../src/core/run/lease.js';
import { settle } from '../../../support/clock.js';
import { LEASE_MS, type MemoryPods, type Pod, startPodA } from '../../../support/memory-pods.js';

const BEAT_MS = LEASE_MS / 3;

describe('a dormant claim', () => {
  let cluster: MemoryPods;
  let a: Pod;

  beforeEach(async () => {
    ({ cluster, a } = await startPodA());
  });
  afterEach(() => cluster.close());

  const renewed = () => ((a.store.lastArguments.get('renew') ?? [[]])[0] as Renewal[]).length;
  const beat = () => cluster.clock.advance(BEAT_MS);

  test('is renewed only now and then', async () => {
    await a.add('1', 0);
    await beat();
    expect(renewed()).toBe(1);
    let renewals = 0;
    for (let i = 0; i < DORMANT_LEASES; i++) {
      await beat();
      renewals += renewed();
    }
    expect(renewals).toBe(1);
    expect(cluster.stored().owner?.podId).toBe('A');
  });

  test('I2: starts a job of its own pod at once, under the lease that the add has brought', async () => {
    await a.add('1', 0);
    await cluster.clock.advance(2 * LEASE_MS);
    const beats = a.count('renew');
    await a.add('1', 1);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1']);
    expect(a.count('renew')).toBe(beats);
    await beat();
    expect(renewed()).toBe(1);
  });

  test('I2: starts a job of another pod under the lease of the fetch', async () => {
    const b = await cluster.pod('B');
    await a.add('1', 0);
    await cluster.clock.advance(2 * LEASE_MS);
    cluster.instant = false;
    await b.add('1', 1);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1']);
    await cluster.clock.advance(3 * LEASE_MS);
    expect(cluster.stored().owner?.podId).toBe('A');
    await cluster.job(1).end();
  });

  test('I2: has a lease from a fetch that counts from when the fetch was sent', async () => {
    const b = await cluster.pod('B');
    await a.add('1', 0);
    await cluster.clock.advance(2 * LEASE_MS);
    cluster.instant = false;
    const letThrough = a.store.hold('take');
    await b.add('1', 1);
    cluster.clock.stall(LEASE_MS);
    letThrough();
    const renewing = a.store.hold('renew');
    await settle();
    expect(cluster.running).toEqual([]);
    renewing();
    await settle();
  });

  test('is renewed with each beat again if the response that makes it dormant arrives after an add that has reactivated it', async () => {
    await a.add('1', 0);
    const letThrough = a.store.hold('renew');
    await beat();
    expect(cluster.stored().owner?.isDormant).toBe(true);
    await a.addForLater('1', 9);
    expect(cluster.stored().owner?.isDormant).toBe(false);
    letThrough();
    await settle();
    await beat();
    expect(renewed()).toBe(1);
  });

  test('is renewed with each beat again if the response that makes it dormant arrives after a fetch that has reactivated it', async () => {
    await a.add('1', 0);
    const letThrough = a.store.hold('renew');
    await beat();
    cluster.server.inspections.wake('A', cluster.stored());
    await settle();
    expect(cluster.stored().owner?.isDormant).toBe(false);
    letThrough();
    await settle();
    await beat();
    expect(renewed()).toBe(1);
  });

  test.each(['add', 'take'] as const)(
    'I1: is renewed with each beat again if the renewal that makes it dormant was sent after the %s, and overtook it',
    async method => {
      const b = await cluster.pod('B');
      await a.add('1', 0);
      await cluster.clock.advance(2 * LEASE_MS);
      cluster.instant = false;
      const letThrough = a.store.delay(method);
      const adding = method === 'add' ? a.add('1', 1) : b.add('1', 1);
      await settle();
      await beat();
      letThrough();
      await adding;
      await settle();
      expect(cluster.starts).toEqual(['A:1:0', 'A:1:1']);
      await cluster.clock.advance(2 * LEASE_MS);
      expect(cluster.starts).toEqual(['A:1:0', 'A:1:1']);
      await cluster.job(1).end();
    },
  );

  test('I7: starts a job with the next renewal if the add took longer than a lease', async () => {
    await a.add('1', 0);
    await cluster.clock.advance(2 * LEASE_MS);
    const letThrough = a.store.delay('add');
    const adding = a.add('1', 1);
    await cluster.clock.advance(LEASE_MS + BEAT_MS);
    letThrough();
    await adding;
    await settle();
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1']);
  });

  test('I7: makes good a lost wake-up within a lease and a sweep', async () => {
    const b = await cluster.pod('B', { producerOnly: true });
    await a.add('1', 0);
    await cluster.clock.advance(2 * LEASE_MS);
    const { wake } = cluster.server.inspections;
    cluster.server.inspections.wake = () => {};
    await b.add('1', 1);
    cluster.server.inspections.wake = wake;
    expect(cluster.starts).toEqual(['A:1:0']);
    await cluster.clock.advance(LEASE_MS + 1500);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1']);
  });

  test('race 16: makes good a lost wake-up even on a pod that has no room for more entities', async () => {
    const full = await cluster.pod('B', { maxWorkersPerPod: 1 });
    await full.add('2', 0);
    await cluster.clock.advance(BEAT_MS + 200);
    const { wake } = cluster.server.inspections;
    cluster.server.inspections.wake = () => {};
    await a.engine.close();
    const producer = await cluster.pod('C', { producerOnly: true });
    await producer.add('2', 1);
    cluster.server.inspections.wake = wake;
    await cluster.clock.advance(LEASE_MS + 1500);
    expect(cluster.starts).toEqual(['B:2:0', 'B:2:1']);
  });

  test('I7: delays its work by no more than a lease and a sweep if the owner is killed after other pods have woken it', async () => {
    const b = await cluster.pod('B');
    await a.add('1', 0);
    await cluster.clock.advance(BEAT_MS);
    a.store.break('drop');
    cluster.server.inspections.wake = () => {};
    await b.add('1', 1);
    // Its thread keeps its lease alive.
    for (let ms = 0; ms < LEASE_MS; ms += BEAT_MS) {
      cluster.server.alive.set('A', cluster.clock.monotonicMs() + LEASE_MS);
      await beat();
    }
    await cluster.clock.advance(1500);
    expect(cluster.starts).toEqual(['A:1:0', 'B:1:1']);
  });

  test('I3: tells a pod at once what it has lost after a lease without renewals', async () => {
    const b = await cluster.pod('B');
    await a.add('1', 0);
    await cluster.clock.advance(LEASE_MS);
    a.store.break('drop');
    await cluster.clock.advance(LEASE_MS + BEAT_MS);
    await b.add('1', 1);
    expect(cluster.starts).toEqual(['A:1:0', 'B:1:1']);
    a.store.mend();
    await cluster.clock.advance(BEAT_MS);
    expect(a.events.map(({ type }) => type)).toContain('worker.lost');
  });
});
