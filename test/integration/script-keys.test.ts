/** What a Redis that restricts its clients sees of this library: scripts with keys, no INFO at start, no loop on what it refuses. */
import { Redis } from 'ioredis';
import { type DevRedis, startRedis } from '#dev-redis';
import { resolveOptions } from '../../src/core/options/resolve.js';
import { RedisCluster } from '../support/redis-cluster.js';
import { serving } from '../support/settlements.js';
import { eventually } from '../support/wait.js';

const config = resolveOptions({ entities: { account: {} }, workerDefaults: { eventLoopBlockLimitMs: 0 } });

let server: DevRedis;
let admin: Redis;
let cluster: RedisCluster;

beforeEach(async () => {
  server = await startRedis({ alwaysPrivate: true, args: ['--rename-command', 'INFO', ''] });
  admin = new Redis(server.url, { enableReadyCheck: false });
  cluster = new RedisCluster();
});
afterEach(async () => {
  await cluster.close();
  admin.disconnect();
  await server.stop();
});

test('a server that knows no INFO: the store starts, warns once, and works', async () => {
  const pod = await cluster.pod(config, 'p', server.url);
  const job = { entity: { type: 'account', id: '1' }, name: 'note', data: '{}', options: {} };
  expect(await pod.add(job as never, 'route-only')).toMatchObject({ route: 'unowned' });
  expect(cluster.log.lines).toEqual([expect.stringMatching(/^warn Redis does not say whether it evicts keys/)]);
});

test('every script declares its two keys', async () => {
  const scripts: string[][] = [];
  const monitor = await admin.monitor();
  monitor.on('monitor', (_at: string, args: string[], source: string) => {
    if (/^eval/i.test(args[0] ?? '') && source !== 'lua') scripts.push(args);
  });
  const pod = await cluster.pod(config, 'p', server.url);
  await pod.renew([], serving());
  await pod.due('account', 0, 1);
  await eventually('scripts are seen', () => scripts.length >= 3);
  monitor.disconnect();
  const keys = ['2', `${cluster.prefix}:$:shard`, `${cluster.prefix}:$:none`];
  for (const [, , ...rest] of scripts) expect(rest.slice(0, 3)).toEqual(keys);
  expect(await admin.exists(...keys.slice(1))).toBe(0);
});

test('a connection that leads to a replica gets no calls, not even reads', async () => {
  await admin.replicaof('127.0.0.1', '1');
  const pod = await cluster.pod(config, 'p', server.url);
  await expect(pod.due('account', 0, 1)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  await admin.replicaof('NO', 'ONE');
  expect(await pod.due('account', 0, 1)).toEqual([]);
});

test('a mailbox that Redis refuses to empty is read again after a pause, not at once', async () => {
  const pod = await cluster.pod(config, 'p', server.url);
  const box = `${cluster.prefix}:$:pod:p:answers`;
  const put = () => admin.xadd(box, '*', 'call', '1', 'kind', 'value', 'text', '1');
  await put();
  await admin.config('SET', 'min-replicas-to-write', '1');
  expect(await pod.replies.receive()).toHaveLength(1);
  await expect(pod.replies.receive()).rejects.toThrow(/NOREPLICAS/);
  await admin.config('SET', 'min-replicas-to-write', '0');
  const next = pod.replies.receive();
  await eventually('what was read is removed', async () => (await admin.xlen(box)) === 0);
  await put();
  expect(await next).toHaveLength(1);
});
