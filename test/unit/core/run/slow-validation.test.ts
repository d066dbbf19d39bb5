/** The steps before a handler may take longer than a lease (I2). */
import { settle } from '../../../support/clock.js';
import { heldValidator } from '../../../support/held-validator.js';
import { MemoryPods } from '../../../support/memory-pods.js';

test('I2: no handler starts after a slow validator under a lease that has passed', async () => {
  const cluster = new MemoryPods();
  const { held, validator } = heldValidator();
  const a = await cluster.pod('a', {}, ['*'], { withdraw: { max: 1, validator } });
  await a.add('1', 1);
  await cluster.pod('b', {}, ['*'], { withdraw: { max: 1, validator } });
  a.store.break('refuse');
  await cluster.clock.advance(10_000);
  expect(cluster.batches).toEqual(['b:1:1']);
  held.open();
  await settle();
  expect(cluster.batches).toEqual(['b:1:1']);
  a.store.mend();
  await cluster.close();
});

test('I2: a handler whose lease was renewed late starts then, in the same attempt', async () => {
  const cluster = new MemoryPods();
  const { held, validator } = heldValidator();
  const a = await cluster.pod('a', {}, ['*'], { withdraw: { max: 1, validator } });
  await a.add('1', 1);
  a.store.break('refuse');
  await cluster.clock.advance(10_000);
  held.open();
  await settle();
  expect(cluster.batches).toEqual([]);
  a.store.mend();
  await cluster.clock.advance(2000);
  expect(cluster.batches).toEqual(['a:1:1']);
  await cluster.close();
});
