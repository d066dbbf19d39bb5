/**
 * In any order of events, the starts of an entity are those of the model (I5, I6), one at a time (I1). Random
 * sequences of enqueues, ends, failures, crashes, pauses and decisions; a failing one is shrunk to the shortest that fails.
 * `PROPERTY_RUNS=n` runs more, `SEED=n` repeats.
 */
import fc from 'fast-check';
import type { OnExhausted } from '../../src/core/options/options.js';
import { collapsed, type Decision, expectedStarts, type JobSpec, lifeOf } from '../support/property/model.js';
import { type LosableStep, World } from '../support/property/world.js';
import { lengthOf } from '../support/test-length.js';

const ENTITIES = ['a', 'b'];
const entity = fc.constantFrom(...ENTITIES);
const spec: fc.Arbitrary<Omit<JobSpec, 'n'>> = fc.record({
  fails: fc.nat(3),
  attempts: fc.integer({ min: 1, max: 3 }),
  backoffMs: fc.constantFrom(0, 40, 1500),
  delayMs: fc.oneof({ weight: 6, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constantFrom(30, 900) }),
  decisions: fc.array(fc.constantFrom<Decision>('retry', 'skip', 'drop'), { maxLength: 3 }),
});

const step = fc.constantFrom<LosableStep>('add', 'tryClaim', 'resync', 'take', 'finish', 'giveBack', 'release');

/** The action, and its description in a failure. */
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
  { weight: 1, arbitrary: entity.map((id): Command => [`drop ${id}`, world => world.drop(id)]) },
  {
    weight: 1,
    arbitrary: fc.boolean().map((how): Command => [`pause all ${how}`, world => world.pauseType(how)]),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.nat(3), step)
      .map(([pod, step]): Command => [`lose ${pod} ${step}`, async world => world.lose(pod, step)]),
  },
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
      const starts = world.started.get(id) ?? [];
      const left = specs.filter(({ n }) => !world.dropped.has(`${id}#${n}`));
      const inOrder = new Set(left.filter(({ delayMs }) => delayMs === 0).map(({ n }) => n));
      const blocks = onExhausted === 'block';
      const ordered = collapsed(starts.filter(n => inOrder.has(n)));
      expect({ id, starts: ordered }).toEqual({ id, starts: collapsed(expectedStarts(left, blocks)) });
      const exhausted = await world.exhausted(id, onExhausted);
      for (const job of left) {
        // All attempts of a job follow one another, also of a delayed one.
        expect(collapsed(starts).filter(n => n === job.n)).toEqual([job.n]);
        if (world.touched.has(`${id}#${job.n}`)) continue;
        const { starts: times, end } = lifeOf(job, blocks);
        const is = {
          id,
          n: job.n,
          times: starts.filter(n => n === job.n).length,
          exhausted: exhausted.filter(n => n === job.n).length,
        };
        expect(is).toEqual({ id, n: job.n, times, exhausted: end === 'exhausted' ? 1 : 0 });
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

const parameters = (short: number, full: number) => ({
  numRuns: lengthOf('PROPERTY_RUNS', short, full),
  ...(process.env['SEED'] !== undefined && { seed: Number(process.env['SEED']) }),
});

describe('the order of starts equals the model', () => {
  test('in memory', () => fc.assert(property(World.inMemory, 40), parameters(200, 1000)), 300_000);

  test('on Redis', () => fc.assert(property(World.onRedis, 25), { ...parameters(4, 8), endOnFailure: true }), 300_000);
});
