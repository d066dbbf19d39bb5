/**
 * Silence in the engine: an outage that all pods share costs no claim, and a pod that was cut off says with its next
 * renewal that its job did not crash it. Neighbour: `contract/silence-contract.ts` says what silence is to a store.
 */
import type { Renewal } from '../../../src/core/ports/claims.js';
import { settle } from '../../support/clock.js';
import { LEASE_MS, type MemoryPods, type Pod, startPodA } from '../../support/memory-pods.js';

describe('silence', () => {
  let cluster: MemoryPods;
  let a: Pod;
  let b: Pod;

  beforeEach(async () => {
    ({ cluster, a } = await startPodA());
    b = await cluster.pod('B');
    cluster.instant = false;
    await a.add('1', 0);
  });
  afterEach(() => cluster.close());

  /** The epochs of the claims that the pod renewed last. */
  const renewedBy = (pod: Pod) =>
    ((pod.store.lastArguments.get('renew') ?? [[]])[0] as Renewal[]).map(({ claim }) => claim.epoch);
  const cutOff = (...pods: Pod[]) => {
    for (const pod of pods) pod.store.break('drop');
  };
  const reconnect = (...pods: Pod[]) => {
    for (const pod of pods) pod.store.mend();
  };

  test('I1: an outage of three leases that all pods share lets the job go on, and starts it once', async () => {
    cutOff(a, b);
    await cluster.clock.advance(3 * LEASE_MS);
    reconnect(a, b);
    // B looks before A is heard again.
    await b.engine.enqueue({ entityType: 'account', entityId: '1', name: 'withdraw', data: { n: 1 } });
    await cluster.clock.advance(2 * LEASE_MS);
    expect(cluster.starts).toEqual(['A:1:0']);
    expect(cluster.stored().owner?.podId).toBe('A');
    await cluster.job(0).end();
    await cluster.job(1).end();
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1']);
  });

  test('I7: a pod that died in an outage that all pods shared is replaced within two leases after it', async () => {
    const dead = cluster.job(0);
    cluster.forget(dead);
    cutOff(a, b);
    await cluster.clock.advance(3 * LEASE_MS);
    reconnect(b);
    await cluster.clock.advance(2 * LEASE_MS);
    expect(cluster.starts).toEqual(['A:1:0', 'B:1:0']);
    await cluster.job(0).end();
    await dead.end();
  });

  test('race 7: a pod that lost its claim while it was cut off renews it once more, so that its job does not count as stalled', async () => {
    const zombie = cluster.job(0);
    const { epoch } = cluster.stored().owner ?? { epoch: 0 };
    cluster.forget(zombie);
    cutOff(a);
    await cluster.clock.advance(2 * LEASE_MS);
    expect(cluster.stored().owner?.podId).toBe('B');
    expect(cluster.stored().active[0]?.stalled).toBe(1);
    // Its end is refused before any renewal gets through.
    await zombie.end();
    reconnect(a);
    a.store.next('renew', 'drop');
    await cluster.clock.advance(LEASE_MS);
    expect(cluster.stored().active[0]?.stalled).toBe(0);
    await cluster.clock.advance(LEASE_MS);
    expect(renewedBy(a)).not.toContain(epoch);
    await cluster.job(0).end();
    await settle();
  });
});
