/** I11: an operator's action on a great many jobs at once does not slow the others, and takes full effect even if pods die meanwhile. */
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AtomicQueuesModule, EntityQueues, QueueBus } from '../../src/index.js';
import { FAULT_MS, FaultScenario, now, PODS, SILENCE_MS } from '../support/fault-scenario.js';
import { plantJobs, plantLetters } from '../support/plant.js';
import { isFull } from '../support/test-length.js';
import { eventually } from '../support/wait.js';
import { worstPing } from '../support/worst-ping.js';

const DROPPED = isFull ? 1_000_000 : 10_000;
const LETTERS = isFull ? 100_000 : 2000;
/** This many jobs run for a while, because all of them run. */
const LONG_MS = isFull ? 900_000 : FAULT_MS;
/** A tenth of the default lease. No limit applies on a machine that also runs all other tests. */
const STILL_MS = isFull ? 300 : 3000;

/** An operator's process, which works nothing. */
async function operating(
  scenario: FaultScenario,
  body: (queues: EntityQueues, bus: QueueBus) => Promise<void>,
): Promise<void> {
  @Module({ imports: [AtomicQueuesModule.forRoot({ redis: { url: scenario.redis.url }, keyPrefix: scenario.prefix })] })
  class Operator {}
  const app = await NestFactory.createApplicationContext(Operator, { logger: false });
  try {
    await body(app.get(EntityQueues), app.get(QueueBus));
  } finally {
    await app.close();
  }
}

const othersOf = (scenario: FaultScenario) =>
  scenario.runs().filter(({ entityId }) => scenario.entities.includes(entityId));

test(
  `${DROPPED} jobs of a busy entity are dropped while its pod is killed: none starts later, and the others go on`,
  () =>
    FaultScenario.run({ pods: PODS, entities: 30 }, scenario =>
      operating(scenario, async (queues, bus) => {
        const runsOfBig = () => scenario.runs().filter(({ entityId }) => entityId === 'big');
        const enqueue = (n: number) =>
          bus.enqueueJob({ entityType: 'account', entityId: 'big', name: 'work', data: { n } });
        await plantJobs(scenario.admin, scenario.key('big'), DROPPED);
        await enqueue(0);
        await scenario.putUnderLoad();
        await eventually('the large one is worked', () => runsOfBig().length > 20, FAULT_MS);
        const startedAt = now();
        const { worstMs } = await worstPing(scenario.redis.url, async () => {
          const dropping = queues.of('account', 'big').drop();
          await eventually(
            'all has left the queue',
            async () => !(await scenario.admin.exists(scenario.key('big', ':wait'))),
          );
          await scenario.pods.kill(scenario.podOf('big') ?? '');
          await dropping;
        });
        const endedAt = now();
        for (const n of [9_000_001, 9_000_002, 9_000_003]) await enqueue(n);
        await eventually('what was enqueued later runs', () => runsOfBig().some(({ n }) => n === 9_000_003), FAULT_MS);
        await scenario.pods.start();
        await scenario.finishLoad();
        const runs = runsOfBig().toSorted((a, b) => Number(a.start - b.start));
        // Jobs that ran when the pod was killed had started. They run again if the pod had named them in its response to the recall.
        const begun = new Set(runs.filter(({ start }) => start < endedAt).map(({ n }) => n));
        const late = runs.filter(({ start, n }) => start > endedAt && !begun.has(n));
        expect(late.map(({ n }) => n)).toEqual([9_000_001, 9_000_002, 9_000_003]);
        const left = (await scenario.admin.keys(scenario.key('big', ':*'))).map(key =>
          key.slice(scenario.key('big').length),
        );
        expect(left.filter(key => !/^:(\$:worker|events|id|meta|marker|stalled.*)$/.test(key))).toEqual([]);
        const verdict = scenario.verdict(othersOf(scenario));
        expect(verdict).toMatchObject({ overlaps: [], disorder: [], missing: [], wrongReruns: [], fallingTokens: [] });
        scenario.report(`drop of ${DROPPED} jobs beside 30 entities`, {
          'worst PING ms': Math.round(worstMs),
          'took ms': Math.round(Number(endedAt - startedAt) / 1e6),
          reruns: verdict.reruns,
        });
        expect(worstMs).toBeLessThan(STILL_MS);
      }),
    ),
  LONG_MS,
);

test(
  `${LETTERS} dead letters are replayed while 30 entities work`,
  () =>
    FaultScenario.run({ pods: PODS, entities: 30 }, scenario =>
      operating(scenario, async queues => {
        await plantLetters(scenario.admin, `${scenario.prefix}:$:dead:account`, LETTERS, 100);
        await scenario.putUnderLoad();
        const startedAt = now();
        const { worstMs, result } = await worstPing(scenario.redis.url, () =>
          queues.deadLetters('account').replayAll(),
        );
        const endedAt = now();
        expect(result).toBe(LETTERS);
        await scenario.hasWorkedSince(endedAt);
        await scenario.finishLoad(LONG_MS);
        for (let e = 0; e < 100; e++) {
          const starts = scenario
            .runs()
            .filter(({ entityId }) => entityId === `dead${e}`)
            .toSorted((a, b) => Number(a.start - b.start));
          const numbers = starts.map(({ n }) => n);
          expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
        }
        const verdict = scenario.verdict(othersOf(scenario));
        expect(verdict).toMatchObject({
          overlaps: [],
          disorder: [],
          missing: [],
          wrongReruns: [],
          fallingTokens: [],
          reruns: 0,
        });
        scenario.report(`replay of ${LETTERS} dead letters beside 30 entities`, {
          'worst PING ms': Math.round(worstMs),
          'took ms': Math.round(Number(endedAt - startedAt) / 1e6),
          'silent ms': Math.round(scenario.silenceAfter(startedAt)),
        });
        expect(worstMs).toBeLessThan(STILL_MS);
        expect(scenario.silenceAfter(startedAt)).toBeLessThan(2 * SILENCE_MS);
      }),
    ),
  LONG_MS,
);
