/** The steps before a handler may take longer than a lease (I2). */
import { settle } from '../../../support/clock.js';
import { MemoryPods } from '../../../support/memory-pods.js';
import { gate } from '../../../support/wait.js';

test('I2: no handler starts after a slow validator under a lease that has passed', async () => {
  const cluster = new MemoryPods();
  const held = gate();
  let first = true;
  const beforeRun = async (value: unknown) => {
    if (first) {
      first = false;
      await held.promise;
    }
    return { value };
  };
  const validator = { atEnqueue: (value: unknown) => ({ value }), beforeRun };
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
  const held = gate();
  const beforeRun = async (value: unknown) => {
    await held.promise;
    return { value };
  };
  const validator = { atEnqueue: (value: unknown) => ({ value }), beforeRun };
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
