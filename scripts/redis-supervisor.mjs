// Runs one Redis for `dev-redis.mjs`, as a process or in a container, until the process that uses it ends. If that process is killed,
// this one loses its channel; it then kills the server and removes the server's files.
//
// Owns: the life of one server. Neighbours: `dev-redis.mjs` decides what to run, and starts this file as a process.
// Its first message says where the server is, or why there is none: { host, port } or { error }. Each message that it
// receives is the name of a signal for the server; it replies { done } when the signal is sent.
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { createConnection } from 'node:net';

const START_TIMEOUT_MS = 10_000;
const PORT_IN_CONTAINER = 6379;
const FOLDER_IN_CONTAINER = '/data';

const { program, image, args, port, folder, isTemporary } = JSON.parse(process.argv[2]);
let server;
let isOrphan = false;
process.once('disconnect', () => {
  isOrphan = true;
  // While the server starts, nothing can be ended yet: the start checks again when it is done.
  if (server) end();
});
// Ctrl-C reaches every process of a Windows console. The process that uses the server decides when it ends.
process.on('SIGINT', () => {});

try {
  server = program ? startProcess() : await startContainer();
  await Promise.race([answers(server.host, server.port), server.failed]);
  process.on('message', async name => {
    const { error } = await server.signal(name).then(
      () => ({}),
      error => ({ error }),
    );
    report(error ? { error: error.message } : { done: true });
  });
  if (isOrphan) await end();
  else report({ host: server.host, port: server.port });
} catch (error) {
  report({ error: error.message });
  await end();
}

/** @returns the server: where it is, how to signal and end it, and a promise that rejects when it ends by itself */
function startProcess() {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'], windowsHide: true });
  const exited = new Promise(resolve => child.once('exit', resolve));
  const failed = new Promise((_, reject) => {
    child.once('error', reject);
    child.once('exit', code => reject(new Error(`${program} ended at once, with code ${code}.`)));
  });
  failed.catch(() => {});
  return {
    host: '127.0.0.1',
    port,
    failed,
    signal: async name => void child.kill(name),
    end: async () => {
      // Ends a stopped one, too.
      if (child.kill('SIGKILL')) await exited;
    },
  };
}

async function startContainer() {
  const { GenericContainer, getContainerRuntimeClient } = await import('testcontainers');
  const { container: engine } = await getContainerRuntimeClient();
  const wanted = new GenericContainer(image)
    // Images that are not the official one refuse connections from outside otherwise, and write elsewhere.
    .withCommand(['redis-server', '--protected-mode', 'no', '--dir', folder ? FOLDER_IN_CONTAINER : '/tmp', ...args])
    .withExposedPorts(port ? { container: PORT_IN_CONTAINER, host: port } : PORT_IN_CONTAINER);
  if (folder) {
    wanted.withBindMounts([{ source: folder, target: FOLDER_IN_CONTAINER }]);
    // The caller then removes its files.
    if (process.getuid) wanted.withUser(`${process.getuid()}:${process.getgid()}`);
  }
  const container = await wanted.start();
  return {
    host: container.getHost(),
    port: container.getMappedPort(PORT_IN_CONTAINER),
    failed: new Promise(() => {}),
    signal: name => engine.getById(container.getId()).kill({ signal: name }),
    end: () => container.stop({ timeout: 0 }),
  };
}

function report(message) {
  if (process.connected) process.send(message);
}

async function end() {
  await server?.end().catch(error => process.stderr.write(`The development Redis did not end: ${error.message}\n`));
  if (isTemporary) rmSync(folder, { recursive: true, force: true });
  process.exit();
}

/** Waits until the server answers a PING. */
async function answers(host, port) {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline) {
    const pong = await new Promise(resolve => {
      const socket = createConnection(port, host, () => socket.write('PING\r\n'));
      socket.once('data', data => {
        // A sentinel with a password answers, too.
        resolve(/^(\+PONG|-NOAUTH)/.test(data.toString()));
        socket.destroy();
      });
      for (const event of ['error', 'close']) socket.once(event, () => resolve(false));
    });
    if (pong) return;
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  throw new Error(`The Redis server on port ${port} did not answer within ${START_TIMEOUT_MS} ms.`);
}
