// A Redis for development: demo, tests and benchmarks share it. In this order: REDIS_URL (never flushed: callers use a
// key prefix of their own) · a private redis-server or valkey-server from PATH · Docker (Testcontainers) · on a
// Debian-like machine as root, the package redis-server · an error that says what to do.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const START_TIMEOUT_MS = 10_000;

/**
 * @param {{ args?: string[], alwaysPrivate?: boolean, port?: number }} options further arguments and the port of a
 * private server; whether REDIS_URL is ignored
 * @returns {Promise<{ url: string, host: string, port: number, stop(): Promise<void>, pid?: number }>}
 */
export async function startRedis({ args = [], alwaysPrivate = false, port } = {}) {
  const given = process.env.REDIS_URL;
  if (given && !alwaysPrivate) {
    const { hostname, port } = new URL(given);
    return { url: given, host: hostname, port: Number(port || 6379), stop: async () => {} };
  }
  const server = serverOnPath();
  if (server) return startServer(server, args, port);
  const container = await startContainer();
  if (container) return container;
  if (installPackage()) return startServer('redis-server', args, port);
  throw new Error(
    'No Redis found. Set REDIS_URL, install redis-server or valkey-server, or use Docker: npm install --no-save testcontainers.',
  );
}

function serverOnPath() {
  return ['redis-server', 'valkey-server'].find(name => spawnSync(name, ['--version']).status === 0);
}

/**
 * A sentinel of its own; the same program as the server's.
 * @param {readonly string[]} settings lines of its configuration file
 * @returns as `startRedis`, or undefined where no server is on PATH
 */
export async function startSentinel(settings) {
  const server = serverOnPath();
  if (!server) return undefined;
  const port = await freePort();
  const folder = makeFolder();
  const file = join(folder, 'sentinel.conf');
  const lines = [`port ${port}`, 'bind 127.0.0.1', `dir ${folder}`, ...settings];
  writeFileSync(file, `${lines.join('\n')}\n`);
  return supervise(server, [file, '--sentinel'], folder, port);
}

const makeFolder = () => mkdtempSync(join(tmpdir(), 'atomic-queues-redis-'));

async function startServer(server, args, givenPort) {
  const port = givenPort ?? (await freePort());
  const folder = makeFolder();
  const own = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--loglevel', 'warning'];
  return supervise(server, [...own, ...args], folder, port);
}

async function supervise(server, args, folder, port) {
  // A shell stands between: it ends the server when its input closes, that is, also when this process is killed.
  const script =
    '"$@" </dev/null >/dev/null & server=$!; echo $server; while read -r _; do :; done; kill -CONT $server 2>/dev/null; kill -KILL $server 2>/dev/null; rm -rf "$FOLDER"';
  const supervisor = spawn('sh', ['-c', script, 'sh', server, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
    env: { ...process.env, FOLDER: folder },
  });
  const exited = new Promise(resolve => supervisor.once('exit', resolve));
  const pid = await new Promise(resolve => supervisor.stdout.once('data', text => resolve(Number(text))));
  supervisor.unref();
  supervisor.stdin.unref();
  supervisor.stdout.destroy();
  const stop = async () => {
    supervisor.ref();
    supervisor.stdin.end();
    await exited;
    rmSync(folder, { recursive: true, force: true });
  };
  await answers(port);
  return { url: `redis://127.0.0.1:${port}`, host: '127.0.0.1', port, stop, pid };
}

async function startContainer() {
  if (spawnSync('docker', ['info'], { timeout: 5000 }).status !== 0) return undefined;
  try {
    const { GenericContainer } = await import('testcontainers');
    const container = await new GenericContainer('redis:7-alpine').withExposedPorts(6379).start();
    const host = container.getHost();
    const port = container.getMappedPort(6379);
    return { url: `redis://${host}:${port}`, host, port, stop: async () => void (await container.stop()) };
  } catch (error) {
    process.stderr.write(`Docker is there, but no container could be started: ${error.message}\n`);
    return undefined;
  }
}

function installPackage() {
  if (!existsSync('/etc/debian_version') || process.getuid?.() !== 0) return false;
  process.stderr.write('No Redis found: installing the package redis-server.\n');
  const install = 'apt-get update -qq && apt-get install -y -qq --no-install-recommends redis-server';
  spawnSync('sh', ['-c', install], {
    stdio: ['ignore', 2, 2],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  return serverOnPath() !== undefined;
}

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

/** Waits until the server answers a PING. */
async function answers(port) {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline) {
    const pong = await new Promise(resolve => {
      const socket = createConnection(port, '127.0.0.1', () => socket.write('PING\r\n'));
      socket.once('data', data => {
        // A sentinel with a password answers, too.
        resolve(/^(\+PONG|-NOAUTH)/.test(data.toString()));
        socket.destroy();
      });
      socket.once('error', () => resolve(false));
    });
    if (pong) return;
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  throw new Error(`The Redis server on port ${port} did not answer within ${START_TIMEOUT_MS} ms.`);
}
