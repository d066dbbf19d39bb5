/** A proxy that delays each response of Redis. It costs time itself, so the round trip is measured. */
import { type AddressInfo, connect, createServer } from 'node:net';
import { Redis } from 'ioredis';
import { median, nowMs } from './records.js';

export async function slowNetwork(port: number, delayMs: number): Promise<{ url: string; close(): void }> {
  const server = createServer({ noDelay: true }, client => {
    const redis = connect({ port, host: '127.0.0.1', noDelay: true });
    client.on('data', sent => redis.write(sent));
    redis.on('data', answer => setTimeout(() => client.write(answer), delayMs));
    for (const [socket, other] of [
      [client, redis],
      [redis, client],
    ] as const) {
      socket.on('error', () => {});
      socket.on('close', () => other.destroy());
    }
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const url = `redis://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, close: () => void server.close() };
}

/** The median time of a round trip, in ms. */
export async function roundTripMs(url: string): Promise<number> {
  const redis = new Redis(url);
  const times: number[] = [];
  for (let i = 0; i < 200; i++) {
    const sentMs = nowMs();
    await redis.ping();
    times.push(nowMs() - sentMs);
  }
  redis.disconnect();
  return median(times);
}
