/** How long Redis stands still while something else is done: the longest PING of a connection that does nothing but ask. */
import { Redis } from 'ioredis';

/** Longer than the event loop of this process needs for anything else. */
const EVERY_MS = 2;

/**
 * Runs `body` while another connection pings without a pause, and measures the longest answer in ms.
 *
 * The event loop of this process is shared with `body`: where `body` builds large payloads, run it in a process of its own.
 */
export async function worstPing<T>(url: string, body: () => Promise<T>): Promise<{ worstMs: number; result: T }> {
  const redis = new Redis(url, { maxRetriesPerRequest: null });
  await redis.ping();
  let worstMs = 0;
  let isOver = false;
  const pinging = (async () => {
    while (!isOver) {
      const from = performance.now();
      await redis.ping();
      worstMs = Math.max(worstMs, performance.now() - from);
      await new Promise(resolve => setTimeout(resolve, EVERY_MS));
    }
  })();
  try {
    return { result: await body(), worstMs: await ended() };
  } finally {
    await ended();
    redis.disconnect();
  }

  async function ended(): Promise<number> {
    isOver = true;
    await pinging;
    return worstMs;
  }
}
