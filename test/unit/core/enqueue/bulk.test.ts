/** Bulks whose jobs have ids or keys: no job of a bulk is dropped as the duplicate of another one (I10). */
import type { JobOptions } from '../../../../src/core/model/job.js';
import { resolveOptions } from '../../../../src/core/options/resolve.js';
import { MemoryPods } from '../../../support/memory-pods.js';

const request = (entityId: string, n: number, options: JobOptions) => ({
  entityType: 'account',
  entityId,
  name: 'withdraw',
  data: { n },
  options,
});

describe('a bulk', () => {
  let cluster: MemoryPods;
  beforeEach(() => {
    cluster = new MemoryPods();
  });
  afterEach(() => cluster.close());

  test.each<[string, JobOptions]>([
    ['jobId', { jobId: 'x' }],
    ['deduplication', { deduplication: { id: 'x' } }],
    ['idempotencyKey', { idempotencyKey: 'x' }],
  ])('with one %s for two jobs of an entity is refused, and nothing is added', async (name, options) => {
    const a = await cluster.pod('a');
    const bulk = [request('2', 0, {}), request('1', 1, options), request('1', 2, options)];
    const refused = {
      code: 'INVALID_OPTION',
      message: expect.stringMatching(new RegExp(`account:1.*${name}.*Nothing`)),
    };
    await expect(a.engine.enqueueBulk(bulk)).rejects.toMatchObject(refused);
    expect(a.store.calls).not.toContain('add');
  });

  test('may use one id for jobs of different entities, and different ids for jobs of one entity', async () => {
    const a = await cluster.pod('a', { producerOnly: true });
    const added = await a.engine.enqueueBulk([
      request('1', 1, { jobId: 'x' }),
      request('2', 2, { jobId: 'x', deduplication: { id: 'x' } }),
      request('1', 3, { jobId: 'y' }),
      request('1', 4, { idempotencyKey: 'x' }),
      request('1', 5, {}),
      request('1', 6, {}),
    ]);
    expect(new Set(added.map(({ entityId, jobId }) => `${entityId}/${jobId}`)).size).toBe(6);
    expect(await a.engine.control.status({ type: 'account', id: '1' })).toMatchObject({ waiting: 5 });
  });

  test('returns the earlier job for a job whose id is already known', async () => {
    const a = await cluster.pod('a', { producerOnly: true });
    const [first] = await a.engine.enqueueBulk([request('1', 1, { idempotencyKey: 'x' })]);
    const [again, other] = await a.engine.enqueueBulk([request('1', 2, { idempotencyKey: 'x' }), request('1', 3, {})]);
    expect(again?.jobId).toBe(first?.jobId);
    expect(other?.jobId).not.toBe(first?.jobId);
  });
});

test.each([{ jobId: 'x' }, { deduplication: { id: 'x' } }])('defaultJobOptions cannot have %p', defaultJobOptions => {
  const refused = { code: 'INVALID_OPTION', message: expect.stringMatching(/defaultJobOptions.*duplicates/) };
  expect(() => resolveOptions({ defaultJobOptions })).toThrow(expect.objectContaining(refused));
  expect(() => resolveOptions({ entities: { account: { defaultJobOptions } } })).toThrow(
    expect.objectContaining(refused),
  );
});
