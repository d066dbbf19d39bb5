/**
 * A random walk over the protocol: several pods on one server in memory, and all events that can happen to them, in any order.
 * After each step the walk checks the invariants of docs/protocol.md, as far as they are visible from outside.
 *
 * Each run has other walks. It prints its seeds: `SEED=n` repeats one walk exactly; `WALK_STEPS=n` walks longer.
 */

import { Random } from '../support/random.js';
import { lengthOf } from '../support/test-length.js';
import { Actions } from '../support/walk/actions.js';
import { calm } from '../support/walk/final-check.js';
import { MemoryCluster } from '../support/walk/memory-cluster.js';

const STEPS = lengthOf('WALK_STEPS', 25_000, 100_000);
const STEPS_OF_A_WALK = 200;
const FIRST_SEED = (Date.now() % 1_000_000) * 1000;

describe('a random walk over the protocol, in memory', () => {
  const { random } = Math;
  afterEach(() => {
    Math.random = random;
  });

  /** The core calls Math.random for jitter: it gets a source of its own, so that it does not change the walk. */
  async function walk(seed: number): Promise<void> {
    const jitter = new Random(seed ^ 0x5eed);
    Math.random = () => jitter.next();
    const cluster = new MemoryCluster(seed);
    const actions = new Actions(cluster);
    await actions.begin();
    for (let step = 0; step < STEPS_OF_A_WALK; step++) await actions.step();
    await calm(cluster);
  }

  test('keeps every invariant', async () => {
    const given = process.env['SEED'];
    if (given !== undefined) return walk(Number(given));
    const walks = Math.ceil(STEPS / STEPS_OF_A_WALK);
    process.stdout.write(`memory walk: ${walks} walks of ${STEPS_OF_A_WALK} steps, seeds from ${FIRST_SEED}\n`);
    for (let i = 0; i < walks; i++) await walk(FIRST_SEED + i);
  }, 600_000);
});
