/** What our connections take from an ioredis instance of the caller's, and what they don't. */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { Redis } from 'ioredis';
import { createConnection, sendable } from '../../src/store/redis/connection.js';
import { eventually } from '../support/wait.js';

test('where Redis is comes from the instance; what would change the meaning of answers does not', () => {
  const theirs = new Redis({
    lazyConnect: true,
    host: 'somewhere',
    db: 3,
    stringNumbers: true,
    commandTimeout: 1000,
    socketTimeout: 1000,
    enableAutoPipelining: true,
    enableOfflineQueue: true,
  });
  const ours = createConnection(theirs, 'wake-ups', 'pod');
  expect(ours.options).toMatchObject({
    host: 'somewhere',
    db: 3,
    connectionName: 'atomic-queues:pod:wake-ups',
    stringNumbers: false,
    enableAutoPipelining: false,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
  });
  expect([ours.options.commandTimeout, ours.options.socketTimeout]).toEqual([undefined, undefined]);
  expect(theirs.status).toBe('wait');
});

test('an instance can be sent to a thread as its options, unless a function of it says how Redis is reached', () => {
  const sentinels = [{ host: 'sentinel', port: 26_379 }];
  const settings = { lazyConnect: true, sentinels, name: 'primary', password: 'secret', retryStrategy: () => 1 };
  const sent = structuredClone(sendable(new Redis(settings)));
  expect(createConnection(sent, 'heartbeat', 'pod').options).toMatchObject({
    sentinels,
    name: 'primary',
    password: 'secret',
    connectionName: 'atomic-queues:pod:heartbeat',
    enableOfflineQueue: false,
  });
  const reached = sendable(new Redis({ ...settings, natMap: () => null }));
  expect(() => structuredClone(reached)).toThrow(/could not be cloned/);
  const options = { host: 'somewhere', tls: { ca: 'certificate' } };
  expect(sendable(options)).toBe(options);
});

test.each([
  ["READONLY You can't write against a read only replica.", true],
  ["MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", true],
  ['ERR unknown command', false],
])('an answer that says %s: %s, a new connection', (message, expected) => {
  const { reconnectOnError } = createConnection({ host: 'somewhere' }, 'commands', 'pod').options;
  expect(reconnectOnError?.(new Error(message))).toBe(expected);
});

test('race 15: a connection that is accepted and gets no answer is replaced, again and again', async () => {
  const sockets: Socket[] = [];
  const server = createServer(socket => sockets.push(socket.on('error', () => {})));
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const redis = createConnection({ host: '127.0.0.1', port }, 'commands', 'pod', 20);
  redis.on('error', () => {});
  redis.connect().catch(() => {});
  await eventually('it has tried three times', () => sockets.length >= 3);
  redis.disconnect();
  for (const socket of sockets) socket.destroy();
  await new Promise(resolve => server.close(resolve));
});
