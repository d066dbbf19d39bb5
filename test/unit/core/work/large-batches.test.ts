/** A batch of large jobs is fetched in parts, and is still one batch (I11). */
import { MemoryPods } from '../../../support/memory-pods.js';

test.each([10, 200_000])('a batch has all jobs at hand, in one fetch or in several: %d bytes each', async bytes => {
  const cluster = new MemoryPods();
  try {
    cluster.instant = false;
    const a = await cluster.pod('a', {}, ['single'], { withdraw: { max: 12 } });
    const add = (name: string, n: number) => {
      const data = { n, text: 'x'.repeat(name === 'withdraw' ? bytes : 0) };
      return a.engine.enqueue({ entityType: 'account', entityId: '1', name, data });
    };
    await add('single', 0);
    await cluster.clock.advance(0);
    for (let n = 1; n <= 12; n++) await add('withdraw', n);
    await cluster.job(0).end();
    await cluster.clock.advance(0);
    expect(cluster.batch.ns).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  } finally {
    await cluster.close();
  }
});
