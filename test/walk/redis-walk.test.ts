/**
 * A random walk over the steps of the protocol on real Redis: the checkers of the store in memory check the scripts.
 * `SEED=n` repeats one walk; `REDIS_WALK_STEPS=n` walks longer than the default.
 */

import { lengthOf } from '../support/test-length.js';
import { RedisActions } from '../support/walk/redis-actions.js';
import { RedisWalk } from '../support/walk/redis-walk.js';
import { walkFromSeeds } from '../support/walk/seeds.js';

const STEPS = lengthOf('REDIS_WALK_STEPS', 1500, 4000);
const STEPS_OF_A_WALK = 500;

describe('a random walk over the protocol, on Redis', () => {
  async function walk(seed: number): Promise<void> {
    const run = new RedisWalk(seed);
    try {
      const actions = new RedisActions(run);
      await actions.begin();
      for (let step = 0; step < STEPS_OF_A_WALK; step++) await actions.step();
      await actions.finish();
    } finally {
      await run.cluster.close();
    }
  }

  test('keeps every invariant', async () => {
    await walkFromSeeds('redis walk', Math.ceil(STEPS / STEPS_OF_A_WALK), STEPS_OF_A_WALK, walk);
  }, 600_000);
});
