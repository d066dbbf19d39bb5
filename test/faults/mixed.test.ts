/**
 * Everything at once: four pods under load, and every few seconds a fault that a seed has chosen. `MIXED_SECONDS=1800`
 * runs for half an hour; the seed is printed, and `SEED=n` repeats the schedule. `MIXED_FAULTS='SIGKILL'` draws these only.
 */
import { DurableRedis } from '../support/durable-redis.js';
import { isFull, lasts, now, Scene, TTL } from '../support/scene.js';

const SECONDS = Number(process.env['MIXED_SECONDS'] ?? (isFull ? 60 : 10));
const ONLY = process.env['MIXED_FAULTS'];
const PODS = 4;
const LEASE_MS = TTL * 1000;
/** Between two faults: long enough for a takeover, so that they don't all fall into one. */
const PAUSE_MS = [LEASE_MS / 2, 2 * LEASE_MS] as const;

type Fault = (scene: Scene, redis: DurableRedis) => Promise<void>;

const one = (scene: Scene, of: readonly string[]) => of[Math.floor(scene.random.next() * of.length)] ?? '';
const between = (scene: Scene, [least, most]: readonly [number, number]) =>
  least + scene.random.next() * (most - least);

/** By name, and how often relative to the others. */
const FAULTS: Readonly<Record<string, { weight: number; run: Fault }>> = {
  SIGKILL: {
    weight: 4,
    run: async scene => {
      await scene.pods.kill(one(scene, scene.pods.workingPods));
      await scene.pods.start();
    },
  },
  SIGTERM: {
    weight: 3,
    run: async scene => {
      await scene.pods.stop(one(scene, scene.pods.workingPods));
      await scene.pods.start();
    },
  },
  'SIGSTOP and SIGCONT': {
    weight: 3,
    run: async scene => {
      const pod = one(scene, scene.pods.workingPods);
      scene.pods.freeze(pod);
      await lasts(between(scene, [LEASE_MS / 4, 2 * LEASE_MS]));
      scene.pods.thaw(pod);
    },
  },
  'a blocked event loop': {
    weight: 2,
    run: async scene => {
      const ms = between(scene, [LEASE_MS / 4, 2 * LEASE_MS]);
      await scene.enqueueAnyhow(one(scene, scene.entities), { blockMs: ms });
      await lasts(ms);
    },
  },
  'CLIENT KILL': {
    weight: 3,
    run: async scene => {
      const clients = String(await scene.admin.client('LIST')).split('\n');
      const ids = clients.flatMap(line => (line.includes('atomic-queues:') ? (/^id=(\d+)/.exec(line)?.[1] ?? []) : []));
      for (const id of ids) if (scene.random.next() < 0.3) await scene.admin.client('KILL', 'ID', id).catch(() => {});
    },
  },
  'CLIENT PAUSE': {
    weight: 1,
    run: async scene => {
      const ms = Math.round(between(scene, [LEASE_MS / 4, LEASE_MS]));
      await scene.admin.client('PAUSE', ms);
      await lasts(ms);
    },
  },
  'SCRIPT FLUSH': { weight: 2, run: async scene => void (await scene.admin.script('FLUSH')) },
  'a jump of the wall clock': {
    weight: 2,
    run: async scene => scene.pods.jumpClock(one(scene, scene.pods.workingPods)),
  },
  'a crash of Redis': {
    weight: 1,
    run: async (_, redis) => {
      await redis.crash();
      await lasts(1000);
      await redis.start();
    },
  },
};

/** Each name as often as it is to be drawn. */
const HAT = Object.entries(FAULTS)
  .filter(([name]) => (ONLY ?? name).includes(name))
  .flatMap(([name, { weight }]) => Array<string>(weight).fill(name));

test(
  `${SECONDS} s of faults on ${PODS} pods: nothing lost, no overlap but fenced zombies, order kept, tokens only grow`,
  async () => {
    const server = new DurableRedis('always');
    const redis = await server.start();
    try {
      // Frozen again and again, a job may lose its pod more often than once; after a fault there is a backlog, fetched ahead.
      const settings = { MAX_STALLED: '100', HANDLER_MS_MAX: '150' };
      await Scene.run({ pods: PODS, entities: 20, redis, settings }, async scene => {
        scene.produce(200);
        const counts: Record<string, number> = {};
        await scene.hasWorkedSince(0n);
        const begunAt = now();
        for (const end = Date.now() + SECONDS * 1000; Date.now() < end; ) {
          await lasts(between(scene, PAUSE_MS));
          const name = one(scene, HAT);
          counts[name] = (counts[name] ?? 0) + 1;
          await scene.during(async () => FAULTS[name]?.run(scene, server));
        }
        await scene.stopProducing();
        await scene.allDone(120_000, 1000);
        scene.expectClean(`mixed, ${SECONDS} s`, {
          faults: JSON.stringify(counts),
          'longest silence ms': scene.silenceAfter(begunAt),
        });
      });
    } finally {
      await server.end();
    }
  },
  (SECONDS + 300) * 1000,
);
