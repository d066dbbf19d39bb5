/** Faults of the network between one pod and Redis, while the other pods work on. */
import type { Redis } from 'ioredis';
import { FAULT_MS, FaultScenario, inFull, lasts, now, PODS, SILENCE_MS, TTL } from '../support/fault-scenario.js';
import { RedisProxy } from '../support/redis-proxy.js';
import { eventually } from '../support/wait.js';

const LEASE_MS = TTL * 1000;

interface Partitioned {
  readonly scenario: FaultScenario;
  readonly proxy: RedisProxy;
  /** The pod that reaches Redis through the proxy. */
  readonly pod: string;
}

/** Pods of which one reaches Redis through a proxy, all of them at work. */
async function partitioned(body: (parts: Partitioned) => Promise<void>): Promise<void> {
  const proxies: RedisProxy[] = [];
  try {
    await FaultScenario.run({ pods: PODS - 1 }, async scenario => {
      const proxy = new RedisProxy(scenario.redis.url);
      proxies.push(proxy);
      const url = await proxy.start();
      // The first pod has every entity until it hands them over.
      const [first = ''] = scenario.pods.workingPods;
      const pod = await scenario.pods.start({ REDIS_URL: url });
      await scenario.allKnown();
      await scenario.putUnderLoad();
      if (!works(scenario, pod)) {
        await scenario.pods.stop(first);
        await scenario.pods.start();
      }
      await eventually('the pod behind the proxy works', () => works(scenario, pod), 60_000);
      await body({ scenario, proxy, pod });
      await scenario.finishLoad();
    });
  } finally {
    for (const proxy of proxies) await proxy.close();
  }
}

const works = (scenario: FaultScenario, pod: string) => scenario.runs().some(run => run.pod === pod);

/** Starts of the pod since a moment. */
const startsSince = (scenario: FaultScenario, pod: string, at: bigint) =>
  scenario.runs().filter(run => run.pod === pod && run.start > at).length;

for (const [direction, what, silenceMs] of [
  ['both', 'a black hole both ways', SILENCE_MS],
  // One more renewal arrives after the fault has begun, and counts.
  ['answers', 'answers do not come, calls arrive', SILENCE_MS + LEASE_MS / 3],
] as const) {
  const perform = direction === 'both' ? test : inFull;
  perform(
    `${what}: the others take over, and what arrives when the partition heals changes nothing`,
    () =>
      partitioned(async ({ scenario, proxy, pod }) => {
        const from = now();
        let startsOfStale = 0;
        await scenario.during(async () => {
          proxy.block(direction);
          await lasts(LEASE_MS);
          const leaseOver = now();
          await scenario.hasWorkedSince(leaseOver);
          await lasts(LEASE_MS);
          startsOfStale = startsSince(scenario, pod, leaseOver);
        });
        const silence = scenario.silenceAfter(from);
        proxy.block('none');
        const healed = now();
        await scenario.hasWorkedSince(healed);
        await eventually('the pod is connected again', () => reaches(scenario.admin, 3 * PODS));
        await scenario.finishLoad();
        scenario.expectClean(what, { 'longest silence ms': silence, 'starts of it after its lease': startsOfStale });
        expect(startsOfStale).toBe(0);
        expect(silence).toBeLessThanOrEqual(silenceMs);
      }),
    FAULT_MS,
  );
}

for (const [title, what, rounds, fault] of [
  [
    'half-open connections: Redis keeps its dead ends, the pod makes new connections, and work goes on',
    'half-open connections, 3 times',
    3,
    (proxy: RedisProxy) => proxy.abandon(),
  ],
  [
    'reset of all connections of a pod, 10 times under load: no job is lost, and order is kept',
    'reset of connections, 10 times',
    10,
    (proxy: RedisProxy) => proxy.reset(),
  ],
] as const) {
  inFull(
    title,
    () =>
      partitioned(async ({ scenario, proxy }) => {
        const silences: number[] = [];
        for (let round = 0; round < rounds; round++) {
          const from = now();
          await scenario.during(async () => fault(proxy));
          await scenario.hasWorkedSince(from);
          silences.push(scenario.silenceAfter(from));
        }
        await scenario.finishLoad();
        scenario.expectClean(what, { 'longest silence ms': Math.max(...silences) });
        expect(Math.max(...silences)).toBeLessThanOrEqual(SILENCE_MS);
      }),
    FAULT_MS,
  );
}

inFull(
  'a delay of 200 ms each way only slows the work, and costs no claim',
  () =>
    partitioned(async ({ scenario, proxy, pod }) => {
      proxy.delay(200);
      const from = now();
      await scenario.hasWorkedSince(from);
      await eventually('the slow pod has run 30 jobs', () => startsSince(scenario, pod, from) >= 30, 60_000);
      await scenario.finishLoad(60_000);
      const { reruns, fencedZombies } = scenario.expectClean('200 ms each way', {
        'longest silence ms': scenario.silenceAfter(from),
      });
      expect({ reruns, fencedZombies }).toEqual({ reruns: 0, fencedZombies: [] });
    }),
  FAULT_MS,
);

test(
  'partitions of both pods that run a long job, one after the other: each is heard again, so the job does not stall or fail',
  async () => {
    const proxies: RedisProxy[] = [];
    try {
      await FaultScenario.run({ pods: 0, entities: 1, settings: { MAX_STALLED: '1' } }, async scenario => {
        const proxyOf = new Map<string, RedisProxy>();
        for (let n = 0; n < 2; n++) {
          const proxy = new RedisProxy(scenario.redis.url);
          proxies.push(proxy);
          proxyOf.set(await scenario.pods.start({ REDIS_URL: await proxy.start() }), proxy);
        }
        await scenario.allKnown();
        await scenario.enqueue('e0', { ms: 10 * LEASE_MS });
        await eventually('the job runs', () => scenario.runs().length === 1, 60_000);
        for (let partitions = 1; partitions <= 2; partitions++) {
          const proxy = proxyOf.get(scenario.podOf('e0') ?? '');
          await scenario.during(async () => {
            proxy?.block('both');
            await eventually('another pod runs it', () => scenario.runs().length === 1 + partitions, 60_000);
            proxy?.block('none');
            await scenario.allKnown();
          });
        }
        await eventually('its last run has ended', () => scenario.runs().at(-1)?.end !== undefined, 60_000);
        const failed = await scenario.admin.zcard(scenario.key('e0', ':failed'));
        scenario.expectClean('partitions of both pods that run a long job', { starts: scenario.runs().length, failed });
        expect({ starts: scenario.runs().length, failed }).toEqual({ starts: 3, failed: 0 });
      });
    } finally {
      for (const proxy of proxies) await proxy.close();
    }
  },
  FAULT_MS,
);

/** Whether this many connections of pods are there: three per pod, and those of the producer. */
async function reaches(admin: Redis, count: number): Promise<boolean> {
  const clients = String(await admin.client('LIST')).split('\n');
  return clients.filter(line => line.includes('name=atomic-queues:')).length >= count;
}
