/**
 * A random walk over the protocol: several pods on one server in memory, and all events that can happen to them, in any order.
 * After each step the walk checks the invariants of docs/protocol.md, as far as they are visible from outside.
 *
 * Each run has other walks. It prints its seeds: `SEED=n` repeats one walk exactly; `WALK_STEPS=n` walks longer.
 */

import { lengthOf } from '../support/test-length.js';
import { Actions } from '../support/walk/actions.js';
import { calm } from '../support/walk/final-check.js';
import { MemoryCluster } from '../support/walk/memory-cluster.js';
import { walkFromSeeds, withOwnJitter } from '../support/walk/seeds.js';

const STEPS = lengthOf('WALK_STEPS', 25_000, 100_000);
const STEPS_OF_A_WALK = 200;

describe('a random walk over the protocol, in memory', () => {
  const walk = (seed: number) =>
    withOwnJitter(seed, async () => {
      const cluster = new MemoryCluster(seed);
      const actions = new Actions(cluster);
      await actions.begin();
      for (let step = 0; step < STEPS_OF_A_WALK; step++) await actions.step();
      await calm(cluster);
    });

  test('keeps every invariant', async () => {
    await walkFromSeeds('memory walk', Math.ceil(STEPS / STEPS_OF_A_WALK), STEPS_OF_A_WALK, walk);
  }, 600_000);
});
