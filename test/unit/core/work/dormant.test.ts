/**
 * Claims that rest, as the engine sees them: when it renews them, what reactivates them, and what it does when it was not heard.
 * Neighbour: `contract/dormant-contract.ts` says what they are to a store.
 */

import type { Renewal } from '../../../../src/core/ports/claims.js';
import { DORMANT_LEASES } from '../../../../src/core/run/lease.js';
import { settle } from '../../../support/clock.js';
import { LEASE_MS, MemoryPods, type Pod } from '../../../support/memory-pods.js';

const BEAT_MS = LEASE_MS / 3;

describe('a claim that rests', () => {
  let cluster: MemoryPods;
  let a: Pod;

  beforeEach(async () => {
    cluster = new MemoryPods();
    a = await cluster.pod('A');
  });
  afterEach(() => cluster.close());

  const stored = () => cluster.server.entity({ type: 'account', id: '1' });
  const renewed = () => ((a.store.lastArguments.get('renew') ?? [[]])[0] as Renewal[]).length;
  const beat = () => cluster.clock.advance(BEAT_MS);

  test('is renewed now and then only', async () => {
    await a.add('1', 0);
    await beat();
    expect(renewed()).toBe(1);
    let renewals = 0;
    for (let i = 0; i < DORMANT_LEASES; i++) {
      await beat();
      renewals += renewed();
    }
    expect(renewals).toBe(1);
    expect(stored().owner?.podId).toBe('A');
  });

  test('I2: a job of its own pod starts at once, under the lease that its add has brought', async () => {
    await a.add('1', 0);
    await cluster.clock.advance(2 * LEASE_MS);
    const beats = a.store.calls.filter(call => call === 'renew').length;
    await a.add('1', 1);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1']);
    expect(a.store.calls.filter(call => call === 'renew')).toHaveLength(beats);
    await beat();
    expect(renewed()).toBe(1);
  });

  test('I2: … and one of another pod under the lease of the fetch', async () => {
    const b = await cluster.pod('B');
    await a.add('1', 0);
    await cluster.clock.advance(2 * LEASE_MS);
    cluster.instant = false;
    await b.add('1', 1);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1']);
    await cluster.clock.advance(3 * LEASE_MS);
    expect(stored().owner?.podId).toBe('A');
    await cluster.job(1).end();
  });

  test('I2: the lease of a fetch counts from when it was sent', async () => {
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

  test('is renewed with each beat again when the answer that lets it rest comes after an add that has reactivated it', async () => {
    await a.add('1', 0);
    const letThrough = a.store.hold('renew');
    await beat();
    expect(stored().owner?.rests).toBe(true);
    await a.addForLater('1', 9);
    expect(stored().owner?.rests).toBe(false);
    letThrough();
    await settle();
    await beat();
    expect(renewed()).toBe(1);
  });

  test('… and likewise after a fetch', async () => {
    await a.add('1', 0);
    const letThrough = a.store.hold('renew');
    await beat();
    cluster.server.wake('A', stored());
    await settle();
    expect(stored().owner?.rests).toBe(false);
    letThrough();
    await settle();
    await beat();
    expect(renewed()).toBe(1);
  });

  test.each(['add', 'take'] as const)(
    'I1: … also when the renewal was sent after the %s, and overtook it',
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

  test('I7: a job whose add has waited for longer than a lease starts with the next renewal', async () => {
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

  test('I7: a lost wake-up is made good within a lease and a sweep', async () => {
    const b = await cluster.pod('B', { producerOnly: true });
    await a.add('1', 0);
    await cluster.clock.advance(2 * LEASE_MS);
    const { wake } = cluster.server;
    cluster.server.wake = () => {};
    await b.add('1', 1);
    cluster.server.wake = wake;
    expect(cluster.starts).toEqual(['A:1:0']);
    await cluster.clock.advance(LEASE_MS + 1500);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1']);
  });

  test('race 16: … also by a pod that has no room for more', async () => {
    const full = await cluster.pod('B', { maxWorkersPerPod: 1 });
    await full.add('2', 0);
    await cluster.clock.advance(BEAT_MS + 200);
    const { wake } = cluster.server;
    cluster.server.wake = () => {};
    await a.engine.close();
    const producer = await cluster.pod('C', { producerOnly: true });
    await producer.add('2', 1);
    cluster.server.wake = wake;
    await cluster.clock.advance(LEASE_MS + 1500);
    expect(cluster.starts).toEqual(['B:2:0', 'B:2:1']);
  });

  test('I7: the owner is killed after others have asked it: its work waits for a lease and a sweep, and no longer', async () => {
    const b = await cluster.pod('B');
    await a.add('1', 0);
    await cluster.clock.advance(BEAT_MS);
    a.store.break('drop');
    cluster.server.wake = () => {};
    await b.add('1', 1);
    // Its thread keeps it heard.
    for (let ms = 0; ms < LEASE_MS; ms += BEAT_MS) {
      cluster.server.alive.set('A', cluster.clock.monotonicMs() + LEASE_MS);
      await beat();
    }
    await cluster.clock.advance(1500);
    expect(cluster.starts).toEqual(['A:1:0', 'B:1:1']);
  });

  test('I3: a pod that was not heard for a lease learns at once what it has lost meanwhile', async () => {
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
