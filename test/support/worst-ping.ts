/** How long Redis stands still during an action: the longest PING of a connection that only pings. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { Redis } from 'ioredis';

/** Longer than the event loop of this process needs for other work. */
const EVERY_MS = 2;

/**
 * Runs `body` while another connection pings without a pause, and measures the longest wait for a response, in ms.
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

/** Like {@link worstPing}, but measured by a process of its own, so that the work of this process is not counted. */
export class PingProcess {
  private constructor(private readonly child: ChildProcess) {}

  static async start(url: string): Promise<PingProcess> {
    const env = { ...process.env, REDIS_URL: url, NODE_OPTIONS: '' };
    const child = fork('build/test/support/programs/ping.js', { env, execArgv: [] });
    await once(child, 'message');
    return new PingProcess(child);
  }

  /** The longest wait for a response while `body` runs, in ms. */
  async during(body: () => Promise<unknown>): Promise<number> {
    await this.read();
    await body();
    return this.read();
  }

  close(): void {
    this.child.kill('SIGKILL');
  }

  private async read(): Promise<number> {
    this.child.send('read');
    const [worstMs] = await once(this.child, 'message');
    return Math.round(Number(worstMs));
  }
}
