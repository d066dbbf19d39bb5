/** Outages of Redis under handlers that outlast them: a silence of all pods costs no living pod its claims. */
import { FAULT_MS, FaultScenario, inFull, lasts, now, PODS, SILENCE_MS, TTL } from '../support/fault-scenario.js';
import { isFull } from '../support/test-length.js';
import { eventually } from '../support/wait.js';

const ENTITIES = isFull ? 30 : 10;
/** Longer than the outage and the grace after it. */
const HANDLER_MS = TTL * 10_000;
const LEASE_MS = TTL * 1000;

type Outage = (scenario: FaultScenario, ms: number) => Promise<void>;

const pause: Outage = async (scenario, ms) => {
  await scenario.admin.client('PAUSE', ms, 'ALL');
  // The response arrives when the pause is over.
  await scenario.admin.ping();
};

const freeze: Outage = async (scenario, ms) => {
  await scenario.redis.signal('SIGSTOP');
  await lasts(ms);
  await scenario.redis.signal('SIGCONT');
  await scenario.admin.ping();
};

/** Every entity has a job that runs, and one that waits. */
async function longJobs(body: (scenario: FaultScenario) => Promise<void>, handlerMs = HANDLER_MS): Promise<void> {
  await FaultScenario.run({ pods: PODS, entities: ENTITIES, settings: { HANDLER_MS_MAX: '1' } }, async scenario => {
    for (const entityId of scenario.entities) {
      await scenario.enqueue(entityId, { ms: handlerMs });
      await scenario.enqueue(entityId);
    }
    await eventually('every entity runs its job', () => scenario.runs().length === ENTITIES, 60_000);
    await body(scenario);
  });
}

async function failedJobs(scenario: FaultScenario): Promise<number> {
  const counts = await Promise.all(
    scenario.entities.map(entityId => scenario.admin.zcard(scenario.key(entityId, ':failed'))),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

/** How many jobs started again although the pod that ran them lived. */
function secondStarts(scenario: FaultScenario): number {
  const first = new Map<string, string>();
  let again = 0;
  for (const { entityId, n, pod } of scenario.runs()) {
    const name = `${entityId}#${n}`;
    const before = first.get(name);
    if (before === undefined) first.set(name, pod);
    else if (!scenario.pods.deaths.has(before)) again++;
  }
  return again;
}

async function expectNoHarm(
  scenario: FaultScenario,
  what: string,
  figures: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  await scenario.allDone(HANDLER_MS + 60_000);
  const harm = { 'second starts': secondStarts(scenario), 'jobs that failed': await failedJobs(scenario) };
  scenario.expectClean(what, { ...harm, ...figures });
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
        async scenario => {
          for (const part of leases) {
            await scenario.during(() => outage(scenario, part * LEASE_MS));
            // All are heard again before the next one.
            await scenario.allKnown();
          }
          await expectNoHarm(scenario, what);
        },
        Math.max(HANDLER_MS, 1.5 * Math.max(...leases) * LEASE_MS),
      ),
    FAULT_MS,
  );
});

test(
  'the entities of a pod that is killed during an outage go on within two leases after it, and the others never stop',
  () =>
    longJobs(async scenario => {
      const [victim = ''] = scenario.pods.workingPods;
      const orphans = scenario.entities.filter(entityId => scenario.podOf(entityId) === victim);
      expect(orphans.length).toBeGreaterThan(0);
      const over = await scenario.during(async () => {
        const outage = freeze(scenario, 3 * LEASE_MS);
        await scenario.pods.kill(victim);
        await outage;
        return now();
      });
      await scenario.hasWorkedSince(over, orphans);
      const longestMs = Math.max(...orphans.map(entityId => msUntilStart(scenario, entityId, over)));
      await expectNoHarm(scenario, 'a pod killed during an outage of 3 leases', {
        orphans: orphans.length,
        'longest silence after it ms': longestMs,
      });
      expect(longestMs).toBeLessThanOrEqual(isFull ? 2 * LEASE_MS : SILENCE_MS);
    }),
  FAULT_MS,
);

function msUntilStart(scenario: FaultScenario, entityId: string, since: bigint): number {
  const run = scenario.runs().find(({ entityId: id, start }) => id === entityId && start > since);
  return Math.round(Number((run?.start ?? now()) - since) / 1e6);
}
