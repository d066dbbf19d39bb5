/** BullMQ's errors of flow control, which a worker cannot obey: thrown by one handler or by a batch, from this copy of BullMQ or another. */
import vm from 'node:vm';
import { DelayedError, RateLimitError, WaitingChildrenError, WaitingError } from 'bullmq';
import type { HandlerError } from '../../../../src/core/calls/call-errors.js';
import { failureOf } from '../../../../src/core/run/flow-control.js';
import { settle } from '../../../support/clock.js';
import { MemoryPods } from '../../../support/memory-pods.js';

class Busy extends RateLimitError {}

const ERRORS: [string, unknown, RegExp][] = [
  ['RateLimitError', new RateLimitError(), /rateLimit.*attempts and a backoff/],
  ['RateLimitError', new Busy('too many'), /rateLimit/],
  ['DelayedError', new DelayedError(), /attempts and a backoff.*with a delay/],
  ['WaitingError', new WaitingError(), /another job/],
  ['WaitingChildrenError', new WaitingChildrenError(), /enqueueFlow/],
  ['RateLimitError', vm.runInNewContext(`new (class RateLimitError extends Error {})('x')`), /rateLimit/],
];

describe("BullMQ's errors of flow control", () => {
  let cluster: MemoryPods;
  beforeEach(() => {
    cluster = new MemoryPods();
  });
  afterEach(() => cluster.close());
  const reasons = () => cluster.stored().failed.map(({ outcome }) => String(outcome?.value));

  test.each(ERRORS)(
    '%s fails the attempt with a typed error that says what to do: %#',
    async (name, thrown, remedy) => {
      const a = await cluster.pod('a');
      cluster.returns = () => {
        throw thrown;
      };
      const call = a.call('1', 1).catch((error: HandlerError) => error);
      await settle();
      expect(await call).toMatchObject({ originalName: 'UnsupportedError', originalCode: 'UNSUPPORTED' });
      expect((await call) as HandlerError).toMatchObject({ cause: { message: expect.any(String) } });
      expect(reasons()).toEqual([expect.stringContaining(`BullMQ's ${name}`)]);
      expect(reasons()[0]).toMatch(remedy);
      expect(a.log.lines.join()).toContain(`BullMQ's ${name}`);
    },
  );

  test('a job with attempts left is retried after its backoff', async () => {
    const a = await cluster.pod('a', { defaultJobOptions: { attempts: 2, backoff: 5000 } });
    cluster.returns = () => {
      if (cluster.starts.length === 1) throw new RateLimitError();
    };
    await a.add('1', 1);
    await cluster.clock.advance(4000);
    expect(cluster.starts).toHaveLength(1);
    await cluster.clock.advance(2000);
    expect(cluster.starts).toHaveLength(2);
    expect(reasons()).toEqual([]);
    expect(a.log.lines.join()).toContain("BullMQ's RateLimitError");
  });

  test('a batch that throws one fails as a whole, and a BatchFailure that names one fails its job', async () => {
    cluster.instant = false;
    const a = await cluster.pod('a', {}, ['single'], { withdraw: { max: 2, maxWaitMs: 1000 } });
    await a.add('1', 1, 2);
    await cluster.batch.fail(new DelayedError());
    expect(reasons()).toEqual([expect.stringContaining('DelayedError'), expect.stringContaining('DelayedError')]);
    await a.add('1', 3, 4);
    await cluster.batch.failSome({ 3: new RateLimitError() });
    expect(reasons()).toHaveLength(3);
    expect(reasons().join()).toContain('rateLimit');
  });

  test('do not affect any other error', () => {
    for (const thrown of [new Error('RateLimitError'), 'RateLimitError', undefined, { code: 'DelayedError' }])
      expect(failureOf(thrown)).toBe(thrown);
  });
});
