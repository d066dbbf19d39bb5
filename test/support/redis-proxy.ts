/** A wire between a pod and Redis, which a test cuts at the worst moment: when a step was executed and its answer is on its way. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { redisUrl } from './redis.js';

export class RedisProxy {
  private readonly sockets = new Set<Socket>();
  private armed = false;
  private readonly server = createServer(pod => this.join(pod));

  async start(): Promise<string> {
    await new Promise<void>(resolve => this.server.listen(0, '127.0.0.1', resolve));
    return `redis://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** The next script is executed, its answer is swallowed, and the connection is gone. */
  cutNextAnswer(): void {
    this.armed = true;
  }

  /** Half-open: nothing comes through any more on the connections of now, and neither end is told. */
  hang(): void {
    for (const socket of this.sockets) socket.removeAllListeners('data').resume();
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise(resolve => this.server.close(resolve));
  }

  private join(pod: Socket): void {
    const { hostname, port } = new URL(redisUrl());
    const redis = connect(Number(port || 6379), hostname);
    let cut = false;
    pod.on('data', sent => {
      if (this.armed && sent.toString('latin1').toLowerCase().includes('evalsha')) {
        this.armed = false;
        cut = true;
      }
      redis.write(sent);
    });
    redis.on('data', answer => {
      if (cut) pod.destroy();
      else pod.write(answer);
    });
    for (const [socket, other] of [
      [pod, redis],
      [redis, pod],
    ] as const) {
      this.sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        this.sockets.delete(socket);
        other.destroy();
      });
    }
  }
}
