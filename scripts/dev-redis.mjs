// A Redis for development: demo, tests and benchmarks share it. In this order: REDIS_URL (never flushed: callers use a
// key prefix of their own) · a private redis-server or valkey-server from PATH · a container (Testcontainers finds the
// engine: Docker's socket, DOCKER_HOST; REDIS_IMAGE names another image) · on a Debian-like machine as root, the package
// redis-server · an error that says what to do.
//
// Owns: the choice of the Redis. Neighbour: `redis-supervisor.mjs` runs a private one, in a process of its own.
import { fork, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SUPERVISOR = fileURLToPath(new URL('./redis-supervisor.mjs', import.meta.url));
const DEFAULT_IMAGE = 'redis:7-alpine';
/** Arguments of every private server, before those of the caller. */
const COMMON_ARGS = ['--save', '', '--loglevel', 'warning'];

/**
 * @param {{ args?: string[], alwaysPrivate?: boolean, port?: number, folder?: string }} options of a private server:
 * further arguments, its port, and the folder for its data, which stays; whether REDIS_URL is ignored
 * @returns {Promise<import('./dev-redis.d.mts').DevRedis>}
 */
export async function startRedis({ args = [], alwaysPrivate = false, port, folder } = {}) {
  const given = process.env.REDIS_URL;
  if (given && !alwaysPrivate) {
    const { hostname, port } = new URL(given);
    const signal = async () => {
      throw new Error('The server of REDIS_URL is not ours to signal.');
    };
    return { url: given, host: hostname, port: Number(port || 6379), signal, stop: async () => {} };
  }
  const server = serverOnPath();
  if (server) return startServer(server, { args, port, folder });
  const { container, reason } = await startContainer({ args, port, folder });
  if (container) return container;
  process.stderr.write(`No redis-server on PATH, and no container: ${reason}\n`);
  if (installPackage()) return startServer('redis-server', { args, port, folder });
  throw new Error('No Redis found. Set REDIS_URL, install redis-server or valkey-server, or start Docker.');
}

/** @returns whether tests can have servers that reach one another, as replicas and sentinels must */
export function hasServerOnPath() {
  return serverOnPath() !== undefined;
}

function serverOnPath() {
  return ['redis-server', 'valkey-server'].find(name => spawnSync(name, ['--version']).status === 0);
}

/**
 * Starts a private sentinel, which is the same program as the server.
 * @param {readonly string[]} settings lines of its configuration file
 * @returns as `startRedis`, or undefined when no server is on PATH
 */
export async function startSentinel(settings) {
  const program = serverOnPath();
  if (!program) return undefined;
  const port = await freePort();
  const folder = makeFolder();
  const file = join(folder, 'sentinel.conf');
  const lines = [`port ${port}`, 'bind 127.0.0.1', `dir ${folder}`, ...settings];
  writeFileSync(file, `${lines.join('\n')}\n`);
  return supervise({ program, args: [file, '--sentinel'], folder, isTemporary: true, port });
}

const makeFolder = () => mkdtempSync(join(tmpdir(), 'atomic-queues-redis-'));

async function startServer(program, { args, port: givenPort, folder: givenFolder }) {
  const port = givenPort ?? (await freePort());
  const folder = givenFolder ?? makeFolder();
  const own = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, ...COMMON_ARGS];
  return supervise({ program, args: [...own, ...args], folder, isTemporary: !givenFolder, port });
}

/**
 * @returns a container with Redis in it, or the reason why there is none
 */
export async function startContainer({ args = [], port, folder } = {}) {
  const image = process.env.REDIS_IMAGE || DEFAULT_IMAGE;
  try {
    return { container: await supervise({ image, args: [...COMMON_ARGS, ...args], port, folder }) };
  } catch (error) {
    return { reason: error.message };
  }
}

/** Starts the supervisor of a server, and waits for the server. Neither keeps this process alive. */
async function supervise(what) {
  const supervisor = fork(SUPERVISOR, [JSON.stringify(what)], {
    execArgv: [],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    // Ctrl-C reaches all processes of a group; the server must outlive the programs that use it.
    detached: true,
    windowsHide: true,
  });
  const exited = new Promise(resolve => supervisor.once('exit', resolve));
  const request = async send => {
    supervisor.ref();
    supervisor.channel?.ref();
    const reply = new Promise(resolve => supervisor.once('message', resolve));
    send?.();
    const { error, ...rest } = await Promise.race([reply, exited.then(() => ({ error: 'Its supervisor has ended.' }))]);
    supervisor.channel?.unref();
    supervisor.unref();
    if (error) throw new Error(error);
    return rest;
  };
  const { host, port } = await request();
  const stop = async () => {
    supervisor.ref();
    if (supervisor.connected) supervisor.disconnect();
    await exited;
  };
  const signal = async name => void (await request(() => supervisor.send(name)));
  return { url: `redis://${host}:${port}`, host, port, signal, stop };
}

function installPackage() {
  if (!existsSync('/etc/debian_version') || process.getuid?.() !== 0) return false;
  process.stderr.write('No Redis found: installing the package redis-server.\n');
  const options = { stdio: ['ignore', 2, 2], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } };
  spawnSync('apt-get', ['update', '-qq'], options);
  spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'redis-server'], options);
  return hasServerOnPath();
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
