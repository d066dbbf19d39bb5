/** Faults of Redis: restarts, pauses, lost scripts and connections, keys that an operator deleted. */
import { DurableRedis } from '../support/durable-redis.js';
import { FAULT_MS, FaultScenario, inFull, lasts, now, PODS, SILENCE_MS, TTL } from '../support/fault-scenario.js';
import { eventually } from '../support/wait.js';

describe.each([
  ['everysec', 1],
  ['everysec', 6],
  ['everysec', 12],
  ['always', 1],
  ['always', 6],
  ['always', 12],
] as const)('a crash of Redis with appendfsync %s', (fsync, seconds) => {
  inFull(
    `${seconds} s down under load: no acknowledged job is lost`,
    async () => {
      const server = new DurableRedis(fsync);
      const redis = await server.start();
      try {
        await FaultScenario.run({ pods: PODS, redis }, async scenario => {
          await scenario.putUnderLoad();
          await scenario.during(async () => {
            await server.crash();
            await lasts(seconds * 1000);
            await server.start();
          });
          const back = now();
          await scenario.expectRecovery(`Redis crashes, ${fsync}, ${seconds} s down`, back);
        });
      } finally {
        await server.end();
      }
    },
    FAULT_MS,
  );
});

test(
  'CLIENT PAUSE for longer than the lease: no job starts meanwhile under an expired claim, and work goes on',
  () =>
    FaultScenario.run({ pods: PODS }, async scenario => {
      await scenario.putUnderLoad();
      const pauseMs = TTL * 1500;
      await scenario.during(async () => {
        await scenario.admin.client('PAUSE', pauseMs, 'ALL');
        await scenario.admin.ping();
      });
      const over = now();
      await scenario.expectRecovery(`CLIENT PAUSE of ${pauseMs} ms`, over);
    }),
  FAULT_MS,
);

test(
  'SCRIPT FLUSH under load, 20 times: nothing runs twice, and a refused caller learns that nothing was added',
  () =>
    FaultScenario.run({ pods: PODS }, async scenario => {
      await scenario.putUnderLoad(10);
      for (let round = 1; round <= 20; round++) {
        const before = scenario.runs().length;
        await scenario.during(() => scenario.admin.script('FLUSH', 'SYNC'));
        await eventually('work goes on', () => scenario.runs().length > before + scenario.entities.length);
      }
      await scenario.finishLoad();
      const { reruns } = scenario.expectClean('SCRIPT FLUSH, 20 times');
      expect({ reruns, unsure: scenario.unsure.size }).toEqual({ reruns: 0, unsure: 0 });
      expect([...scenario.refused.keys()].filter(code => code !== 'STORE_UNAVAILABLE')).toEqual([]);
    }),
  FAULT_MS,
);

describe.each(['wake-ups', 'heartbeat', 'commands', 'all'])('CLIENT KILL of connections (%s)', role => {
  const perform = role === 'all' ? test : inFull;
  perform(
    `5 times under load: made anew, nothing is lost`,
    () =>
      FaultScenario.run({ pods: PODS }, async scenario => {
        await scenario.putUnderLoad();
        let killed = 0;
        const silences: number[] = [];
        for (let round = 1; round <= 5; round++) {
          const from = now();
          await eventually('all are connected', async () => (await connectionsOf(scenario, role)).length >= PODS);
          killed += await scenario.during(() => killConnections(scenario, role));
          await scenario.hasWorkedSince(from);
          silences.push(scenario.silenceAfter(from));
        }
        await scenario.finishLoad();
        scenario.expectClean(`CLIENT KILL of ${role} connections, 5 times`, {
          killed,
          'longest silence ms': Math.max(...silences),
        });
        expect(killed).toBeGreaterThanOrEqual(5 * PODS);
        expect(Math.max(...silences)).toBeLessThanOrEqual(SILENCE_MS);
      }),
    FAULT_MS,
  );
});

test(
  'the hash of a waiting job is deleted by hand: that job fails, and its entity goes on',
  () =>
    FaultScenario.run({ pods: PODS, entities: 2 }, async scenario => {
      const first = await scenario.enqueue('e0', { ms: 300 });
      await eventually('the first runs', () => scenario.runs().length > 0);
      const lost: string[] = [];
      for (let i = 0; i < 6; i++) await scenario.enqueue('e0', { ms: 10 });
      await scenario.during(async () => {
        const waiting = await scenario.admin.lrange(scenario.key('e0', ':wait'), 0, -1);
        const victim = waiting.at(-3) ?? '';
        const { n } = JSON.parse((await scenario.admin.hget(scenario.key('e0', `:${victim}`), 'data')) ?? '{}');
        expect(await scenario.admin.del(scenario.key('e0', `:${victim}`))).toBe(1);
        lost.push(`e0#${n}`);
      });
      for (const name of lost) scenario.unsure.add(name);
      for (let i = 0; i < 6; i++) await scenario.enqueue('e0');
      await scenario.allDone();
      const { reruns } = scenario.expectClean('job hash deleted by hand', { first });
      expect(reruns).toBe(0);
      expect(scenario.runs().some(run => lost.includes(`${run.entityId}#${run.n}`))).toBe(false);
      await eventually(
        'nothing of it is left',
        async () => (await scenario.admin.llen(scenario.key('e0', ':active'))) === 0,
      );
    }),
  FAULT_MS,
);

test(
  'a claim is deleted by hand while a job runs, and under load: the entity recovers by itself',
  () =>
    FaultScenario.run({ pods: PODS }, async scenario => {
      await scenario.putUnderLoad();
      const silences: number[] = [];
      for (let round = 0; round < 5; round++) {
        const entityId = scenario.entities[round] ?? '';
        const from = now();
        // The claim is also the fence. A token of one microsecond later is still newer.
        await scenario.during(() => scenario.admin.del(scenario.key(entityId, ':$:worker')));
        await scenario.hasWorkedSince(now(), [entityId]);
        silences.push(scenario.silenceAfter(from, [entityId]));
      }
      await scenario.finishLoad();
      scenario.expectClean('claim deleted by hand, 5 times', { 'longest silence ms': Math.max(...silences) });
      expect(Math.max(...silences)).toBeLessThanOrEqual(SILENCE_MS);
    }),
  FAULT_MS,
);

/** The ids of the connections of a role, or of all connections of the library. */
async function connectionsOf(scenario: FaultScenario, role: string): Promise<string[]> {
  const clients = String(await scenario.admin.client('LIST')).split('\n');
  const isMeant = (line: string) =>
    line.includes('name=atomic-queues:') && (role === 'all' || line.includes(`:${role} `));
  return clients.flatMap(line => (isMeant(line) ? (line.match(/^id=(\d+)/)?.[1] ?? []) : []));
}

async function killConnections(scenario: FaultScenario, role: string): Promise<number> {
  const ids = await connectionsOf(scenario, role);
  await Promise.all(ids.map(id => scenario.admin.client('KILL', 'ID', id)));
  return ids.length;
}
