/** I11: what an operator does to a great many jobs at once is not felt by the others, and is true although pods die meanwhile. */
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AtomicQueuesModule, EntityQueues, QueueBus } from '../../src/index.js';
import { plantJobs, plantLetters } from '../support/plant.js';
import { FAULT_MS, isFull, now, PODS, Scene, SILENCE_MS } from '../support/scene.js';
import { eventually } from '../support/wait.js';
import { worstPing } from '../support/worst-ping.js';

const DROPPED = isFull ? 1_000_000 : 10_000;
const LETTERS = isFull ? 100_000 : 2000;
/** So many jobs take their time, since all of them run. */
const LONG_MS = isFull ? 900_000 : FAULT_MS;
/** A tenth of the default lease; nothing is promised of a machine that runs all other tests. */
const STILL_MS = isFull ? 300 : 3000;

/** An operator's process, which works nothing. */
async function operating(scene: Scene, body: (queues: EntityQueues, bus: QueueBus) => Promise<void>): Promise<void> {
  @Module({ imports: [AtomicQueuesModule.forRoot({ redis: { url: scene.redis.url }, keyPrefix: scene.prefix })] })
  class Operator {}
  const app = await NestFactory.createApplicationContext(Operator, { logger: false });
  try {
    await body(app.get(EntityQueues), app.get(QueueBus));
  } finally {
    await app.close();
  }
}

const othersOf = (scene: Scene) => scene.runs().filter(({ entityId }) => scene.entities.includes(entityId));

test(
  `${DROPPED} jobs of a busy entity are dropped while its pod is killed: none begins later, and the others go on`,
  () =>
    Scene.run({ pods: PODS, entities: 30 }, scene =>
      operating(scene, async (queues, bus) => {
        const runsOfBig = () => scene.runs().filter(({ entityId }) => entityId === 'big');
        const enqueue = (n: number) =>
          bus.enqueueJob({ entityType: 'account', entityId: 'big', name: 'work', data: { n } });
        await plantJobs(scene.admin, scene.key('big'), DROPPED);
        await enqueue(0);
        scene.produce();
        await scene.underWay();
        await eventually('the large one is worked', () => runsOfBig().length > 20, FAULT_MS);
        const startedAt = now();
        const { worstMs } = await worstPing(scene.redis.url, async () => {
          const dropping = queues.of('account', 'big').drop();
          await eventually(
            'all has left the queue',
            async () => !(await scene.admin.exists(scene.key('big', ':wait'))),
          );
          await scene.pods.kill(scene.podOf('big') ?? '');
          await dropping;
        });
        const endedAt = now();
        for (const n of [9_000_001, 9_000_002, 9_000_003]) await enqueue(n);
        await eventually('what was enqueued later runs', () => runsOfBig().some(({ n }) => n === 9_000_003), FAULT_MS);
        await scene.pods.start();
        await scene.stopProducing();
        await scene.allDone();
        const runs = runsOfBig().toSorted((a, b) => Number(a.start - b.start));
        // What ran as the pod was killed had started: it runs again if the pod had named it in its answer to the recall.
        const begun = new Set(runs.filter(({ start }) => start < endedAt).map(({ n }) => n));
        const late = runs.filter(({ start, n }) => start > endedAt && !begun.has(n));
        expect(late.map(({ n }) => n)).toEqual([9_000_001, 9_000_002, 9_000_003]);
        const left = (await scene.admin.keys(scene.key('big', ':*'))).map(key => key.slice(scene.key('big').length));
        expect(left.filter(key => !/^:(\$:worker|events|id|meta|marker|stalled.*)$/.test(key))).toEqual([]);
        const verdict = scene.verdict(othersOf(scene));
        expect(verdict).toMatchObject({ overlaps: [], disorder: [], missing: [], wrongReruns: [], fallingTokens: [] });
        scene.report(`drop of ${DROPPED} jobs beside 30 entities`, {
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
  `${LETTERS} dead letters are replayed beside 30 entities`,
  () =>
    Scene.run({ pods: PODS, entities: 30 }, scene =>
      operating(scene, async queues => {
        await plantLetters(scene.admin, `${scene.prefix}:$:dead:account`, LETTERS, 100);
        scene.produce();
        await scene.underWay();
        const startedAt = now();
        const { worstMs, result } = await worstPing(scene.redis.url, () => queues.deadLetters('account').replayAll());
        const endedAt = now();
        expect(result).toBe(LETTERS);
        await scene.hasWorkedSince(endedAt);
        await scene.stopProducing();
        await scene.allDone(LONG_MS);
        for (let e = 0; e < 100; e++) {
          const starts = scene
            .runs()
            .filter(({ entityId }) => entityId === `dead${e}`)
            .toSorted((a, b) => Number(a.start - b.start));
          const numbers = starts.map(({ n }) => n);
          expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
        }
        const verdict = scene.verdict(othersOf(scene));
        expect(verdict).toMatchObject({
          overlaps: [],
          disorder: [],
          missing: [],
          wrongReruns: [],
          fallingTokens: [],
          reruns: 0,
        });
        scene.report(`replay of ${LETTERS} dead letters beside 30 entities`, {
          'worst PING ms': Math.round(worstMs),
          'took ms': Math.round(Number(endedAt - startedAt) / 1e6),
          'silent ms': Math.round(scene.silenceAfter(startedAt)),
        });
        expect(worstMs).toBeLessThan(STILL_MS);
        expect(scene.silenceAfter(startedAt)).toBeLessThan(2 * SILENCE_MS);
      }),
    ),
  LONG_MS,
);
