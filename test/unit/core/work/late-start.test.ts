/** Jobs that are about to start when their pod has to stop. */
import { StaleClaimError } from '../../../../src/core/model/job-errors.js';
import { Lease, momentOf, NotStarted } from '../../../../src/core/run/lease.js';
import { ManualClock, settle } from '../../../support/clock.js';
import { heldValidator } from '../../../support/held-validator.js';
import { MemoryPods } from '../../../support/memory-pods.js';

describe('a job whose payload is checked for longer than its pod waits at shutdown', () => {
  test.each([
    ['valid', 0],
    ['over', 10_000],
  ])('I5: does not start after close(), goes back, and uses no attempt (its lease is %s)', async (_, silentMs) => {
    const cluster = new MemoryPods();
    const { held, validator } = heldValidator();
    const handling = { withdraw: { max: 1, validator } };
    const a = await cluster.pod('a', { shutdownTimeoutMs: 1000 }, ['*'], handling);
    await a.add('1', 1);
    if (silentMs > 0) {
      a.store.break('refuse');
      await cluster.clock.advance(silentMs);
    }
    const closing = a.engine.close();
    await cluster.clock.advance(1500);
    await closing;
    a.store.mend();
    held.open();
    await settle();
    await cluster.clock.advance(100);
    expect(cluster.batches).toEqual([]);
    cluster.instant = false;
    await cluster.pod('b', {}, ['*'], handling);
    await cluster.clock.advance(10_000);
    expect(cluster.batches).toEqual(['b:1:1']);
    expect(cluster.batch.jobs).toMatchObject([{ attempt: 1, attemptsMade: 0 }]);
    await cluster.close();
  });
});

describe('a lease whose handlers were told to stop', () => {
  const leaseOf = (clock: ManualClock) =>
    new Lease({ entity: { type: 'account', id: '1' }, token: '1', epoch: 1 }, clock, 3000, momentOf(clock));

  test('I2: lets nothing start, even if it is renewed', async () => {
    const clock = new ManualClock();
    const lease = leaseOf(clock);
    await lease.untilValid();
    clock.stall(5000);
    const waiting = lease.untilValid();
    lease.stop(new Error('the pod shuts down'));
    lease.renew(momentOf(clock));
    await expect(waiting).rejects.toBeInstanceOf(NotStarted);
    await expect(lease.untilValid()).rejects.toThrow('the pod shuts down');
  });

  test('I2: lets nothing start if its claim was lost before it had expired', async () => {
    const lease = leaseOf(new ManualClock());
    lease.stop(new StaleClaimError('lost'));
    await expect(lease.untilValid()).rejects.toBeInstanceOf(StaleClaimError);
  });
});
