/**
 * Handlers that block the event loop, in real processes: a process that is only busy keeps its entities, and one that is hung
 * or stopped loses them. A handler blocks until its test lets it go on. The tests read in Redis what they wait for.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { CLEAN, judge } from '../support/judge.js';
import { PodProcesses } from '../support/processes.js';
import { type RedisApp, RedisApps } from '../support/redis-apps.js';
import { eventually } from '../support/wait.js';

const TTL_SECONDS = 2;
const TTL_US = TTL_SECONDS * 1e6;

let redis: Redis;
let prefix: string;
let apps: RedisApps;
let producer: RedisApp;
let pods: PodProcesses;
let folder: string;
/** The file that a blocked handler waits for. */
let gate: string;

beforeEach(async () => {
  apps = new RedisApps({});
  ({ redis, prefix } = apps);
  folder = mkdtempSync(join(tmpdir(), 'atomic-queues-test-'));
  gate = join(folder, 'go-on');
  producer = await apps.start();
});
afterEach(async () => {
  unblock();
  await pods.close();
  rmSync(folder, { recursive: true });
  await apps.clear();
  await apps.quit();
});

function podsWith(settings: Readonly<Record<string, string>> = {}): void {
  pods = new PodProcesses(prefix, { HEARTBEAT_TTL: String(TTL_SECONDS), ...settings });
}
const enqueue = (n: number, blockUntil?: string) =>
  producer.bus.enqueueJob({ entityType: 'account', entityId: '1', name: 'work', data: { n, blockUntil } });
const runsOf = (n: number) => pods.runs().filter(run => run.n === n);
const started = (n: number) => eventually(`job ${n} has started`, () => runsOf(n).length > 0);
const ended = (n: number) => eventually(`job ${n} has ended`, () => runsOf(n).some(({ end }) => end !== undefined));
const unblock = () => writeFileSync(gate, '');
const claim = () => redis.hgetall(`${prefix}:account:1:queue:$:worker`);

async function keptFor(leases: number): Promise<void> {
  const { until } = await claim();
  const end = Number(until) + leases * TTL_US;
  await eventually(`the claim is kept for ${leases} leases`, async () => Number((await claim())['until']) > end);
}

/** Ids of the connections for heartbeats of a pod. */
async function heartbeats(podId: string | undefined): Promise<string[]> {
  const clients = String(await redis.client('LIST')).split('\n');
  return clients
    .filter(client => client.includes(`name=atomic-queues:${podId}:heartbeat `))
    .flatMap(client => client.match(/^id=(\d+)/)?.[1] ?? []);
}

/** All jobs ran in order and once, on one pod, under one token, and no handler was told to stop. */
function expectUndisturbed(count: number): void {
  const runs = pods.runs();
  const verdict = judge(runs, pods.deaths, new Map([['1', count]]));
  expect(verdict).toMatchObject({ ...CLEAN, fencedZombies: [], reruns: 0 });
  expect(verdict.pods).toHaveLength(1);
  expect(new Set(runs.map(({ token }) => token)).size).toBe(1);
  expect(runs.filter(({ aborted }) => aborted !== false)).toEqual([]);
}

test('a handler that blocks for three leases keeps its entity: no takeover, and order and token stay the same', async () => {
  podsWith();
  await pods.start();
  await enqueue(0);
  await ended(0);
  await pods.start();
  await Promise.all([1, 2, 3, 4, 5, 6].map(n => enqueue(n, n === 4 ? gate : undefined)));
  await started(4);
  await enqueue(7);
  await keptFor(3);
  unblock();
  await ended(7);
  expectUndisturbed(8);
}, 60_000);

test('a handler that blocks in the first job of a claim, before any renewal, keeps its entity', async () => {
  podsWith();
  await Promise.all([pods.start(), pods.start()]);
  await enqueue(0, gate);
  await started(0);
  await enqueue(1);
  await keptFor(3);
  unblock();
  await ended(1);
  expectUndisturbed(2);
}, 60_000);

test('a pod whose heartbeat connection is killed while its handler blocks gets a new one, and keeps the claim', async () => {
  podsWith();
  await pods.start();
  await enqueue(0, gate);
  await started(0);
  await pods.start();
  await enqueue(1);
  const { owner } = await claim();
  const [killed = ''] = await heartbeats(owner);
  await redis.client('KILL', 'ID', killed);
  await eventually('there is a new connection', async () => {
    const present = await heartbeats(owner);
    return present.length === 1 && present[0] !== killed;
  });
  await keptFor(3);
  unblock();
  await ended(1);
  expectUndisturbed(2);
}, 60_000);

test('a handler that blocks beyond the limit loses its entity; its pod starts no more jobs of it, and its end is refused', async () => {
  podsWith({ BLOCK_LIMIT_MS: '2000' });
  const hung = await pods.start();
  const options = { jobId: 'blocks', removeOnComplete: false };
  await producer.bus
    .forEntity('account')
    .enqueueJob({ entityId: '1', name: 'work', data: { n: 0, blockUntil: gate } }, options);
  await started(0);
  const other = await pods.start();
  await enqueue(1);
  await enqueue(2);
  await ended(2);
  const [first, second] = runsOf(0);
  expect([first?.pod, first?.end, second?.pod]).toEqual([hung, undefined, other]);
  expect(Number(second?.token)).toBeGreaterThan(Number(first?.token));
  unblock();
  await eventually('the first handler has ended', () => runsOf(0)[0]?.end !== undefined);
  expect(await pods.leave(hung)).toBe(0);
  expect(pods.runs().map(({ pod, n }) => `${pod} ${n}`)).toEqual([`${hung} 0`, ...[0, 1, 2].map(n => `${other} ${n}`)]);
  expect(await redis.hget(`${prefix}:account:1:queue:blocks`, 'returnvalue')).toBe(JSON.stringify(other));
}, 60_000);

test('a process that is stopped, with all its threads, loses its entities', async () => {
  podsWith();
  const stopped = await pods.start();
  await enqueue(0);
  await ended(0);
  const other = await pods.start();
  pods.freeze(stopped);
  await enqueue(1);
  await ended(1);
  await pods.kill(stopped);
  expect(runsOf(1)).toMatchObject([{ pod: other }]);
}, 60_000);

test('a closed application leaves no connection, and its process ends by itself', async () => {
  podsWith();
  const pod = await pods.start();
  await enqueue(0);
  await ended(0);
  const { owner } = await claim();
  await eventually('claims are renewed', async () => (await heartbeats(owner)).length === 1);
  expect(await pods.leave(pod)).toBe(0);
  expect(await heartbeats(owner)).toEqual([]);
}, 60_000);
