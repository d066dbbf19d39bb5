/** Bulks and flows by their size: one step is bounded, and a large bulk is encoded in slices (I11). */
import { MAX_STEP_BYTES } from '../../../../src/core/model/bounds.js';
import { settle } from '../../../support/clock.js';
import { MemoryPods } from '../../../support/memory-pods.js';

describe('the size of an enqueue', () => {
  let cluster: MemoryPods;
  beforeEach(() => {
    cluster = new MemoryPods();
  });
  afterEach(() => cluster.close());

  const request = (n: number, bytes = 0, entityId = '1') => ({
    entityType: 'account',
    entityId,
    name: 'withdraw',
    data: { n, text: 'x'.repeat(bytes) },
  });
  const many = (count: number, bytes: number) => Array.from({ length: count }, (_, n) => request(n, bytes));
  const bounded = { entities: { account: { maxPending: 10_000 } } };
  const tooLarge = {
    code: 'STEP_TOO_LARGE',
    maxBytes: MAX_STEP_BYTES,
    message: expect.stringMatching(/4194304.*Nothing was written/),
  };

  test('of a bulk of a type with maxPending is at most one step, or it is refused before anything is sent', async () => {
    const a = await cluster.pod('a', bounded);
    await expect(a.engine.enqueueBulk(many(30, 200_000))).rejects.toMatchObject(tooLarge);
    expect(a.store.calls.filter(call => call.startsWith('add'))).toEqual([]);
    expect(await a.engine.enqueueBulk(many(15, 200_000))).toHaveLength(15);
  });

  test("of a bulk is at most one step even if only the last job's type has maxPending", async () => {
    const a = await cluster.pod('a', { entities: { bounded: { maxPending: 10_000 } } });
    const last = { ...request(30, 200_000), entityType: 'bounded' };
    await expect(a.engine.enqueueBulk([...many(30, 200_000), last])).rejects.toMatchObject(tooLarge);
    expect(a.store.calls.filter(call => call.startsWith('add'))).toEqual([]);
  });

  test('of a flow is at most one step, or it is refused before anything is sent', async () => {
    const a = await cluster.pod('a');
    const flow = (children: number) => ({
      job: request(0),
      children: () =>
        Array.from({ length: children }, (_, n) => ({ job: request(n, 200_000, `c${n}`), children: () => [] })),
    });
    await expect(a.engine.enqueueFlow(flow(30))).rejects.toMatchObject(tooLarge);
    expect(a.store.calls.filter(call => call.startsWith('add'))).toEqual([]);
    expect((await a.engine.enqueueFlow(flow(15))).children).toHaveLength(15);
  });

  test('of a bulk does not matter for the event loop, which stays free, nor for its order; later enqueues do not overtake it', async () => {
    const a = await cluster.pod('a');
    let turns = 0;
    const ticker = setInterval(() => turns++, 0);
    const bulk = a.engine.enqueueBulk(many(60, 200_000));
    const one = a.engine.enqueue(request(60));
    const two = a.engine.enqueueBulk([request(61), request(62)]);
    const three = a.engine.enqueueBulk(many(10, 200_000).map(({ data }, n) => request(63 + n, data.text.length)));
    const four = a.engine.enqueue(request(73));
    await settle();
    expect(await bulk).toHaveLength(60);
    await Promise.all([one, two, three, four]);
    clearInterval(ticker);
    expect(turns).toBeGreaterThan(3);
    await settle();
    expect(cluster.starts).toEqual(Array.from({ length: 74 }, (_, n) => `a:1:${n}`));
  });

  test('of a bulk does not matter for the enqueues behind it, which go on if one job is invalid and the bulk is refused', async () => {
    const a = await cluster.pod('a');
    const bulk = a.engine.enqueueBulk([...many(20, 200_000), { ...request(20), data: { bad: 1n } }]);
    const next = a.engine.enqueue(request(21));
    await expect(bulk).rejects.toMatchObject({ code: 'UNSERIALIZABLE_DATA' });
    await next;
    await settle();
    expect(cluster.starts).toEqual(['a:1:21']);
  });

  test('of a small bulk causes no delay: it is sent in the turn of its call', async () => {
    const a = await cluster.pod('a');
    const bulk = a.engine.enqueueBulk(many(3, 10));
    expect(a.count('add')).toBe(3);
    await bulk;
  });

  test('is bounded by maxPayloadBytes and maxResultBytes, which are bounded themselves', async () => {
    for (const name of ['maxPayloadBytes', 'maxResultBytes']) {
      await expect(cluster.pod('a', { [name]: 8 * 1024 * 1024 + 1 })).rejects.toMatchObject({
        code: 'INVALID_OPTION',
        message: expect.stringMatching(/at most 8388608/),
      });
    }
  });

  test('is bounded for names and ids of jobs', async () => {
    const a = await cluster.pod('a');
    const enqueue = (asked: object) => a.engine.enqueue({ ...request(1), ...asked });
    await expect(enqueue({ name: 'x'.repeat(257) })).rejects.toMatchObject({
      code: 'INVALID_COMMAND',
      message: expect.stringMatching(/257 characters; at most 256/),
    });
    await expect(enqueue({ options: { jobId: 'x'.repeat(1025) } })).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    await expect(enqueue({ options: { idempotencyKey: 'x'.repeat(1025) } })).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringMatching(/1025 characters; at most 1024/),
    });
    const schedule = { id: 'x'.repeat(1025), every: 1000 };
    await expect(a.engine.schedule(request(1), schedule)).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    await enqueue({ name: 'x'.repeat(256) });
  });
});
