/**
 * Whatever happens, in whichever order: the starts of an entity are those of the model (I5, I6), one at a time (I1). Random
 * sequences of enqueues, ends, failures, crashes, pauses and decisions; a failing one is shrunk to the shortest that fails.
 * `PROPERTY_RUNS=n` runs more, `SEED=n` repeats.
 */
import fc from 'fast-check';
import type { OnExhausted } from '../../src/core/options.js';
import { collapsed, type Decision, expectedStarts, type JobSpec, startsOf } from '../support/property/model.js';
import { World } from '../support/property/world.js';

const ENTITIES = ['a', 'b'];
const entity = fc.constantFrom(...ENTITIES);
const spec: fc.Arbitrary<Omit<JobSpec, 'n'>> = fc.record({
  fails: fc.nat(3),
  attempts: fc.integer({ min: 1, max: 3 }),
  backoffMs: fc.constantFrom(0, 40, 1500),
  delayMs: fc.oneof({ weight: 6, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constantFrom(30, 900) }),
  decisions: fc.array(fc.constantFrom<Decision>('retry', 'skip', 'drop'), { maxLength: 3 }),
});

/** What is done, and how it reads when it has failed. */
type Command = readonly [name: string, run: (world: World) => Promise<void>];

const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(entity, spec, fc.nat(3)).map(enqueues) },
  { weight: 8, arbitrary: entity.map((id): Command => [`end ${id}`, world => world.end(id)]) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(20, 400, 1600).map((ms): Command => [`pass ${ms}`, world => world.pass(ms)]),
  },
  { weight: 1, arbitrary: fc.nat(3).map((pod): Command => [`crash ${pod}`, world => world.crash(pod)]) },
  { weight: 1, arbitrary: entity.map((id): Command => [`pause ${id}`, world => world.pause(id, true)]) },
  { weight: 1, arbitrary: entity.map((id): Command => [`resume ${id}`, world => world.pause(id, false)]) },
  { weight: 1, arbitrary: entity.map((id): Command => [`decide ${id}`, world => world.decide(id)]) },
);

function enqueues([id, spec, pod]: [string, Omit<JobSpec, 'n'>, number]): Command {
  return [`enqueue ${id} ${JSON.stringify(spec)}`, world => world.enqueue(id, spec, pod)];
}

async function keepsTheOrder(world: World, commands: readonly Command[], onExhausted: OnExhausted): Promise<void> {
  try {
    for (const [, run] of commands) await run(world);
    await world.calm();
    expect(world.faults).toEqual([]);
    for (const [id, specs] of world.specs) {
      const isLate = new Set(specs.filter(({ delayMs }) => delayMs > 0).map(({ n }) => n));
      const starts = world.started.get(id) ?? [];
      const ordered = starts.filter(n => !isLate.has(n));
      const blocks = onExhausted === 'block';
      expect({ id, starts: collapsed(ordered) }).toEqual({ id, starts: collapsed(expectedStarts(specs, blocks)) });
      for (const job of specs) {
        const times = starts.filter(n => n === job.n).length;
        if (!world.touched.has(`${id}#${job.n}`))
          expect({ id, n: job.n, times }).toEqual({ id, n: job.n, times: startsOf(job, blocks) });
        // All tries of a job come one after the other, also of one for later.
        expect(collapsed(starts).filter(n => n === job.n)).toEqual([job.n]);
      }
    }
  } finally {
    await world.close();
  }
}

function property(make: (onExhausted: OnExhausted) => Promise<World>, most: number) {
  const sequence = fc.array(command, { minLength: 1, maxLength: most });
  const policy = fc.constantFrom<OnExhausted>('skip', 'block', 'deadLetter');
  return fc.asyncProperty(sequence, policy, async (commands, onExhausted) =>
    keepsTheOrder(await make(onExhausted), commands, onExhausted),
  );
}

const parameters = (numRuns: number) => ({
  numRuns: Number(process.env['PROPERTY_RUNS'] ?? numRuns),
  ...(process.env['SEED'] !== undefined && { seed: Number(process.env['SEED']) }),
});

describe('the order of starts is that of the model', () => {
  test('in memory', () => fc.assert(property(World.inMemory, 40), parameters(1000)), 300_000);

  test('on Redis', () => fc.assert(property(World.onRedis, 25), { ...parameters(8), endOnFailure: true }), 300_000);
});
