/** Races 13 and 32: pods of an old and a new version side by side, and jobs with a name that only one of them knows. */
import { LEASE_MS, MemoryPods } from '../../support/memory-pods.js';

describe('a rolling deploy', () => {
  let cluster: MemoryPods;
  beforeEach(() => {
    cluster = new MemoryPods();
  });
  afterEach(() => cluster.close());

  const entity = () => cluster.server.entities.get('account:1');

  test('race 13: leaves a job that the old pod does not know for the new one, with all jobs behind it', async () => {
    const old = await cluster.pod('old', {}, ['pay']);
    await old.addNamed('pay', '1', 0);
    await old.addNamed('refund', '1', 1);
    await old.addNamed('pay', '1', 2);
    await cluster.clock.advance(20_000);
    expect(cluster.starts).toEqual(['old:1:0']);
    expect(entity()?.failed).toEqual([]);
    await cluster.pod('new', {}, ['pay', 'refund']);
    await cluster.clock.advance(2000);
    expect(cluster.starts).toEqual(['old:1:0', 'new:1:1', 'new:1:2']);
    expect(old.log.lines.join()).toContain('No handler on this pod for job "refund" of entity type "account"');
    expect(old.log.lines.join()).toContain(
      'its entity waits with it. After 600000 ms (unknownJobGraceMs) the job fails.',
    );
    expect(old.log.lines.join()).toContain(
      'Add a handler of that name to the providers, or correct the name where the job is enqueued.',
    );
  });

  test('race 32: does not move the job back and forth, and uses none of its attempts', async () => {
    const old = await cluster.pod('old', {}, ['pay']);
    const older = await cluster.pod('older', {}, ['pay']);
    await old.addNamed('refund', '1', 1);
    await cluster.clock.advance(60_000);
    const looks = [old, older].map(pod => pod.count('defer'));
    for (const count of looks) expect(count).toBeLessThanOrEqual(13);
    expect(old.log.lines).toHaveLength(1);
    cluster.instant = false;
    await cluster.pod('new', {}, ['refund']);
    await cluster.clock.advance(2000);
    expect(cluster.job(1).context.attempt).toBe(1);
  });

  test('fails a job, with a typed error, whose name no pod has known for the grace period, and the entity goes on', async () => {
    const old = await cluster.pod(
      'old',
      { workerDefaults: { heartbeatTTL: LEASE_MS / 1000, unknownJobGraceMs: 20_000 } },
      ['pay'],
    );
    await old.addNamed('refund', '1', 1);
    await old.addNamed('pay', '1', 2);
    await cluster.clock.advance(19_000);
    expect(cluster.starts).toEqual([]);
    await cluster.clock.advance(10_000);
    expect(cluster.starts).toEqual(['old:1:2']);
    expect(entity()?.failed[0]?.outcome?.value).toContain('No handler on this pod for job "refund"');
  });

  test('reports a mistyped name together with the name that was probably meant, in the log and in the failure', async () => {
    const old = await cluster.pod(
      'old',
      { workerDefaults: { heartbeatTTL: LEASE_MS / 1000, unknownJobGraceMs: 1000 } },
      ['withdraw'],
    );
    await old.addNamed('widthdraw', '1', 1);
    await cluster.clock.advance(10_000);
    expect(old.log.lines.join()).toContain('(unknownJobGraceMs) the job fails. Did you mean "withdraw"? Add');
    expect(entity()?.failed[0]?.outcome?.value).toContain('of entity type "account". Did you mean "withdraw"? Add');
  });

  test('fails an unknown job at once if there is no grace period', async () => {
    const old = await cluster.pod('old', { workerDefaults: { heartbeatTTL: LEASE_MS / 1000, unknownJobGraceMs: 0 } }, [
      'pay',
    ]);
    await old.addNamed('refund', '1', 1);
    expect(entity()?.failed).toHaveLength(1);
  });

  test('confirms finished work before the rest is deferred', async () => {
    cluster.instant = false;
    const old = await cluster.pod('old', {}, ['pay']);
    await old.addNamed('pay', '1', 0);
    await old.addNamed('refund', '1', 1);
    const letThrough = old.store.hold('finish');
    await cluster.job(0).end();
    expect(old.store.calls).not.toContain('defer');
    letThrough();
    await cluster.clock.advance(100);
    expect(old.store.calls).toContain('defer');
    await cluster.pod('new', {}, ['pay', 'refund']);
    await cluster.clock.advance(2000);
    expect(cluster.starts).toEqual(['old:1:0', 'new:1:1']);
  });

  test('lets a pod add jobs in order to an entity that it has deferred', async () => {
    const old = await cluster.pod('old', {}, ['pay']);
    await old.addNamed('refund', '1', 1);
    await old.addNamed('pay', '1', 2);
    expect(entity()?.wait.map(({ data }) => JSON.parse(data).n)).toEqual([1, 2]);
    expect(old.count('defer')).toBe(1);
  });

  test('claims a deferred entity again for an enqueue, and defers it again', async () => {
    const old = await cluster.pod('old', {}, ['pay']);
    const letThrough = old.store.hold('defer');
    await old.addNamed('refund', '1', 1);
    await old.addNamed('pay', '1', 2);
    letThrough();
    await cluster.clock.advance(100);
    expect(entity()?.wait.map(({ data }) => JSON.parse(data).n)).toEqual([1, 2]);
    await cluster.pod('new', {}, ['pay', 'refund']);
    await cluster.clock.advance(8000);
    expect(cluster.starts).toEqual(['new:1:1', 'new:1:2']);
  });

  test('does not keep the entity on the old pod under a stream of enqueues', async () => {
    const old = await cluster.pod('old', {}, ['pay']);
    const fresh = await cluster.pod('new', {}, ['pay', 'refund']);
    await cluster.clock.advance(LEASE_MS);
    const later = () => ({ hold: new Promise<void>(resolve => void cluster.clock.after(20, resolve)) });
    const enqueue = (name: string, n: number) => {
      old.store.next('add', later());
      void old.engine.enqueue({ entityType: 'account', entityId: '1', name, data: { n } });
    };
    const answerLate = () => {
      old.store.next('defer', later());
      old.store.before('defer', answerLate);
    };
    old.store.before('defer', answerLate);
    enqueue('refund', 0);
    for (let n = 1; n < 200; n++) {
      enqueue('pay', n);
      await cluster.clock.advance(10);
    }
    await cluster.clock.advance(2000);
    expect(cluster.starts).toEqual(Array.from({ length: 200 }, (_, n) => `new:1:${n}`));
    expect(old.count('defer')).toBeLessThan(5);
    expect(fresh.log.lines).toEqual([]);
  });

  test('defers an entity once with several handlers, and does not inspect it endlessly', async () => {
    cluster.atOnce = 2;
    const old = await cluster.pod('old', { entities: { account: { maxWorkersPerEntity: 2 } } }, ['pay']);
    await old.addNamed('refund', '1', 1);
    await cluster.clock.advance(4000);
    expect(old.count('defer')).toBe(1);
  });

  test('resyncs if the response to the deferral is lost, and defers again', async () => {
    const old = await cluster.pod('old', {}, ['pay']);
    old.store.next('defer', 'lose');
    await old.addNamed('refund', '1', 1);
    await cluster.clock.advance(1000);
    await cluster.pod('new', {}, ['refund']);
    await cluster.clock.advance(8000);
    expect(cluster.starts).toEqual(['new:1:1']);
  });
});
