/**
 * A random walk over schedules, on both stores: each schedule goes on after any actions of an operator and the pods.
 * `SEED=n` repeats one walk; `SCHEDULE_WALK_STEPS=n` walks longer than the default on Redis, and twenty times as long in memory.
 */
import { ManualClock } from '../support/clock.js';
import { createMemoryStores } from '../support/memory-stores.js';
import { RedisCluster } from '../support/redis-cluster.js';
import { lengthOf } from '../support/test-length.js';
import { ScheduleActions } from '../support/walk/schedule-actions.js';
import { LEASE_MS } from '../support/walk/schedule-checker.js';
import { calm } from '../support/walk/schedule-final-check.js';
import { ScheduleWalk, type Stage } from '../support/walk/schedule-walk.js';
import { walkFromSeeds } from '../support/walk/seeds.js';

const STEPS = lengthOf('SCHEDULE_WALK_STEPS', 400, 1000);
const STEPS_OF_A_WALK = 80;

async function memoryStage(): Promise<Stage> {
  const clock = new ManualClock();
  return {
    cluster: await createMemoryStores(LEASE_MS, clock),
    nowMs: () => clock.wallMs(),
    pausesMs: [1, 10, 1000, 3000],
  };
}

async function redisStage(): Promise<Stage> {
  return { cluster: new RedisCluster(), nowMs: Date.now, pausesMs: [1, 1, 1, 5, 5, 10, 10, 10, 40, 600] };
}

describe('a random walk over schedules', () => {
  async function walk(stage: Stage, seed: number): Promise<void> {
    const run = new ScheduleWalk(stage, seed);
    try {
      const actions = new ScheduleActions(run);
      await actions.begin();
      for (let step = 0; step < STEPS_OF_A_WALK; step++) await actions.step();
      await calm(run);
    } catch (error) {
      // An error that no call of the walk expects. Violations that were found before it come first.
      run.violate(`I10: ${error}`);
      run.throwIfViolated();
    } finally {
      await stage.cluster.close();
    }
  }

  test.each([
    ['in memory', memoryStage, 20 * STEPS],
    ['on Redis', redisStage, STEPS],
  ])(
    'keeps every invariant %s',
    async (where, createStage, steps) => {
      const walks = Math.ceil(steps / STEPS_OF_A_WALK);
      const walkOn = async (seed: number) => walk(await createStage(), seed);
      await walkFromSeeds(`schedule walk ${where}`, walks, STEPS_OF_A_WALK, walkOn);
    },
    600_000,
  );
});
