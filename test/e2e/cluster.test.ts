/**
 * Several real processes on real Redis: the claims of the README. The test is a producer that works nothing
 * itself, and judges the pods by their records.
 */
import type { Redis } from 'ioredis';
import { JobHandler, type QueueBus, WorkerProcessor } from '../../src/index.js';
import { CLEAN, judge } from '../support/judge.js';
import { PodProcesses } from '../support/processes.js';
import { Random } from '../support/random.js';
import { keysUnder } from '../support/redis.js';
import { type RedisApp, RedisApps } from '../support/redis-apps.js';
import { lengthOf } from '../support/test-length.js';
import { eventually } from '../support/wait.js';

let redis: Redis;
let prefix: string;
let apps: RedisApps;
let producer: RedisApp;

beforeEach(async () => {
  apps = new RedisApps({});
  ({ redis, prefix } = apps);
  producer = await apps.start();
});
afterEach(async () => {
  await apps.clear();
  await apps.quit();
});

const enqueue = (bus: QueueBus, entityId: string, n: number) =>
  bus.enqueueJob({ entityType: 'account', entityId, name: 'work', data: { n } });

test('3 processes, 20 entities, 12,300 commands in waves of 200: they run one at a time, in order, each once, on all processes', async () => {
  const pods = new PodProcesses(prefix);
  try {
    await Promise.all([pods.start(), pods.start(), pods.start()]);
    await eventually(
      'all are known to take entities',
      async () => (await redis.zcard(`${prefix}:$:pods:account`)) === 3,
    );
    const bus = producer.bus;
    const next = new Map<string, number>();
    for (let sent = 0; sent < 12_300; ) {
      const wave: Promise<unknown>[] = [];
      for (let i = 0; i < 200 && sent < 12_300; i++, sent++) {
        const entityId = `e${sent % 20}`;
        const n = next.get(entityId) ?? 0;
        next.set(entityId, n + 1);
        wave.push(enqueue(bus, entityId, n));
      }
      await Promise.all(wave);
    }
    await eventually('all have run', () => pods.runs().filter(({ end }) => end).length >= 12_300, 60_000);
    const verdict = judge(pods.runs(), pods.deaths, next);
    expect(verdict).toMatchObject({ ...CLEAN, reruns: 0, pods: ['pod1', 'pod2', 'pod3'] });
  } finally {
    await pods.close();
  }
}, 120_000);

/** Longer than a takeover: otherwise the next kill could hit a successor that has not started anything yet, and merge two silences into one. */
const KILL_EVERY_MS = 4000;

test('4 pods, a random one killed every 4 s: no acknowledged job is lost, no jobs overlap, order is kept, and no silence is long', async () => {
  // On a slow machine a job may lose its second pod before it has run. Failing for that is not the subject here.
  // A minute by hand (KILL_SECONDS=60), and a shorter time in every run.
  const seconds = lengthOf('KILL_SECONDS', 12, 24);
  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
  const random = new Random(seed);
  const pods = new PodProcesses(prefix, { HANDLER_MS_MAX: '4', MAX_STALLED: '100' });
  try {
    await Promise.all([pods.start(), pods.start(), pods.start(), pods.start()]);
    const bus = producer.bus;
    const next = new Map<string, number>();
    const end = Date.now() + seconds * 1000;
    const produce = async (entityId: string) => {
      while (Date.now() < end) {
        const n = next.get(entityId) ?? 0;
        next.set(entityId, n + 1);
        await enqueue(bus, entityId, n);
        await new Promise(resolve => setTimeout(resolve, random.next() * 40));
      }
    };
    const starting: Promise<unknown>[] = [];
    const killer = (async () => {
      for (let at = Date.now() + KILL_EVERY_MS; at < end; at += KILL_EVERY_MS) {
        await new Promise(resolve => setTimeout(resolve, at - Date.now()));
        const victim = pods.workingPods[Math.floor(random.next() * pods.workingPods.length)];
        if (victim) await pods.kill(victim);
        starting.push(pods.start());
      }
      await Promise.all(starting);
    })();
    await Promise.all([...Array(20).keys()].map(i => produce(`e${i}`)));
    await killer;
    const total = () => [...next.values()].reduce((sum, count) => sum + count, 0);
    const settled = () =>
      new Set(
        pods
          .runs()
          .filter(({ end: ended }) => ended)
          .map(({ entityId, n }) => `${entityId}#${n}`),
      ).size;
    await eventually('all have run', () => settled() === total(), 30_000);
    const verdict = judge(pods.runs(), pods.deaths, next);
    const summary = `seed ${seed}: ${total()} commands, ${pods.deaths.size} kills, ${verdict.reruns} re-runs, longest silence ${verdict.longestSilenceMs} ms`;
    process.stderr.write(`${summary}\n`);
    expect({ summary, ...verdict }).toMatchObject(CLEAN);
    expect(verdict.longestSilenceMs).toBeLessThanOrEqual(5000);
    expect(pods.deaths.size).toBeGreaterThanOrEqual(Math.floor((seconds * 1000) / KILL_EVERY_MS) - 1);
  } finally {
    await pods.close();
  }
}, 150_000);

test('1,000 entities on one pod: there are at most 4 connections, and an idle entity leaves only its fence and events, which expire', async () => {
  let done = 0;
  @WorkerProcessor({ entityType: 'account', idleTimeoutSeconds: 1 })
  class Accounts {
    @JobHandler('*')
    handle() {
      done++;
    }
  }
  const before = await connections();
  const { bus } = await apps.start({}, { providers: [Accounts] });
  await Promise.all([...Array(1000).keys()].map(i => enqueue(bus, `e${i}`, 0)));
  await eventually('all have run', () => done === 1000);
  expect((await connections()) - before).toBeLessThanOrEqual(4);
  await eventually('all are released', async () => {
    const keys = await keysUnder(redis, `${prefix}:account`);
    return keys.length === 2000 && keys.every(key => key.endsWith(':$:worker') || key.endsWith(':events'));
  });
  expect(await redis.exists(`${prefix}:$:due:account`)).toBe(0);
  const ttls = await Promise.all(
    (await keysUnder(redis, `${prefix}:account`)).map(async key => ({ key, ttl: await redis.ttl(key) })),
  );
  expect(ttls.filter(({ key, ttl }) => ttl < 0 || (key.endsWith(':events') && ttl > 60))).toEqual([]);
}, 60_000);

test('SIGTERM hands the entities over in order, and no job is lost or runs twice', async () => {
  const pods = new PodProcesses(prefix, { HANDLER_MS_MAX: '50' });
  try {
    const first = await pods.start();
    const bus = producer.bus;
    const next = new Map([...Array(10).keys()].map(i => [`e${i}`, 200] as const));
    for (const [entityId, count] of next) {
      await Promise.all([...Array(count).keys()].map(n => enqueue(bus, entityId, n)));
    }
    await eventually('the first pod has begun', () => pods.runs().length > 100);
    await pods.start();
    await pods.stop(first);
    await eventually('all have run', () => pods.runs().filter(({ end }) => end).length >= 2000, 30_000);
    expect(judge(pods.runs(), pods.deaths, next)).toMatchObject({ ...CLEAN, reruns: 0, pods: ['pod1', 'pod2'] });
  } finally {
    await pods.close();
  }
}, 60_000);

async function connections(): Promise<number> {
  return String(await redis.client('LIST'))
    .trim()
    .split('\n')
    .filter(line => line.includes('atomic-queues:')).length;
}
