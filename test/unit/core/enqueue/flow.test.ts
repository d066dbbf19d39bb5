/** Which flows are valid, and the ids of their jobs, before any store call. */

import { asTree, type FlowOf, planFlow } from '../../../../src/core/enqueue/flow.js';
import { InvalidCommandError, InvalidOptionError } from '../../../../src/core/model/errors.js';
import type { JobOptions, NewJob } from '../../../../src/core/model/job.js';
import { resolveOptions } from '../../../../src/core/options/resolve.js';
import { settle } from '../../../support/clock.js';
import { MemoryPods } from '../../../support/memory-pods.js';
import { withdrawal } from '../../../support/settlements.js';

interface Asked {
  readonly name: string;
  readonly options: JobOptions;
}

const config = resolveOptions({});
const flow = (id: string, children: readonly FlowOf<Asked>[] = [], options: JobOptions = {}): FlowOf<Asked> => ({
  job: { name: id, options },
  children: () => children,
});
const check = ({ name, options }: Asked): NewJob => ({
  ...withdrawal(config, { type: 'account', id: name }, { n: 0 }, options),
  name,
});

test("parents come before their children, whose ids are made from the parent's id", () => {
  const plan = planFlow(flow('a', [flow('b', [flow('c')]), flow('d')], { jobId: 'x' }), check);
  expect(plan.id).toBe('x');
  expect(plan.jobs.map(({ job, path, parent, isParent }) => [job.name, path, parent, isParent])).toEqual([
    ['a', '', undefined, true],
    ['b', '.0', 0, true],
    ['c', '.0.0', 1, false],
    ['d', '.1', 0, false],
  ]);
  expect(plan.jobs.map(({ job }) => job.envelope?.children?.map(({ id, jobId }) => [id, jobId]))).toEqual([
    [
      ['b', 'x.0'],
      ['d', 'x.1'],
    ],
    [['c', 'x.0.0']],
    undefined,
    undefined,
  ]);
  const tree = asTree(
    plan,
    plan.jobs.map(({ job: { name } }) => ({ name })),
  );
  expect(tree).toEqual({
    name: 'a',
    children: [
      { name: 'b', children: [{ name: 'c', children: [] }] },
      { name: 'd', children: [] },
    ],
  });
});

test('each flow without an id of its own gets a new one', () => {
  expect(planFlow(flow('a'), check).id).not.toBe(planFlow(flow('a'), check).id);
});

test.each([
  [flow('a', [flow('b', [], { jobId: 'x' })]), InvalidOptionError],
  [flow('a', [flow('b', [], { idempotencyKey: 'x' })]), InvalidOptionError],
  [flow('a', [], { deduplication: { id: 'x' } }), InvalidOptionError],
  [{ ...flow('a'), onFailure: 'tellParent' } as const, InvalidOptionError],
  [flow('a', [{ ...flow('b'), onFailure: 'other' as 'tellParent' }]), InvalidOptionError],
  [flow('a', Array(1000).fill(flow('b'))), InvalidCommandError],
])('an invalid flow is refused (%#)', (asked, error) => {
  expect(() => planFlow(asked, check)).toThrow(error);
});

test('a flow that contains itself is refused at the bound', () => {
  const endless: FlowOf<Asked> = { job: { name: 'a', options: {} }, children: () => [endless, endless] };
  expect(() => planFlow(endless, check)).toThrow(/more than 1000 jobs/);
});

describe('a flow on a pod', () => {
  let pods: MemoryPods;
  beforeEach(() => {
    pods = new MemoryPods();
  });
  afterEach(() => pods.close());

  test('needs no worker for an entity whose only job waits for children, and gets one when the last child has ended', async () => {
    const a = await pods.pod('a');
    pods.instant = false;
    const job = (entityId: string, n: number) => ({ entityType: 'account', entityId, name: 'withdraw', data: { n } });
    const leaf = (entityId: string, n: number) => ({ job: job(entityId, n), children: () => [] });
    await a.engine.enqueueFlow({ job: job('up', 0), children: () => [leaf('1', 1), leaf('2', 2)] });
    await settle();
    expect(pods.starts.sort()).toEqual(['a:1:1', 'a:2:2']);
    expect(pods.server.entities.get('account:up')?.owner).toBeUndefined();
    await pods.job(1).end();
    expect(pods.starts).toHaveLength(2);
    await pods.job(2).end();
    await pods.clock.advance(1000);
    expect(pods.starts.at(-1)).toBe('a:up:0');
    await pods.job(0).end();
    expect(await a.engine.control.status({ type: 'account', id: 'up' })).toMatchObject({ waiting: 0, active: 0 });
  });

  test('holds no workers if it is refused', async () => {
    const a = await pods.pod('a', { entities: { account: { maxPending: 1 } } });
    const leaf = (entityId: string) => ({
      job: { entityType: 'account', entityId, name: 'withdraw', data: { n: 0 } },
      children: () => [],
    });
    const refused = a.engine.enqueueFlow({ ...leaf('up'), children: () => [leaf('1'), leaf('2'), leaf('2')] });
    await expect(refused).rejects.toMatchObject({ code: 'BACKLOG_FULL', entityId: '2' });
    await settle();
    expect(pods.starts).toEqual([]);
    expect([...pods.server.entities.values()].filter(({ owner }) => owner)).toEqual([]);
  });
});
