// After all files: fails the run when a connection of the library or a key of a test is left in Redis.
import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';

/** Closing a connection takes the server too. */
const PATIENCE_MS = 5000;

export default async function checkRedis() {
  const url = process.env.REDIS_URL;
  if (!url) return;
  const redis = new Redis(url);
  try {
    const left = async () => [...(await connections(redis)), ...(await redis.keys('test-*'))];
    const deadline = Date.now() + PATIENCE_MS;
    while ((await left()).length > 0 && Date.now() < deadline) await pause(50);
    const found = await left();
    if (found.length > 0)
      throw new Error(`Tests left in Redis (${found.length}):\n  ${found.slice(0, 10).join('\n  ')}`);
  } finally {
    redis.disconnect();
  }
}

async function connections(redis) {
  const clients = String(await redis.client('LIST')).split('\n');
  return clients.flatMap(client => client.match(/name=atomic-queues:\S+/)?.[0] ?? []);
}
