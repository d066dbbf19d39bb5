/**
 * A wire between the library and Redis on which a test breaks single connections: one that hangs, open and silent in
 * both directions, or one that is cut at the worst moment, when a step was executed and its answer is on its way.
 */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { ConnectionRole } from '../../src/store/redis/connection.js';
import { redisUrl } from './redis.js';

interface Wire {
  role: string | undefined;
  isFrozen: boolean;
  isCut: boolean;
  readonly pod: Socket;
}

export class RedisProxy {
  private readonly wires: Wire[] = [];
  private isArmed = false;
  private readonly server = createServer(pod => this.join(pod));

  async start(): Promise<string> {
    await new Promise<void>(resolve => this.server.listen(0, '127.0.0.1', resolve));
    return `redis://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** How many connections of that role have ever been made. */
  count(role: ConnectionRole): number {
    return this.wires.filter(wire => wire.role === role).length;
  }

  /** What is open now hangs from now on; what is opened later does not. */
  freeze(role: ConnectionRole): void {
    for (const wire of this.wires) if (wire.role === role) wire.isFrozen = true;
  }

  /** The next script is executed, its answer is swallowed, and the connection is gone. */
  cutNextAnswer(): void {
    this.isArmed = true;
  }

  async close(): Promise<void> {
    for (const { pod } of this.wires) pod.destroy();
    await new Promise(resolve => this.server.close(resolve));
  }

  private join(pod: Socket): void {
    const { hostname, port } = new URL(redisUrl());
    const redis = connect(Number(port || 6379), hostname);
    const wire: Wire = { role: undefined, isFrozen: false, isCut: false, pod };
    this.wires.push(wire);
    pod.on('data', sent => {
      const text = sent.toString('latin1');
      // Every connection of the library says what it is for: `atomic-queues:<pod>:<role>`.
      wire.role ??= text.match(/atomic-queues:[^:]+:([\w-]+)/)?.[1];
      if (this.isArmed && /evalsha/i.test(text)) {
        this.isArmed = false;
        wire.isCut = true;
      }
      if (!wire.isFrozen) redis.write(sent);
    });
    redis.on('data', answer => {
      if (wire.isCut) pod.destroy();
      else if (!wire.isFrozen) pod.write(answer);
    });
    for (const [socket, other] of [
      [pod, redis],
      [redis, pod],
    ] as const) {
      socket.on('error', () => {});
      socket.on('close', () => other.destroy());
    }
  }
}
