/** Handlers that run for long, or never settle: which log lines and events tell of them, and when. */
import { settle } from '../../../support/clock.js';
import { LEASE_MS, MemoryPods, type Pod } from '../../../support/memory-pods.js';
import { gate } from '../../../support/wait.js';

const SLOW_MS = 30_000;

let cluster: MemoryPods;

beforeEach(() => {
  cluster = new MemoryPods({ instant: false });
});
afterEach(() => cluster.close());

const lines = (pod: Pod) => pod.log.lines.filter(line => line.includes(' has been running for '));
const events = (pod: Pod) => pod.events.filter(({ type }) => type === 'job.slow');

test('a handler that does not settle is reported after slowHandlerWarnMs, and each time it has run twice as long', async () => {
  const a = await cluster.pod('A');
  await a.add('1', 0, 1);
  await cluster.clock.advance(SLOW_MS - 1000);
  expect(lines(a)).toEqual([]);
  await cluster.clock.advance(2000);
  expect(lines(a)).toEqual([
    expect.stringMatching(
      /^warn Job \S+ \("withdraw"\) of account:1 has been running for 30 s, and the next jobs of its entity wait\. A handler that never settles runs forever: set handlerTimeoutMs to bound it\.$/,
    ),
  ]);
  expect(events(a)).toEqual([
    expect.objectContaining({
      entityType: 'account',
      entityId: '1',
      jobName: 'withdraw',
      attempt: 1,
      durationMs: SLOW_MS,
    }),
  ]);
  await cluster.clock.advance(8 * SLOW_MS);
  expect(lines(a).map(line => /for (\d+) s/.exec(line)?.[1])).toEqual(['30', '60', '120', '240']);
  expect(events(a)).toHaveLength(4);
  await cluster.job(0).end();
  await cluster.clock.advance(SLOW_MS - 1000);
  expect(lines(a)).toHaveLength(4);
});

test('a handler that hangs for days is reported once an hour', async () => {
  // Four hours with few renewals and sweeps.
  const a = await cluster.pod('A', { workerDefaults: { heartbeatTTL: 600, stalledIntervalMs: 60_000 } });
  await a.add('1', 0);
  await cluster.clock.advance(2 * 3_600_000);
  const before = lines(a).length;
  await cluster.clock.advance(2 * 3_600_000);
  expect(lines(a)).toHaveLength(before + 2);
});

test('slowHandlerWarnMs can be set per type, and 0 disables it', async () => {
  cluster.types = ['account', 'order'];
  const a = await cluster.pod('A', {
    workerDefaults: { heartbeatTTL: LEASE_MS / 1000, slowHandlerWarnMs: 2000 },
    entities: { order: { workerConfig: { slowHandlerWarnMs: 0 } } },
  });
  await a.engine.enqueue({ entityType: 'order', entityId: '2', name: 'pay', data: { n: 1 } });
  await a.add('1', 0);
  await cluster.clock.advance(60_000);
  expect(lines(a)).not.toEqual([]);
  expect(lines(a).filter(line => line.includes('order'))).toEqual([]);
});

test('a slow batch gets one log line, and an event for each of its jobs', async () => {
  const a = await cluster.pod('A', {}, [], { withdraw: { max: 3, maxWaitMs: 10 } });
  await a.add('1', 0, 1, 2);
  await cluster.clock.advance(SLOW_MS + 1000);
  expect(lines(a)).toEqual([
    expect.stringMatching(
      /A batch of 3 jobs "withdraw" of account:1 has been running for 30 s, and the next jobs of its entity/,
    ),
  ]);
  expect(events(a)).toHaveLength(3);
});

test('if several jobs of an entity may run at once, the log line does not say that the entity waits', async () => {
  const a = await cluster.pod('A', { entities: { account: { workerConfig: { concurrency: 2 } } } });
  await a.add('1', 0);
  await cluster.clock.advance(SLOW_MS + 1000);
  expect(lines(a)).toEqual([
    expect.stringMatching(
      /has been running for 30 s\. A handler that never settles runs forever: set handlerTimeoutMs to bound it\.$/,
    ),
  ]);
});

test('when handlerTimeoutMs is set, the log line does not recommend it', async () => {
  const a = await cluster.pod('A', {
    workerDefaults: { heartbeatTTL: LEASE_MS / 1000, handlerTimeoutMs: 10 * SLOW_MS },
  });
  await a.add('1', 0);
  await cluster.clock.advance(SLOW_MS + 1000);
  expect(lines(a)).toEqual([
    expect.stringMatching(/has been running for 30 s, and the next jobs of its entity wait\.$/),
  ]);
});

test('the time that a run waits for before its handler counts, because its entity waits', async () => {
  const isChecked = gate<never>();
  const validator = { atEnqueue: (value: unknown) => ({ value }), beforeRun: () => isChecked.promise };
  const a = await cluster.pod('A', {}, [], { withdraw: { max: 1, validator } });
  await a.add('1', 0);
  await cluster.clock.advance(SLOW_MS + 1000);
  expect(cluster.batches).toEqual([]);
  expect(lines(a)).toHaveLength(1);
  isChecked.fail(new Error('not valid'));
  await settle();
});

test('a handler whose entity is lost is not reported any more: another pod works it', async () => {
  const a = await cluster.pod('A');
  await a.add('1', 0);
  const entity = cluster.server.entities.get('account:1');
  if (entity) entity.owner = undefined;
  await cluster.clock.advance(2 * LEASE_MS);
  expect(cluster.job(0).context.signal.aborted).toBe(true);
  await cluster.clock.advance(10 * SLOW_MS);
  expect(lines(a).length).toBeLessThanOrEqual(1);
});

test('when thousands of handlers hang, twenty log lines report one each, and one line reports the others', async () => {
  const a = await cluster.pod('A');
  for (let id = 0; id < 50; id++) await a.add(`${id}`, id);
  await cluster.clock.advance(SLOW_MS + 1000);
  expect(lines(a)).toHaveLength(20);
  expect(a.log.lines).toContainEqual(expect.stringMatching(/30 more runs are slow/));
  expect(events(a)).toHaveLength(50);
});

test('the status of an entity says since when a job runs, once it has run for a second', async () => {
  const a = await cluster.pod('A');
  await a.add('1', 0, 1);
  const startedAtMs = cluster.clock.wallMs();
  const status = () => a.engine.control.status({ type: 'account', id: '1' });
  await cluster.clock.advance(500);
  expect(await status()).not.toHaveProperty('running');
  await cluster.clock.advance(LEASE_MS);
  expect(await status()).toMatchObject({ running: [{ jobId: expect.any(String), name: 'withdraw', startedAtMs }] });
  await cluster.job(0).end();
  expect(await status()).not.toHaveProperty('running');
});
