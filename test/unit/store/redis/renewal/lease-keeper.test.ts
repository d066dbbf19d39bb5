/** When the renewal thread renews by itself, which claims, and for how long. */

import type { PodState } from '../../../../../src/core/ports/claims.js';
import { LeaseKeeper } from '../../../../../src/store/redis/renewal/lease-keeper.js';
import type { RenewalArguments } from '../../../../../src/store/redis/renewal/renewal-connection.js';
import { ManualClock } from '../../../../support/clock.js';

const LEASE_MS = 3000;
const BEAT_MS = LEASE_MS / 3;
const BLOCK_LIMIT_MS = 10_000;

const claim = (id: string, idle: 0 | 1 = 0, epoch = 1): RenewalArguments => [
  `aq:account:${id}:queue`,
  'account',
  id,
  epoch,
  idle,
  30_000,
  '',
  1,
  'job',
];
const POD = { types: ['account'], takesMore: true, workers: 1 };
const NOTHING = { lost: [], kicked: [], dormant: [], wasHeard: true, loads: [] };

describe('the lease keeper', () => {
  let clock: ManualClock;
  let keeper: LeaseKeeper;
  /** `at: ids` of the renewals that the keeper sent. Those of the main thread are left out. */
  let renewed: {
    readonly atMs: number;
    readonly renewals: readonly RenewalArguments[];
    readonly pod: PodState;
    readonly blamed: readonly string[];
  }[];
  let fails: boolean;
  let wasHeard: boolean;
  let startMs: number;

  const beat = (...claims: RenewalArguments[]) => {
    void keeper.renew(claims, { ...POD, workers: claims.length });
    renewed.pop();
  };
  const times = () => renewed.map(({ atMs }) => atMs);
  const ids = () => renewed.map(({ renewals }) => renewals.map(([, , id]) => id));

  beforeEach(async () => {
    clock = new ManualClock();
    startMs = clock.monotonicMs();
    renewed = [];
    fails = false;
    wasHeard = true;
    keeper = new LeaseKeeper({
      renewer: {
        async renew(renewals, pod, isBlamed = () => true) {
          renewed.push({
            atMs: clock.monotonicMs() - startMs,
            renewals,
            pod,
            blamed: renewals.filter(isBlamed).map(([, , id]) => id),
          });
          if (fails) throw new Error('not connected');
          return { ...NOTHING, wasHeard };
        },
      },
      clock,
      leaseMs: LEASE_MS,
      blockLimitMs: BLOCK_LIMIT_MS,
    });
  });
  /** The first beat of a pod, which has no claims yet. */
  const start = async () => {
    beat();
    await clock.advance(0);
  };

  test('passes on the renewals of the main thread, and their responses', async () => {
    expect(await keeper.renew([claim('1', 1)], POD)).toEqual(NOTHING);
    expect(renewed).toEqual([{ atMs: 0, renewals: [claim('1', 1)], pod: POD, blamed: [] }]);
  });

  test('leaves renewals to a main thread that beats', async () => {
    await start();
    for (let i = 0; i < 20; i++) {
      beat(claim('1'));
      await clock.advance(BEAT_MS * 1.2);
    }
    expect(renewed).toEqual([]);
  });

  test('renews after five twelfths of a lease of silence, with each beat, without a gap of a lease', async () => {
    await start();
    beat(claim('1'), claim('2'));
    await clock.advance(2 * LEASE_MS);
    expect(times()).toEqual([1250, 2250, 3250, 4250, 5250]);
    expect(ids().every(list => String(list) === '1,2')).toBe(true);
  });

  test('stops when the main thread counts as hung, and starts again when it is heard', async () => {
    await start();
    beat(claim('1'));
    await clock.advance(10 * BLOCK_LIMIT_MS);
    expect(times().at(-1)).toBeLessThanOrEqual(BLOCK_LIMIT_MS);
    expect(times().at(-1)).toBeGreaterThan(BLOCK_LIMIT_MS - BEAT_MS);
    expect(clock.pendingTimers).toBe(0);
    renewed = [];
    beat(claim('1'));
    await clock.advance(LEASE_MS / 2);
    expect(ids()).toEqual([['1']]);
  });

  test('renews idle claims as idle, so that they become dormant, and no types, because a blocked pod accepts nothing new', async () => {
    await start();
    beat(claim('1', 1), claim('2'));
    await clock.advance(LEASE_MS / 2);
    const pod = { types: [], takesMore: false, workers: 2 };
    expect(renewed).toMatchObject([{ renewals: [claim('1', 1), claim('2')], pod }]);
  });

  test('keeps the pod alive while all its claims are dormant and its list is empty', async () => {
    await start();
    void keeper.renew([], { ...POD, workers: 3 });
    renewed.pop();
    await clock.advance(LEASE_MS / 2);
    expect(renewed).toMatchObject([{ renewals: [], pod: { workers: 3 } }]);
    keeper.forget();
    await clock.advance(10 * LEASE_MS);
    expect(renewed).toHaveLength(1);
  });

  test('reports a silence of the pod to the main thread with its next renewal', async () => {
    await start();
    beat(claim('1'));
    wasHeard = false;
    await clock.advance(LEASE_MS / 2);
    wasHeard = true;
    expect(await keeper.renew([claim('1')], POD)).toMatchObject({ wasHeard: false });
    expect(await keeper.renew([claim('1')], POD)).toMatchObject({ wasHeard: true });
  });

  test('renews claims that were granted since the last beat', async () => {
    await start();
    beat(claim('1'));
    keeper.granted([claim('2')]);
    await clock.advance(LEASE_MS / 2);
    expect(ids()).toEqual([['1', '2']]);
  });

  test('renews claims granted before the last beat, whose list may lack them; after one more beat, only listed claims', async () => {
    await start();
    keeper.granted([claim('2')]);
    beat(claim('1'));
    await clock.advance(LEASE_MS / 2);
    beat(claim('1'));
    await clock.advance(LEASE_MS / 2);
    expect(ids()).toEqual([['2', '1'], ['1']]);
  });

  test('renews a claim once, under the last epoch', async () => {
    await start();
    beat(claim('1'));
    keeper.granted([claim('1', 0, 2)]);
    await clock.advance(LEASE_MS / 2);
    expect(renewed).toMatchObject([{ renewals: [claim('1', 0, 2)] }]);
  });

  test('race 15: forgets all claims when the main thread lets them expire; claims granted later are new', async () => {
    await start();
    beat(claim('1'));
    keeper.granted([claim('2')]);
    keeper.forget();
    await clock.advance(2 * LEASE_MS);
    expect(renewed).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
    keeper.granted([claim('3')]);
    await clock.advance(LEASE_MS / 2);
    expect(ids()).toEqual([['3']]);
  });

  test('renews at once if renewals waited for the thread to start', async () => {
    beat();
    keeper.granted([claim('1')]);
    await clock.advance(0);
    expect(ids()).toEqual([['1']]);
  });

  test('counts grants as life of the main thread, but they do not delay the renewal of other claims', async () => {
    await start();
    beat(claim('1'));
    for (let i = 0; i < 12; i++) {
      await clock.advance(LEASE_MS / 3);
      keeper.granted([claim(`new${i}`)]);
    }
    expect(times().at(0)).toBe(1250);
    await clock.advance(BLOCK_LIMIT_MS);
    expect(times().at(-1)).toBeGreaterThan(12 * BEAT_MS + BLOCK_LIMIT_MS - 2 * BEAT_MS);
  });

  test('repeats a failed renewal with the next beat', async () => {
    await start();
    beat(claim('1'));
    fails = true;
    await clock.advance(LEASE_MS);
    expect(times()).toEqual([1250, 2250]);
  });

  test('suspects the claims under which the main thread hung, until a renewal without them has succeeded', async () => {
    await start();
    beat(claim('1'), claim('2'));
    await clock.advance(BLOCK_LIMIT_MS - BEAT_MS);
    expect(renewed.flatMap(({ blamed }) => blamed)).toEqual([]);
    await clock.advance(3 * BEAT_MS);
    renewed = [];
    fails = true;
    await expect(keeper.renew([claim('1'), claim('2')], POD)).rejects.toThrow('not connected');
    fails = false;
    // The first successful renewal reports that claim 1 is lost. The next one has it once more.
    await keeper.renew([claim('1'), claim('2')], POD);
    await keeper.renew([claim('1'), claim('3')], POD);
    await keeper.renew([claim('3')], POD);
    await keeper.renew([claim('1'), claim('3')], POD);
    expect(renewed.map(({ blamed }) => blamed)).toEqual([['1', '2'], ['1', '2'], ['1'], [], []]);
  });

  test('suspects no claim of a later epoch', async () => {
    await start();
    beat(claim('1'));
    await clock.advance(BLOCK_LIMIT_MS + BEAT_MS);
    renewed = [];
    await keeper.renew([claim('1', 0, 2)], POD);
    expect(renewed.map(({ blamed }) => blamed)).toEqual([[]]);
  });
});
