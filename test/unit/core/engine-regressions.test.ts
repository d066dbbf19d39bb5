/** Regressions of the core: each test failed before its bug was fixed. */
import type { EntityRef } from '../../../src/core/model/entity.js';
import { settle } from '../../support/clock.js';
import { LEASE_MS, type MemoryPods, type Pod, startPodA } from '../../support/memory-pods.js';
import { plantedJob } from '../../support/planted-job.js';

describe('the engine', () => {
  const ref: EntityRef = { type: 'account', id: '1' };
  let cluster: MemoryPods;
  let a: Pod;

  beforeEach(async () => {
    ({ cluster, a } = await startPodA());
  });
  afterEach(() => cluster.close());

  /** Adds a job to the queue without a wake-up. */
  const plant = (n: number, id = '1') =>
    cluster.server.entity({ type: 'account', id }).wait.push(plantedJob(`planted-${n}`, `{"n":${n}}`));

  test('claims once when several enqueues meet a refused release, and runs each job once', async () => {
    await a.add('1', 0);
    a.store.before('release', () => plant(1));
    const letThrough = a.store.hold('release');
    await cluster.clock.advance(16_000);
    await a.add('1', 2, 3);
    letThrough();
    await settle();
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1', 'A:1:2', 'A:1:3']);
    expect(a.count('tryClaim')).toBe(1);
  });

  test('logs once why a worker is refused again and again, and goes on when it no longer is', async () => {
    cluster.instant = false;
    await a.add('1', 0, 1);
    a.store.break('refuse');
    await cluster.job(0).end();
    await cluster.clock.advance(10_000);
    expect(a.count('resync')).toBeGreaterThan(5);
    expect(a.log.lines.filter(line => line.includes('Resync of account:1 failed'))).toHaveLength(1);
    a.store.mend();
    await cluster.clock.advance(2000);
    await cluster.job(1).end();
  });

  test('disconnects nothing while a handler runs, even if it is closed twice', async () => {
    cluster.instant = false;
    await a.add('1', 0);
    const closed = Promise.all([a.engine.close(), a.engine.close(), a.engine.drain()]);
    await settle();
    expect(a.store.calls).not.toContain('close');
    await cluster.job(0).end();
    await closed;
    expect(a.count('close')).toBe(1);
  });

  test('waits at a hand-over for the ends that are under way', async () => {
    cluster.instant = false;
    await a.add('1', 0);
    const letThrough = a.store.hold('finish');
    const job = cluster.job(0);
    const drained = a.engine.drain();
    await job.end();
    expect(a.store.calls).not.toContain('release');
    letThrough();
    await drained;
    expect(a.store.calls).toContain('release');
  });

  test('makes good refused ends at a hand-over, so that no pod runs a finished job again', async () => {
    cluster.instant = false;
    await a.add('1', 0);
    await cluster.pod('B');
    a.store.next('finish', 'refuse');
    const drained = a.engine.drain();
    await cluster.job(0).end();
    await drained;
    await cluster.clock.advance(3 * LEASE_MS);
    expect(cluster.starts).toEqual(['A:1:0']);
  });

  test('I6: does not forget a job that waits for a valid lease when an idle release meets the renewal that brings it', async () => {
    const b = await cluster.pod('B');
    await a.add('1', 0);
    await a.addForLater('1', 9);
    await cluster.clock.advance(14_500);
    const renewed = a.store.hold('renew');
    await cluster.clock.advance(LEASE_MS);
    await b.add('1', 1, 2);
    expect(cluster.starts).toEqual(['A:1:0']);
    renewed();
    await cluster.clock.advance(LEASE_MS);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1', 'A:1:2']);
  });

  test('runs each job once if a claim is deleted and granted again before the first response arrives', async () => {
    cluster.instant = false;
    const open = [a.store.hold('add'), a.store.hold('add')];
    const first = a.add('1', 0);
    await settle();
    cluster.server.entity(ref).owner = undefined;
    const second = a.add('1', 1);
    await settle();
    for (const letThrough of open) letThrough();
    await Promise.all([first, second]);
    await cluster.job(0).end();
    await cluster.job(1).end();
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1']);
  });

  test('I7: finds all due entities in one sweep, however many there are', async () => {
    for (let i = 0; i < 350; i++) {
      plant(i, `e${i}`);
      cluster.server.inspections.lowerDue(
        cluster.server.entity({ type: 'account', id: `e${i}` }),
        cluster.clock.monotonicMs(),
      );
    }
    await cluster.clock.advance(1300);
    expect(new Set(cluster.starts).size).toBe(350);
  });

  test('fetches a job with the end of the running one if it was added while a late response brought nothing', async () => {
    cluster.instant = false;
    const b = await cluster.pod('B');
    await a.add('1', 0, 1, 2, 3);
    await cluster.job(0).end();
    await cluster.job(1).end();
    const letThrough = a.store.hold('finish');
    await cluster.job(2).end();
    cluster.clock.stall(25);
    await b.add('1', 4);
    await cluster.job(3).end();
    letThrough();
    await settle();
    expect(cluster.starts.at(-1)).toBe('A:1:4');
  });

  test('race 7: fetches jobs of a dead owner one at a time, also after a lost connection', async () => {
    cluster.instant = false;
    await a.add('1', 0, 1, 2, 3, 4, 5, 6, 7, 8, 9);
    for (const n of [0, 1, 2, 3]) await cluster.job(n).end();
    expect(cluster.server.entity(ref).active).toHaveLength(6);
    const b = await cluster.pod('B');
    a.store.break('drop');
    const dead = cluster.job(4);
    cluster.forget(dead);
    await cluster.clock.advance(LEASE_MS + 1200);
    b.store.next('finish', 'lose');
    for (const n of [4, 5, 6]) await cluster.job(n).end();
    expect(cluster.starts.at(-1)).toBe('B:1:7');
    expect(cluster.server.entity(ref).active).toHaveLength(1);
    await dead.end();
  });

  test.each([
    ['no message', Object.assign(new Error(), { message: undefined })],
    ['a message that is not a string', Object.assign(new Error(), { message: { why: 1 } })],
    ['nothing at all', undefined],
    ['an object without a text', Object.create(null)],
    ['half of a surrogate pair', new Error('\ud800')],
  ])('fails a job with a text if its handler throws %s, and runs its successor', async (_, thrown) => {
    cluster.instant = false;
    await a.add('1', 0, 1);
    await cluster.job(0).fail(thrown ?? null);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1']);
    expect(typeof cluster.server.entity(ref).failed[0]?.outcome?.value).toBe('string');
  });
});
