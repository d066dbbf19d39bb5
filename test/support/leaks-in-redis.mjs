// After all files: fails the run if a connection of the library or a key of a test is left in Redis. Ends the servers.
import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { servers } from './redis-servers.mjs';

/** The server needs a moment to close a connection. */
const PATIENCE_MS = 5000;

export default async function checkRedis() {
  try {
    const found = (await Promise.all(servers.map(({ url }) => leftIn(url)))).flat();
    if (found.length > 0)
      throw new Error(`Tests left in Redis (${found.length}):\n  ${found.slice(0, 10).join('\n  ')}`);
  } finally {
    await Promise.all(servers.map(server => server.stop()));
  }
}

async function leftIn(url) {
  const redis = new Redis(url);
  try {
    const left = async () => [...(await connections(redis)), ...(await redis.keys('test-*'))];
    const deadline = Date.now() + PATIENCE_MS;
    while ((await left()).length > 0 && Date.now() < deadline) await pause(50);
    return await left();
  } finally {
    redis.disconnect();
  }
}

async function connections(redis) {
  const clients = String(await redis.client('LIST')).split('\n');
  return clients.flatMap(client => client.match(/name=atomic-queues:\S+/)?.[0] ?? []);
}
