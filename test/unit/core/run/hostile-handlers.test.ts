/**
 * Nothing that a handler throws or returns breaks its worker: each attempt fails or completes once, and the entity goes on. By
 * property: one job, batches, shared reads, and calls that wait for a result.
 */
import fc from 'fast-check';
import { BatchFailure } from '../../../../src/core/model/job-errors.js';
import { settle } from '../../../support/clock.js';
import { returned, thrown } from '../../../support/hostile.js';
import { MemoryPods, type Pod } from '../../../support/memory-pods.js';

const RUNS = { numRuns: Number(process.env['PROPERTY_RUNS'] ?? 60) };

/** What a handler does: it throws, returns, or returns a promise that does. */
const deed = fc.oneof(
  thrown.map(make => ({
    act: () => {
      throw make();
    },
  })),
  returned.map(make => ({ act: make })),
  thrown.map(make => ({ act: () => Promise.reject(make()) })),
);

async function inCluster(options: Partial<MemoryPods>, run: (cluster: MemoryPods) => Promise<void>): Promise<void> {
  const cluster = Object.assign(new MemoryPods(), options);
  try {
    await run(cluster);
  } finally {
    await cluster.close();
  }
}

/** Each of the first three ends, and so does one more job that is enqueued after them. */
async function expectToGoOn(cluster: MemoryPods, pod: Pod, ended: number): Promise<void> {
  await settle();
  const ends = () => pod.events.filter(({ type }) => type === 'job.completed' || type === 'job.failed').length;
  expect(ends()).toBe(ended);
  expect(pod.log.lines.filter(line => line.startsWith('error'))).toEqual([]);
  cluster.returns = () => undefined;
  cluster.inBatch = () => undefined;
  await pod.addNamed('single', '1', 99);
  await cluster.clock.advance(2000);
  expect(ends()).toBe(ended + 1);
}

test('one job: every attempt ends once, and its caller gets a reply', async () => {
  await fc.assert(
    fc.asyncProperty(deed, ({ act }) =>
      inCluster({}, async cluster => {
        const a = await cluster.pod('a');
        cluster.returns = act;
        const call = a.call('1', 1).then(
          () => 'answered',
          error => (['HANDLER_FAILED', 'RESULT_UNAVAILABLE'].includes(error.code) ? 'answered' : error),
        );
        await a.add('1', 2, 3);
        await settle();
        expect(await Promise.race([call, settle().then(() => 'silence')])).toBe('answered');
        expect(cluster.starts).toEqual(['a:1:1', 'a:1:2', 'a:1:3']);
        await expectToGoOn(cluster, a, 3);
      }),
    ),
    RUNS,
  );
});

test("one job: an error uses up exactly the job's attempts", async () => {
  await fc.assert(
    fc.asyncProperty(thrown, make =>
      inCluster({}, async cluster => {
        const a = await cluster.pod('a', { defaultJobOptions: { attempts: 3 } });
        cluster.returns = () => {
          throw make();
        };
        await a.add('1', 1);
        await cluster.clock.advance(2000);
        expect(cluster.starts).toEqual(['a:1:1', 'a:1:1', 'a:1:1']);
        await expectToGoOn(cluster, a, 1);
      }),
    ),
    RUNS,
  );
});

test('batches: the handler throws or returns any value, for the whole batch or for single jobs', async () => {
  const some = fc.tuple(thrown, thrown).map(([one, two]) => ({
    act: (jobs: readonly { id: string }[]) => {
      throw new BatchFailure([
        { job: jobs[0] ?? {}, error: one() },
        { job: jobs[1] ?? {}, error: two() },
      ]);
    },
  }));
  const named = thrown.map(make => ({
    act: () => {
      throw new BatchFailure([{ job: { id: make() as string }, error: 'no job of it' }]);
    },
  }));
  const entries = fc.array(thrown, { minLength: 1, maxLength: 3 }).map(makes => ({
    act: () => {
      throw Object.assign(new Error('by hand'), { code: 'BATCH_FAILURE', failures: makes.map(make => make()) });
    },
  }));
  const results = fc
    .array(returned, { minLength: 3, maxLength: 3 })
    .map(makes => ({ act: () => makes.map(make => make()) }));
  await fc.assert(
    fc.asyncProperty(fc.oneof(deed, some, named, entries, results), ({ act }) =>
      inCluster({ instant: false }, async cluster => {
        const a = await cluster.pod('a', {}, ['single'], { withdraw: { max: 3, maxWaitMs: 1000 } });
        await a.add('1', 1, 2, 3);
        const { batch } = cluster;
        cluster.inBatch = () => act(batch.jobs);
        cluster.instant = true;
        await batch.end();
        await expectToGoOn(cluster, a, 3);
      }),
    ),
    RUNS,
  );
});

test('shared reads: each ends, whichever value the other reads throw or return', async () => {
  await fc.assert(
    fc.asyncProperty(deed, ({ act }) =>
      inCluster({ shared: ['withdraw'], instant: false }, async cluster => {
        const a = await cluster.pod('a', {}, ['withdraw', 'single']);
        cluster.returns = act;
        await a.add('1', 1, 2, 3);
        cluster.instant = true;
        for (const n of [2, 3, 1]) await cluster.job(n).end();
        await expectToGoOn(cluster, a, 3);
      }),
    ),
    RUNS,
  );
});

test('a batch completes even if its results cannot be read: its work is done', async () => {
  await inCluster({ instant: false }, async cluster => {
    const a = await cluster.pod('a', {}, ['single'], { withdraw: { max: 2, maxWaitMs: 1000 } });
    await a.add('1', 1, 2);
    const { proxy, revoke } = Proxy.revocable([], {});
    revoke();
    await cluster.batch.end(new Proxy([1, 2], { get: (of, name) => (name === '0' ? proxy : Reflect.get(of, name)) }));
    expect(a.events.filter(({ type }) => type === 'job.completed')).toHaveLength(2);
  });
});

test('I11: the results of a batch are bounded together; results beyond the bound are withheld, and their jobs complete', async () => {
  await inCluster({ instant: false }, async cluster => {
    const a = await cluster.pod('a', { maxResultBytes: 4_000_000 }, ['single'], {
      withdraw: { max: 3, maxWaitMs: 1000 },
    });
    const results = ['x'.repeat(3_000_000), 'y'.repeat(3_000_000), 'z'];
    const calls = [1, 2, 3].map(n => a.call('1', n).catch(error => `${error.code} ${error.message}`));
    await settle();
    await cluster.batch.end(results);
    const [first, second, third] = await Promise.all(calls);
    expect(first).toHaveLength(3_000_000);
    expect(second).toMatch(/^RESULT_UNAVAILABLE .*3000002 bytes.*4194304.*batch/);
    expect(third).toBe('z');
    expect(a.events.filter(({ type }) => type === 'job.completed')).toHaveLength(3);
  });
});
