/** Outages of Redis under handlers that outlast them: a silence of all pods costs no living pod its claims. */
import { FAULT_MS, inFull, isFull, lasts, now, PODS, Scene, SILENCE_MS, TTL } from '../support/scene.js';
import { eventually } from '../support/wait.js';

const ENTITIES = isFull ? 30 : 10;
/** Longer than the outage and the grace after it. */
const HANDLER_MS = TTL * 10_000;
const LEASE_MS = TTL * 1000;

type Outage = (scene: Scene, ms: number) => Promise<void>;

const pause: Outage = async (scene, ms) => {
  await scene.admin.client('PAUSE', ms, 'ALL');
  // Answered when the pause is over.
  await scene.admin.ping();
};

const freeze: Outage = async (scene, ms) => {
  await scene.redis.signal('SIGSTOP');
  await lasts(ms);
  await scene.redis.signal('SIGCONT');
  await scene.admin.ping();
};

/** Every entity has a job that runs, and one that waits. */
async function longJobs(body: (scene: Scene) => Promise<void>, handlerMs = HANDLER_MS): Promise<void> {
  await Scene.run({ pods: PODS, entities: ENTITIES, settings: { HANDLER_MS_MAX: '1' } }, async scene => {
    for (const entityId of scene.entities) {
      await scene.enqueue(entityId, { ms: handlerMs });
      await scene.enqueue(entityId);
    }
    await eventually('every entity runs its job', () => scene.runs().length === ENTITIES, 60_000);
    await body(scene);
  });
}

async function failedJobs(scene: Scene): Promise<number> {
  const counts = await Promise.all(scene.entities.map(entityId => scene.admin.zcard(scene.key(entityId, ':failed'))));
  return counts.reduce((sum, count) => sum + count, 0);
}

/** How many jobs started again although the pod that ran them lived. */
function secondStarts(scene: Scene): number {
  const first = new Map<string, string>();
  let again = 0;
  for (const { entityId, n, pod } of scene.runs()) {
    const name = `${entityId}#${n}`;
    const before = first.get(name);
    if (before === undefined) first.set(name, pod);
    else if (!scene.pods.deaths.has(before)) again++;
  }
  return again;
}

async function expectNoHarm(
  scene: Scene,
  what: string,
  figures: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  await scene.allDone(HANDLER_MS + 60_000);
  const harm = { 'second starts': secondStarts(scene), 'jobs that failed': await failedJobs(scene) };
  scene.expectClean(what, { ...harm, ...figures });
  expect(harm).toEqual({ 'second starts': 0, 'jobs that failed': 0 });
}

describe.each<[string, Outage, readonly number[]]>([
  ['CLIENT PAUSE', pause, [0.5]],
  ['CLIENT PAUSE', pause, [1]],
  ['CLIENT PAUSE', pause, [1.5, 1.5]],
  ['CLIENT PAUSE', pause, [3]],
  ['CLIENT PAUSE', pause, [10]],
  ['SIGSTOP of Redis', freeze, [1.5]],
  ['SIGSTOP of Redis', freeze, [3]],
  ['SIGSTOP of Redis', freeze, [10]],
])('%s', (name, outage, leases) => {
  const what = `${name} of ${leases.join(' and then ')} leases`;
  const perform = leases.length === 2 || (name !== 'CLIENT PAUSE' && leases[0] === 3) ? test : inFull;
  perform(
    `${what}: no job of a living pod starts again, and none fails`,
    () =>
      longJobs(
        async scene => {
          for (const part of leases) {
            await scene.during(() => outage(scene, part * LEASE_MS));
            // All are heard again before the next one.
            await scene.allKnown();
          }
          await expectNoHarm(scene, what);
        },
        Math.max(HANDLER_MS, 1.5 * Math.max(...leases) * LEASE_MS),
      ),
    FAULT_MS,
  );
});

test(
  'a pod that is killed during an outage: its entities go on within two leases after it, those of the others never stopped',
  () =>
    longJobs(async scene => {
      const [victim = ''] = scene.pods.workingPods;
      const orphans = scene.entities.filter(entityId => scene.podOf(entityId) === victim);
      expect(orphans.length).toBeGreaterThan(0);
      const over = await scene.during(async () => {
        const outage = freeze(scene, 3 * LEASE_MS);
        await scene.pods.kill(victim);
        await outage;
        return now();
      });
      await scene.hasWorkedSince(over, orphans);
      const longestMs = Math.max(...orphans.map(entityId => msUntilStart(scene, entityId, over)));
      await expectNoHarm(scene, 'a pod killed during an outage of 3 leases', {
        orphans: orphans.length,
        'longest silence after it ms': longestMs,
      });
      expect(longestMs).toBeLessThanOrEqual(isFull ? 2 * LEASE_MS : SILENCE_MS);
    }),
  FAULT_MS,
);

function msUntilStart(scene: Scene, entityId: string, since: bigint): number {
  const run = scene.runs().find(({ entityId: id, start }) => id === entityId && start > since);
  return Math.round(Number((run?.start ?? now()) - since) / 1e6);
}
