// Before all files: starts a Redis for each worker of Jest. With REDIS_URL given, that server is the one of all tests.
//
// Neighbours: `redis-of-worker.mjs` gives a test file the server of its worker; `leaks-in-redis.mjs` ends the servers.
import { startRedis } from '../../scripts/dev-redis.mjs';

export const servers = [];

export default async function startServers({ maxWorkers }) {
  const count = process.env.REDIS_URL ? 1 : maxWorkers;
  servers.push(...(await Promise.all(Array.from({ length: count }, () => startRedis()))));
  process.env.REDIS_URLS = servers.map(({ url }) => url).join(' ');
}
