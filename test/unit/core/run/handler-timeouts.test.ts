/**
 * `handlerTimeoutMs`: what happens to a handler that takes too long, and to its entity (race 39). The handlers of these tests
 * do only what their test tells them: they ignore their signals.
 */
import { HandlerTimeoutError } from '../../../../src/core/model/job-errors.js';
import { STOP_GRACE_MS } from '../../../../src/core/run/run-limit.js';
import { settle } from '../../../support/clock.js';
import { LEASE_MS, MemoryPods, type Pod } from '../../../support/memory-pods.js';
import type { Running } from '../../../support/running-handlers.js';
import { gate } from '../../../support/wait.js';

const TIMEOUT_MS = 5000;
const GIVEN_UP_MS = TIMEOUT_MS + STOP_GRACE_MS;
/** Time until the pod has another claim, also if a sweep has to find the entity. */
const CLAIM_MS = 2000;

const limited = (more: object = {}) => ({
  workerDefaults: { heartbeatTTL: LEASE_MS / 1000, handlerTimeoutMs: TIMEOUT_MS },
  entities: { account: more },
});

let cluster: MemoryPods;
let a: Pod;

beforeEach(() => {
  cluster = new MemoryPods({ instant: false });
  // The handler that was given up, and the next one.
  cluster.atOnce = 2;
});
afterEach(() => cluster.close());

const first = () => cluster.running[0] as Running;
const last = () => cluster.running.at(-1) as Running;
const token = ({ context }: Pick<Running, 'context'>) => BigInt(context.fencingToken);
const failed = () => cluster.server.entities.get('account:1')?.failed.map(({ data }) => JSON.parse(data).n) ?? [];
/** No two runs have the same token if one of them was given up. */
const expectNewTokens = (zombie: bigint, others: readonly Running[]) => {
  for (const run of others) expect(token(run)).toBeGreaterThan(zombie);
};

describe('a handler that runs for too long', () => {
  test('is told to stop, with the error as the reason, and has a second to settle as it likes', async () => {
    a = await cluster.pod('A', limited());
    await a.add('1', 0, 1);
    const { signal } = first().context;
    const before = token(first());
    await cluster.clock.advance(TIMEOUT_MS - 1);
    expect(signal.aborted).toBe(false);
    await cluster.clock.advance(1);
    expect(signal.reason).toBeInstanceOf(HandlerTimeoutError);
    expect(signal.reason).toMatchObject({ code: 'HANDLER_TIMEOUT', timeoutMs: TIMEOUT_MS });
    await cluster.clock.advance(STOP_GRACE_MS - 1);
    await first().end();
    await cluster.clock.advance(CLAIM_MS);
    expect(failed()).toEqual([]);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1']);
    // The work that it started may still run.
    expectNewTokens(before, cluster.running);
  });

  test('fails its attempt once if it settles after it was told to stop, and the next job has a newer token', async () => {
    a = await cluster.pod('A', limited());
    await a.add('1', 0, 1);
    const before = token(first());
    await cluster.clock.advance(TIMEOUT_MS);
    await first().fail(first().context.signal.reason);
    await cluster.clock.advance(CLAIM_MS);
    expect(failed()).toEqual([0]);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1']);
    expectNewTokens(before, cluster.running);
  });

  test('changes nothing if it settles within its time: the next job has its token', async () => {
    a = await cluster.pod('A', limited());
    await a.add('1', 0, 1);
    const before = token(first());
    await cluster.clock.advance(TIMEOUT_MS - 1);
    await first().end();
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1']);
    expect(token(first())).toBe(before);
  });

  test('finds its signal aborted if it asks for the signal late', async () => {
    a = await cluster.pod('A', limited());
    await a.add('1', 0);
    await cluster.clock.advance(TIMEOUT_MS);
    expect(first().context.signal.aborted).toBe(true);
  });

  test('is given up if it does not settle: its attempt fails, and the next job starts under a newer token', async () => {
    a = await cluster.pod('A', limited());
    await a.add('1', 0, 1, 2);
    const zombie = first();
    await cluster.clock.advance(GIVEN_UP_MS - 1);
    expect(cluster.starts).toEqual(['A:1:0']);
    await cluster.clock.advance(1 + CLAIM_MS);
    expect(failed()).toEqual([0]);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1']);
    expectNewTokens(token(zombie), cluster.running.slice(1));
    expect(a.events.filter(({ type }) => type === 'job.failed')).toMatchObject([
      { attempt: 1, durationMs: GIVEN_UP_MS, reason: expect.stringMatching(/handlerTimeoutMs \(5000\)/) },
    ]);
    // The result that it returns later is ignored.
    await zombie.end();
    expect(cluster.starts).toHaveLength(2);
    await last().end();
    await last().end();
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1', 'A:1:2']);
    expect(failed()).toEqual([0]);
  });

  test('is retried before the jobs behind it if attempts are left', async () => {
    a = await cluster.pod('A', limited());
    const job = { entityType: 'account', entityId: '1', name: 'withdraw', options: { attempts: 2 } };
    await a.engine.enqueue({ ...job, data: { n: 0 } });
    await a.add('1', 1);
    const zombie = first();
    await cluster.clock.advance(GIVEN_UP_MS + CLAIM_MS);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:0']);
    expectNewTokens(token(zombie), [last()]);
    await last().end();
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:0', 'A:1:1']);
    expect(failed()).toEqual([]);
  });

  test('passes the error to a caller that waits for it', async () => {
    a = await cluster.pod('A', limited());
    const waits = a.call('1', 0, { timeoutMs: 60_000 });
    const error = waits.catch(reason => reason);
    await settle();
    await cluster.clock.advance(GIVEN_UP_MS + CLAIM_MS);
    expect(await error).toMatchObject({ code: 'HANDLER_FAILED', originalCode: 'HANDLER_TIMEOUT' });
  });
});

describe('nothing starts under the token of a handler that was given up', () => {
  test.each(['lose', 'drop', 'refuse'] as const)('when the response to the end of its job is lost (%s)', async how => {
    a = await cluster.pod('A', limited());
    await a.add('1', 0, 1, 2);
    const zombie = first();
    a.store.next('finish', how);
    await cluster.clock.advance(GIVEN_UP_MS + 2 * CLAIM_MS);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1']);
    expectNewTokens(token(zombie), cluster.running.slice(1));
  });

  test('when the response to the release is lost', async () => {
    a = await cluster.pod('A', limited());
    await a.add('1', 0, 1, 2);
    const zombie = first();
    a.store.next('release', 'lose');
    await cluster.clock.advance(GIVEN_UP_MS + CLAIM_MS + LEASE_MS);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1']);
    expectNewTokens(token(zombie), cluster.running.slice(1));
  });

  test('when its own pod adds a job during the release', async () => {
    a = await cluster.pod('A', limited());
    await a.add('1', 0);
    const zombie = first();
    await cluster.clock.advance(GIVEN_UP_MS);
    await a.add('1', 1);
    await cluster.clock.advance(CLAIM_MS);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1']);
    expectNewTokens(token(zombie), cluster.running.slice(1));
  });

  test('when another pod gets the entity next', async () => {
    a = await cluster.pod('A', limited());
    await a.add('1', 0, 1);
    const zombie = first();
    await cluster.pod('B', limited());
    await cluster.clock.advance(LEASE_MS);
    await cluster.clock.advance(GIVEN_UP_MS + CLAIM_MS - LEASE_MS);
    expect(cluster.starts).toHaveLength(2);
    expectNewTokens(token(zombie), cluster.running.slice(1));
  });

  test('when other jobs of the entity run: they end first, and nothing is fetched meanwhile', async () => {
    cluster.atOnce = 4;
    a = await cluster.pod('A', limited({ workerConfig: { concurrency: 2 } }));
    await a.add('1', 0);
    const zombie = first();
    await cluster.clock.advance(TIMEOUT_MS / 2);
    await a.add('1', 1, 2, 3);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1']);
    await cluster.clock.advance(GIVEN_UP_MS - TIMEOUT_MS / 2 + CLAIM_MS - STOP_GRACE_MS);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1']);
    await cluster.job(1).end();
    await cluster.clock.advance(CLAIM_MS);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1', 'A:1:2', 'A:1:3']);
    expectNewTokens(token(zombie), cluster.running.slice(1));
  });

  test('when it was a shared read: a write waits for the other reads, and has a newer token', async () => {
    cluster.shared = ['read'];
    a = await cluster.pod('A', limited(), ['*', 'read']);
    await a.addNamed('read', '1', 0);
    const zombie = first();
    await cluster.clock.advance(TIMEOUT_MS / 2);
    await a.addNamed('read', '1', 1);
    await a.add('1', 2);
    await cluster.clock.advance(GIVEN_UP_MS - TIMEOUT_MS / 2);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1']);
    await cluster.job(1).end();
    await cluster.clock.advance(CLAIM_MS);
    expect(cluster.starts).toEqual(['A:1:0', 'A:1:1', 'A:1:2']);
    expectNewTokens(token(zombie), cluster.running.slice(1));
  });

  test('when it was a batch: all its jobs fail, or are retried together', async () => {
    a = await cluster.pod('A', limited(), [], { withdraw: { max: 2, maxWaitMs: 10 } });
    await a.add('1', 0, 1, 2);
    await cluster.clock.advance(10);
    const [zombie] = cluster.runningBatches;
    await cluster.clock.advance(GIVEN_UP_MS + CLAIM_MS);
    expect(failed()).toEqual([0, 1]);
    expect(cluster.batches).toEqual(['A:1:0,1', 'A:1:2']);
    expect(BigInt(cluster.runningBatches.at(-1)?.context.fencingToken ?? 0)).toBeGreaterThan(
      BigInt(zombie?.context.fencingToken ?? 0),
    );
  });
});

describe('a step before the handler', () => {
  test('has the same limit: a validator that hangs fails only its job', async () => {
    const isChecked = gate<never>();
    const beforeRun = (value: unknown) => ((value as { n: number }).n === 0 ? isChecked.promise : { value });
    const validator = { atEnqueue: (value: unknown) => ({ value }), beforeRun };
    a = await cluster.pod('A', limited(), [], { withdraw: { max: 2, maxWaitMs: 10, validator } });
    await a.add('1', 0, 1);
    await cluster.clock.advance(10 + GIVEN_UP_MS);
    expect(cluster.batches).toEqual(['A:1:1']);
    await cluster.runningBatches[0]?.end();
    expect(failed()).toEqual([0]);
    isChecked.fail(new Error('too late'));
    await cluster.clock.advance(CLAIM_MS);
    expect(failed()).toEqual([0]);
  });

  test("does not use up the handler's time while it waits for a valid lease", async () => {
    const isChecked = gate<{ value: unknown }>();
    const validator = { atEnqueue: (value: unknown) => ({ value }), beforeRun: () => isChecked.promise };
    a = await cluster.pod('A', limited(), [], { withdraw: { max: 1, validator } });
    await a.add('1', 0);
    a.store.break('refuse');
    await cluster.clock.advance(LEASE_MS);
    isChecked.open({ value: { n: 0 } });
    await cluster.clock.advance(3 * GIVEN_UP_MS);
    expect(cluster.batches).toEqual([]);
    expect(a.events.filter(({ type }) => type === 'job.failed')).toEqual([]);
  });
});

describe('the timer of a run', () => {
  test('does not exist without the option, and the run has no limit', async () => {
    a = await cluster.pod('A');
    const before = cluster.clock.pendingTimers;
    await a.add('1', 0);
    expect(cluster.clock.pendingTimers).toBe(before);
    await cluster.clock.advance(20 * TIMEOUT_MS);
    expect(first().context.signal.aborted).toBe(false);
    expect(cluster.starts).toEqual(['A:1:0']);
  });

  test('is cleared when the run has ended', async () => {
    a = await cluster.pod('A', limited());
    await a.add('1', 0);
    await first().end();
    const before = cluster.clock.pendingTimers;
    await a.add('1', 1);
    expect(cluster.clock.pendingTimers).toBe(before + 1);
    await first().fail();
    expect(cluster.clock.pendingTimers).toBe(before);
  });
});

test('a pod closes without waiting for a handler that was given up', async () => {
  a = await cluster.pod('A', limited());
  await a.add('1', 0);
  await cluster.clock.advance(GIVEN_UP_MS + CLAIM_MS);
  let isClosed = false;
  void a.engine.close().then(() => {
    isClosed = true;
  });
  await settle();
  expect(isClosed).toBe(true);
});
