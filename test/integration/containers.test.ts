/**
 * A machine with a container engine and no Redis: what the README's two commands rely on, and docker-compose.yml. Needs
 * an engine that has the image, or may pull it; says so and is skipped without one.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { parse } from 'yaml';
import { type DevRedis, startContainer } from '#dev-redis';
import { eventually } from '../support/wait.js';

const START_MS = 120_000;
/** Starting one container is the only sure sign of an engine that can. */
const probe = await startContainer();
await probe.container?.stop();
if (!probe.container) process.stderr.write(`SKIPPED: no container can be started here: ${probe.reason}\n`);
const withEngine = probe.container ? test : test.skip;

async function withContainer(
  options: Parameters<typeof startContainer>[0],
  body: (redis: Redis, server: DevRedis) => Promise<void>,
): Promise<void> {
  const { container, reason } = await startContainer(options);
  if (!container) throw new Error(reason);
  const redis = new Redis(container.url, { maxRetriesPerRequest: null }).on('error', () => {});
  try {
    await body(redis, container);
  } finally {
    redis.disconnect();
    await container.stop();
  }
}

withEngine(
  'a container is a private server as any other: arguments, signals, its port, and data in a folder that stays',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'atomic-queues-container-'));
    const args = ['--appendonly', 'yes', '--appendfsync', 'always'];
    let port = 0;
    try {
      await withContainer({ args, folder }, async (redis, server) => {
        port = server.port;
        await redis.set('key', 'value');
        await server.signal('SIGSTOP');
        const answer = redis.get('key');
        expect(await Promise.race([answer, new Promise(resolve => setTimeout(resolve, 200, 'frozen'))])).toBe('frozen');
        await server.signal('SIGCONT');
        expect(await answer).toBe('value');
        await server.signal('SIGKILL');
        await eventually('its port is closed', () => redis.status !== 'ready');
      });
      expect(readdirSync(folder)).toContain('appendonlydir');
      await withContainer({ args, folder, port }, async (redis, server) => {
        expect(server.port).toBe(port);
        expect(await redis.get('key')).toBe('value');
      });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  START_MS,
);

withEngine(
  'without Redis on PATH, scripts/with-redis.mjs runs its command with a container, which ends with it',
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'atomic-queues-path-'));
    const { REDIS_URL: _, ...env } = process.env;
    const print = 'process.stdout.write(process.env.REDIS_URL)';
    const run = (command: string[]) =>
      spawnSync(process.execPath, ['scripts/with-redis.mjs', process.execPath, ...command], {
        env: { ...env, PATH: folder },
        encoding: 'utf8',
      });
    try {
      const { stdout, stderr, status } = run(['-e', print]);
      expect({ stdout, stderr, status }).toEqual({
        stdout: expect.stringMatching(/^redis:\/\/[\w.-]+:\d+$/),
        stderr: '',
        status: 0,
      });
      const { hostname: host, port } = new URL(stdout);
      const ping = `require('net').connect(${port}, '${host}').on('connect', () => process.exit(0)).on('error', () => process.exit(9))`;
      expect(spawnSync(process.execPath, ['-e', ping]).status).toBe(9);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  START_MS,
);

interface Compose {
  readonly services: Readonly<Record<string, { image: string; command?: string; ports: string[] }>>;
}

describe('docker-compose.yml', () => {
  const { services } = parse(readFileSync('docker-compose.yml', 'utf8')) as Compose;
  const { redis } = services;

  test('starts Redis and PostgreSQL at the addresses that its first lines and the example name, for this machine alone', () => {
    expect(Object.keys(services)).toEqual(['redis', 'postgres']);
    expect(services['redis']?.ports).toEqual(['127.0.0.1:6379:6379']);
    expect(services['postgres']?.ports).toEqual(['127.0.0.1:5432:5432']);
  });

  withEngine(
    'has a command with which its image starts, answers, evicts nothing, and keeps its data',
    async () => {
      const [program, ...args] = redis?.command?.split(' ') ?? [];
      expect(program).toBe('redis-server');
      expect(redis?.image).toBe('redis:7-alpine');
      await withContainer({ args }, async client => {
        expect(await client.ping()).toBe('PONG');
        expect(await client.config('GET', 'maxmemory-policy')).toEqual(['maxmemory-policy', 'noeviction']);
        expect(await client.config('GET', 'appendonly')).toEqual(['appendonly', 'yes']);
      });
    },
    START_MS,
  );
});
