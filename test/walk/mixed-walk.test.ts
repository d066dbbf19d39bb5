/**
 * A random walk with all kinds of jobs: writes, shared reads, batches, jobs that only new pods know, several handlers at once, limits
 * of time and of capacity, and operators that recall jobs. It holds the worker to I1, I4, I5, I6, I7, I8 and race 39, and to its table
 * of transitions: an illegal one is logged as an error, which ends the walk.
 *
 * Other walks in every run. It prints its seeds: `SEED=n` repeats one walk exactly; `WALKS=n` makes more.
 */
import { Random } from '../support/random.js';
import { calm, MixedActions } from '../support/walk/mixed-actions.js';
import { MixedCluster } from '../support/walk/mixed-cluster.js';

const STEPS = 200;

describe('a random walk with jobs of all kinds', () => {
  const { random } = Math;
  afterEach(() => {
    Math.random = random;
  });

  async function walk(seed: number): Promise<number> {
    // The core asks Math.random for jitter.
    const jitter = new Random(seed ^ 0x5eed);
    Math.random = () => jitter.next();
    const cluster = new MixedCluster(seed);
    const actions = new MixedActions(cluster);
    for (let i = 0; i < 2; i++) await cluster.start();
    for (let step = 0; step < STEPS; step++) await actions.step();
    await calm(cluster);
    return cluster.starts;
  }

  test('a random walk with jobs of all kinds keeps every invariant', async () => {
    const given = process.env['SEED'];
    const first = Number(given ?? (Date.now() % 1_000_000) * 1000);
    const walks = given === undefined ? Number(process.env['WALKS'] ?? 40) : 1;
    process.stdout.write(`mixed walk: ${walks} walks of ${STEPS} steps, seeds from ${first}\n`);
    let starts = 0;
    for (let i = 0; i < walks; i++) starts += await walk(first + i);
    expect(starts).toBeGreaterThan(walks);
  }, 600_000);
});
