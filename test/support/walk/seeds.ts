/** Seeds of random walks: each run has others and prints them, and `SEED=n` repeats one walk exactly. */
import { Random } from '../random.js';

/** Makes that many walks of new seeds, or the one of `SEED`. */
export async function walkFromSeeds(
  name: string,
  walks: number,
  stepsOfAWalk: number,
  walk: (seed: number) => Promise<void>,
): Promise<void> {
  const given = process.env['SEED'];
  if (given !== undefined) return walk(Number(given));
  const first = (Date.now() % 1_000_000) * 1000;
  process.stdout.write(`${name}: ${walks} walks of ${stepsOfAWalk} steps, seeds from ${first}\n`);
  for (let i = 0; i < walks; i++) await walk(first + i);
}

/** The core calls Math.random for jitter: it gets a source of its own, so that it does not change the walk. */
export async function withOwnJitter(seed: number, walk: () => Promise<void>): Promise<void> {
  const { random } = Math;
  const jitter = new Random(seed ^ 0x5eed);
  Math.random = () => jitter.next();
  try {
    await walk();
  } finally {
    Math.random = random;
  }
}
