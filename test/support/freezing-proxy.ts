/** A way to Redis on which single connections can be made to hang: open, and silent in both directions. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { ConnectionRole } from '../../src/store/redis/connection.js';

interface Connection {
  role: string | undefined;
  frozen: boolean;
  readonly client: Socket;
}

export class FreezingProxy {
  private readonly connections: Connection[] = [];
  private readonly server = createServer(client => this.accept(client));

  constructor(private readonly target: URL) {}

  async start(): Promise<string> {
    await new Promise<void>(resolve => this.server.listen(0, '127.0.0.1', resolve));
    const url = new URL(this.target);
    url.host = `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
    return url.href;
  }

  /** How many connections of that role have ever been made. */
  count(role: ConnectionRole): number {
    return this.connections.filter(connection => connection.role === role).length;
  }

  /** What is open now hangs from now on; what is opened later does not. */
  freeze(role: ConnectionRole): void {
    for (const connection of this.connections) if (connection.role === role) connection.frozen = true;
  }

  async stop(): Promise<void> {
    for (const { client } of this.connections) client.destroy();
    await new Promise(resolve => this.server.close(resolve));
  }

  private accept(client: Socket): void {
    const connection: Connection = { role: undefined, frozen: false, client };
    this.connections.push(connection);
    const redis = connect(Number(this.target.port || 6379), this.target.hostname);
    client.on('data', data => {
      // Every connection of the library says what it is for: `atomic-queues:<pod>:<role>`.
      connection.role ??= data.toString().match(/atomic-queues:[^:]+:([\w-]+)/)?.[1];
      if (!connection.frozen) redis.write(data);
    });
    redis.on('data', data => {
      if (!connection.frozen) client.write(data);
    });
    for (const [from, to] of [
      [client, redis],
      [redis, client],
    ] as const) {
      from.on('close', () => to.destroy());
      from.on('error', () => to.destroy());
    }
  }
}
