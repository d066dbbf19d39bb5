/**
 * What a worker does when the code around it misbehaves: a log that throws, a listener that shuts the pod down, an add that is refused
 * while the claim is being released. Neighbour: `resync.test.ts`, responses that do not come.
 */
import { settle } from '../../../support/clock.js';
import { LEASE_MS, MemoryPods, type Pod } from '../../../support/memory-pods.js';

describe('a worker', () => {
  let cluster: MemoryPods;

  beforeEach(() => {
    cluster = new MemoryPods();
  });
  afterEach(() => cluster.close());

  /** Shuts the pod down at its first event of that type. */
  function drainAt(pod: Pod, type: string): void {
    const { events } = pod;
    const { push } = events;
    let isDone = false;
    events.push = (...more) => {
      const length = push.apply(events, more);
      if (!isDone && more.some(event => event.type === type)) {
        isDone = true;
        void pod.engine.drain();
      }
      return length;
    };
  }

  /** The log throws at the first lines that contain a word. */
  function logThrows(pod: Pod, word: string, times: number): void {
    const { warn } = pod.log;
    let thrown = 0;
    pod.log.warn = line => {
      if (line.includes(word) && thrown++ < times) throw new Error('the log is full');
      warn.call(pod.log, line);
    };
  }

  test('I5: a pod that shuts down in a listener of job.completed does not give the job back', async () => {
    cluster.instant = false;
    const a = await cluster.pod('A');
    await cluster.pod('B');
    await a.add('1', 0, 1);
    drainAt(a, 'job.completed');
    await cluster.job(0).end();
    await cluster.clock.advance(2000);
    expect(cluster.starts).toEqual(['A:1:0', 'B:1:1']);
  });

  test('a pod that shuts down in a listener of worker.claimed hands the entity over without a fault', async () => {
    const a = await cluster.pod('A');
    await cluster.pod('B');
    drainAt(a, 'worker.claimed');
    await a.add('1', 0, 1);
    await cluster.clock.advance(3000);
    expect(a.log.lines.filter(line => line.startsWith('error'))).toEqual([]);
    expect(cluster.starts).toEqual(['B:1:0', 'B:1:1']);
  });

  test('I1: two crashes within the pause of the first lead to one resync at a time', async () => {
    cluster.instant = false;
    cluster.shared = ['read'];
    const a = await cluster.pod('A', {}, ['*', 'read']);
    await a.addNamed('read', '1', 0, 1, 2, 3);
    logThrows(a, 'failed', 2);
    const [first, second, ...others] = [...cluster.running];
    await first?.fail();
    await cluster.clock.advance(500);
    await second?.fail();
    for (const job of others) await job.end();
    const respond = a.store.hold('resync');
    await cluster.clock.advance(600);
    await cluster.clock.advance(600);
    expect(a.count('resync')).toBe(1);
    respond();
    await settle();
    for (const job of [...cluster.running]) await job.end();
    await cluster.clock.advance(2 * LEASE_MS);
    expect(cluster.stored().active).toEqual([]);
  });

  test('I7: a run ends, and the worker resyncs, if the log throws while the end of a job is settled', async () => {
    cluster.instant = false;
    const a = await cluster.pod('A', { entities: { account: { onExhausted: 'block' } } });
    await a.add('1', 0, 1);
    logThrows(a, 'blocks', 1);
    await cluster.job(0).fail();
    await cluster.clock.advance(2 * LEASE_MS);
    expect(a.log.lines.filter(line => line.includes('failed unexpectedly'))).toHaveLength(1);
    expect(a.store.calls).toContain('resync');
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:0']);
  });

  test('race 4: a job of another pod that ends a release is fetched at once, though the add of this pod meanwhile is refused', async () => {
    const options = { entities: { account: { maxPending: 1 } } };
    const a = await cluster.pod('A', options);
    const b = await cluster.pod('B', options);
    await a.add('1', 0);
    a.store.before('release', () => void b.add('1', 1));
    const letThrough = a.store.hold('release');
    await cluster.clock.advance(15_100);
    await expect(a.add('1', 2)).rejects.toMatchObject({ code: 'BACKLOG_FULL' });
    letThrough();
    await settle();
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1']);
  });
});
