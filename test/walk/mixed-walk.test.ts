/**
 * A random walk with all kinds of jobs: writes, shared reads, batches, jobs that only new pods know, several handlers at once, limits
 * of time and of capacity, and operators that recall jobs. It holds the worker to I1, I4, I5, I6, I7, I8 and race 39, and to its table
 * of transitions: an illegal one is logged as an error, which ends the walk.
 *
 * Other walks in every run. It prints its seeds: `SEED=n` repeats one walk exactly; `WALKS=n` makes more.
 */
import { calm, MixedActions } from '../support/walk/mixed-actions.js';
import { MixedCluster } from '../support/walk/mixed-cluster.js';
import { walkFromSeeds, withOwnJitter } from '../support/walk/seeds.js';

const STEPS = 200;

describe('a random walk with jobs of all kinds', () => {
  let walked = 0;
  let starts = 0;

  const walk = (seed: number) =>
    withOwnJitter(seed, async () => {
      const cluster = new MixedCluster(seed);
      const actions = new MixedActions(cluster);
      for (let i = 0; i < 2; i++) await cluster.start();
      for (let step = 0; step < STEPS; step++) await actions.step();
      await calm(cluster);
      walked++;
      starts += cluster.starts;
    });

  test('a random walk with jobs of all kinds keeps every invariant', async () => {
    await walkFromSeeds('mixed walk', Number(process.env['WALKS'] ?? 40), STEPS, walk);
    expect(starts).toBeGreaterThan(walked);
  }, 600_000);
});
