/** Faults of Redis: restarts, pauses, lost scripts and connections, keys that a person deleted. */
import { DurableRedis } from '../support/durable-redis.js';
import { FAULT_MS, inFull, lasts, now, PODS, Scene, SILENCE_MS, TTL } from '../support/scene.js';
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
    `${seconds} s down under load: nothing that was acknowledged is lost`,
    async () => {
      const server = new DurableRedis(fsync);
      const redis = await server.start();
      try {
        await Scene.run({ pods: PODS, redis }, async scene => {
          scene.produce();
          await scene.underWay();
          await scene.during(async () => {
            await server.crash();
            await lasts(seconds * 1000);
            await server.start();
          });
          const back = now();
          await scene.hasWorkedSince(back);
          await scene.stopProducing();
          await scene.allDone();
          const silence = scene.silenceAfter(back);
          scene.expectClean(`Redis crashes, ${fsync}, ${seconds} s down`, { 'silence after it ms': silence });
          expect(silence).toBeLessThanOrEqual(SILENCE_MS);
        });
      } finally {
        await server.end();
      }
    },
    FAULT_MS,
  );
});

test(
  'CLIENT PAUSE for longer than the lease: no job starts meanwhile under a claim that has passed, and all goes on',
  () =>
    Scene.run({ pods: PODS }, async scene => {
      scene.produce();
      await scene.underWay();
      const pauseMs = TTL * 1500;
      await scene.during(async () => {
        await scene.admin.client('PAUSE', pauseMs, 'ALL');
        await scene.admin.ping();
      });
      const over = now();
      await scene.hasWorkedSince(over);
      await scene.stopProducing();
      await scene.allDone();
      const silence = scene.silenceAfter(over);
      scene.expectClean(`CLIENT PAUSE of ${pauseMs} ms`, { 'silence after it ms': silence });
      expect(silence).toBeLessThanOrEqual(SILENCE_MS);
    }),
  FAULT_MS,
);

test(
  'SCRIPT FLUSH under load, 20 times: nothing runs twice, and who is refused is told that nothing was added',
  () =>
    Scene.run({ pods: PODS }, async scene => {
      scene.produce(10);
      await scene.underWay();
      for (let round = 1; round <= 20; round++) {
        const before = scene.runs().length;
        await scene.during(() => scene.admin.script('FLUSH', 'SYNC'));
        await eventually('work goes on', () => scene.runs().length > before + scene.entities.length);
      }
      await scene.stopProducing();
      await scene.allDone();
      const { reruns } = scene.expectClean('SCRIPT FLUSH, 20 times');
      expect({ reruns, unsure: scene.unsure.size }).toEqual({ reruns: 0, unsure: 0 });
      expect([...scene.refused.keys()].filter(code => code !== 'STORE_UNAVAILABLE')).toEqual([]);
    }),
  FAULT_MS,
);

describe.each(['wake-ups', 'heartbeat', 'commands', 'all'])('CLIENT KILL of connections (%s)', role => {
  const perform = role === 'all' ? test : inFull;
  perform(
    `5 times under load: made anew, nothing is lost`,
    () =>
      Scene.run({ pods: PODS }, async scene => {
        scene.produce();
        await scene.underWay();
        let killed = 0;
        const silences: number[] = [];
        for (let round = 1; round <= 5; round++) {
          const from = now();
          await eventually('all are connected', async () => (await connectionsOf(scene, role)).length >= PODS);
          killed += await scene.during(() => killConnections(scene, role));
          await scene.hasWorkedSince(from);
          silences.push(scene.silenceAfter(from));
        }
        await scene.stopProducing();
        await scene.allDone();
        scene.expectClean(`CLIENT KILL of ${role} connections, 5 times`, {
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
  'the hash of a waiting job is deleted by hand: that job fails, the entity goes on',
  () =>
    Scene.run({ pods: PODS, entities: 2 }, async scene => {
      const first = await scene.enqueue('e0', { ms: 300 });
      await eventually('the first runs', () => scene.runs().length > 0);
      const lost: string[] = [];
      for (let i = 0; i < 6; i++) await scene.enqueue('e0', { ms: 10 });
      await scene.during(async () => {
        const waiting = await scene.admin.lrange(scene.key('e0', ':wait'), 0, -1);
        const victim = waiting.at(-3) ?? '';
        const { n } = JSON.parse((await scene.admin.hget(scene.key('e0', `:${victim}`), 'data')) ?? '{}');
        expect(await scene.admin.del(scene.key('e0', `:${victim}`))).toBe(1);
        lost.push(`e0#${n}`);
      });
      for (const name of lost) scene.unsure.add(name);
      for (let i = 0; i < 6; i++) await scene.enqueue('e0');
      await scene.allDone();
      const { reruns } = scene.expectClean('job hash deleted by hand', { first });
      expect(reruns).toBe(0);
      expect(scene.runs().some(run => lost.includes(`${run.entityId}#${run.n}`))).toBe(false);
      await eventually('nothing of it is left', async () => (await scene.admin.llen(scene.key('e0', ':active'))) === 0);
    }),
  FAULT_MS,
);

test(
  'a claim is deleted by hand while a job runs, and under load: the entity frees itself',
  () =>
    Scene.run({ pods: PODS }, async scene => {
      scene.produce();
      await scene.underWay();
      const silences: number[] = [];
      for (let round = 0; round < 5; round++) {
        const entityId = scene.entities[round] ?? '';
        const from = now();
        // The claim is the fence too: a token of one microsecond later is newer all the same.
        await scene.during(() => scene.admin.del(scene.key(entityId, ':$:worker')));
        await scene.hasWorkedSince(now(), [entityId]);
        silences.push(scene.silenceAfter(from, [entityId]));
      }
      await scene.stopProducing();
      await scene.allDone();
      scene.expectClean('claim deleted by hand, 5 times', { 'longest silence ms': Math.max(...silences) });
      expect(Math.max(...silences)).toBeLessThanOrEqual(SILENCE_MS);
    }),
  FAULT_MS,
);

/** The ids of the connections of a role, or of all that the library has. */
async function connectionsOf(scene: Scene, role: string): Promise<string[]> {
  const clients = String(await scene.admin.client('LIST')).split('\n');
  const isMeant = (line: string) =>
    line.includes('name=atomic-queues:') && (role === 'all' || line.includes(`:${role} `));
  return clients.flatMap(line => (isMeant(line) ? (line.match(/^id=(\d+)/)?.[1] ?? []) : []));
}

async function killConnections(scene: Scene, role: string): Promise<number> {
  const ids = await connectionsOf(scene, role);
  await Promise.all(ids.map(id => scene.admin.client('KILL', 'ID', id)));
  return ids.length;
}
