/** Connections of our own: what must hold with any timers. Fake timers: `test/integration/fake-timers.test.ts`. */
import { createServer, type Server } from 'node:net';
import { OwnRedis } from '../../../../../src/store/redis/connection/own-redis.js';
import { eventually } from '../../../../support/wait.js';

/** Ends each connection at once. */
class DroppingServer {
  connections = 0;
  private readonly server: Server = createServer(socket => {
    this.connections++;
    socket.destroy();
  });

  async listen(): Promise<number> {
    await new Promise<void>(resolve => this.server.listen(0, '127.0.0.1', resolve));
    return (this.server.address() as { port: number }).port;
  }

  async close(): Promise<void> {
    await new Promise(resolve => this.server.close(resolve));
  }
}

function open(port: number): OwnRedis {
  const redis = new OwnRedis({ port, host: '127.0.0.1', lazyConnect: true, retryStrategy: () => 20 });
  redis.on('error', () => {});
  redis.connect().catch(() => {});
  return redis;
}

test('a connection that was opened twice by two timers at once is closed completely', async () => {
  const [closed, kept] = [new DroppingServer(), new DroppingServer()];
  const first = open(await closed.listen());
  const lost = () => new Promise<void>(resolve => first.once('reconnecting', () => resolve()));
  await lost();
  first.connect().catch(() => {});
  await lost();
  first.disconnect();
  const second = open(await kept.listen());
  await eventually('another connection is opened again', () => kept.connections >= 5);
  expect(closed.connections).toBe(2);
  second.disconnect();
  await Promise.all([closed.close(), kept.close()]);
});

test('a connection that is closed at the moment of its loss is not opened again', async () => {
  const [closed, kept] = [new DroppingServer(), new DroppingServer()];
  const first = open(await closed.listen());
  // The event of the loss comes first, and the next connection attempt has not started yet.
  await new Promise<void>(resolve => first.once('close', () => resolve(first.disconnect())));
  const second = open(await kept.listen());
  await eventually('another connection is opened again', () => kept.connections >= 5);
  expect(closed.connections).toBe(1);
  second.disconnect();
  await Promise.all([closed.close(), kept.close()]);
});
