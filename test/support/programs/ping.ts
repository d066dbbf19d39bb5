/** Measures how long Redis stands still, in a process that does nothing else: REDIS_URL; `read` is answered with the worst, in ms. */
import { Redis } from 'ioredis';

const redis = new Redis(process.env['REDIS_URL'] ?? '', { maxRetriesPerRequest: null });
let worstMs = 0;
process.on('message', () => {
  process.send?.(worstMs);
  worstMs = 0;
});
await redis.ping();
process.send?.('ready');
while (process.connected) {
  const from = performance.now();
  await redis.ping();
  worstMs = Math.max(worstMs, performance.now() - from);
  await new Promise(resolve => setTimeout(resolve, 2));
}
redis.disconnect();
