/**
 * All faults together: four pods under load, and every few seconds a fault that a seed has chosen. `MIXED_SECONDS=1800`
 * runs for half an hour; the seed is printed, and `SEED=n` repeats the schedule. `MIXED_FAULTS='SIGKILL'` draws these only.
 */
import { DurableRedis } from '../support/durable-redis.js';
import { FaultScenario, lasts, now, TTL } from '../support/fault-scenario.js';
import { lengthOf } from '../support/test-length.js';

const SECONDS = lengthOf('MIXED_SECONDS', 10, 60);
const ONLY = process.env['MIXED_FAULTS'];
const PODS = 4;
const LEASE_MS = TTL * 1000;
/** Between two faults: long enough for a takeover, so that not all of them fall into one. */
const PAUSE_MS = [LEASE_MS / 2, 2 * LEASE_MS] as const;

type Fault = (scenario: FaultScenario, redis: DurableRedis) => Promise<void>;

const one = (scenario: FaultScenario, of: readonly string[]) =>
  of[Math.floor(scenario.random.next() * of.length)] ?? '';
const between = (scenario: FaultScenario, [least, most]: readonly [number, number]) =>
  least + scenario.random.next() * (most - least);

/** Faults by name, and how often each occurs relative to the others. */
const FAULTS: Readonly<Record<string, { weight: number; run: Fault }>> = {
  SIGKILL: {
    weight: 4,
    run: async scenario => {
      await scenario.pods.kill(one(scenario, scenario.pods.workingPods));
      await scenario.pods.start();
    },
  },
  SIGTERM: {
    weight: 3,
    run: async scenario => {
      await scenario.pods.stop(one(scenario, scenario.pods.workingPods));
      await scenario.pods.start();
    },
  },
  'SIGSTOP and SIGCONT': {
    weight: 3,
    run: async scenario => {
      const pod = one(scenario, scenario.pods.workingPods);
      scenario.pods.freeze(pod);
      await lasts(between(scenario, [LEASE_MS / 4, 2 * LEASE_MS]));
      scenario.pods.thaw(pod);
    },
  },
  'a blocked event loop': {
    weight: 2,
    run: async scenario => {
      const ms = between(scenario, [LEASE_MS / 4, 2 * LEASE_MS]);
      await scenario.enqueueAnyhow(one(scenario, scenario.entities), { blockMs: ms });
      await lasts(ms);
    },
  },
  'CLIENT KILL': {
    weight: 3,
    run: async scenario => {
      const clients = String(await scenario.admin.client('LIST')).split('\n');
      const ids = clients.flatMap(line => (line.includes('atomic-queues:') ? (/^id=(\d+)/.exec(line)?.[1] ?? []) : []));
      for (const id of ids)
        if (scenario.random.next() < 0.3) await scenario.admin.client('KILL', 'ID', id).catch(() => {});
    },
  },
  'CLIENT PAUSE': {
    weight: 1,
    run: async scenario => {
      const ms = Math.round(between(scenario, [LEASE_MS / 4, LEASE_MS]));
      await scenario.admin.client('PAUSE', ms);
      await lasts(ms);
    },
  },
  'SCRIPT FLUSH': { weight: 2, run: async scenario => void (await scenario.admin.script('FLUSH')) },
  'a jump of the wall clock': {
    weight: 2,
    run: async scenario => scenario.pods.jumpClock(one(scenario, scenario.pods.workingPods)),
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

/** Each name, as often as its weight. */
const HAT = Object.entries(FAULTS)
  .filter(([name]) => (ONLY ?? name).includes(name))
  .flatMap(([name, { weight }]) => Array<string>(weight).fill(name));

test(
  `${SECONDS} s of faults on ${PODS} pods: no job is lost, only fenced zombies overlap, order is kept, and tokens only grow`,
  async () => {
    const server = new DurableRedis('always');
    const redis = await server.start();
    try {
      // A job may lose its pod more often than once if the pod is frozen repeatedly. After a fault there is a backlog, which is prefetched.
      const settings = { MAX_STALLED: '100', HANDLER_MS_MAX: '150' };
      await FaultScenario.run({ pods: PODS, entities: 20, redis, settings }, async scenario => {
        scenario.produce(200);
        const counts: Record<string, number> = {};
        await scenario.hasWorkedSince(0n);
        const begunAt = now();
        for (const end = Date.now() + SECONDS * 1000; Date.now() < end; ) {
          await lasts(between(scenario, PAUSE_MS));
          const name = one(scenario, HAT);
          counts[name] = (counts[name] ?? 0) + 1;
          await scenario.during(async () => FAULTS[name]?.run(scenario, server));
        }
        await scenario.stopProducing();
        await scenario.allDone(120_000, 1000);
        scenario.expectClean(`mixed, ${SECONDS} s`, {
          faults: JSON.stringify(counts),
          'longest silence ms': scenario.silenceAfter(begunAt),
        });
      });
    } finally {
      await server.end();
    }
  },
  (SECONDS + 300) * 1000,
);
