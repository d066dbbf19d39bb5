/** Which settings our connections take from an ioredis instance of the caller's, and which they do not. */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { Redis } from 'ioredis';
import { NO_EVENTS } from '../../../../../src/core/model/events.js';
import { addressOf } from '../../../../../src/store/redis/connection/call-words.js';
import { connected } from '../../../../../src/store/redis/connection/connected.js';
import { createConnection, sendable, watchConnection } from '../../../../../src/store/redis/connection/connection.js';
import { RecordingLog } from '../../../../support/log.js';
import { eventually } from '../../../../support/wait.js';

test('the address of Redis comes from the instance; settings that would change the meaning of responses do not', () => {
  const theirs = new Redis({
    lazyConnect: true,
    host: 'somewhere',
    db: 3,
    stringNumbers: true,
    commandTimeout: 1000,
    socketTimeout: 1000,
    enableAutoPipelining: true,
    enableOfflineQueue: true,
    role: 'slave',
    readOnly: true,
    replyMapping: 'resp3',
  });
  const ours = createConnection(theirs, 'wake-ups', 'pod');
  expect(ours.options).toMatchObject({
    host: 'somewhere',
    db: 3,
    stringNumbers: false,
    enableAutoPipelining: false,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    enableReadyCheck: false,
    role: 'master',
    readOnly: false,
    replyMapping: 'legacy',
  });
  expect([ours.options.commandTimeout, ours.options.socketTimeout]).toEqual([undefined, undefined]);
  expect(theirs.status).toBe('wait');
});

test('an instance can be sent to a thread as its options, unless a function of it determines how Redis is reached', () => {
  const sentinels = [{ host: 'sentinel', port: 26_379 }];
  const settings = { lazyConnect: true, sentinels, name: 'primary', password: 'secret', retryStrategy: () => 1 };
  const sent = structuredClone(sendable(new Redis(settings)));
  expect(createConnection(sent, 'heartbeat', 'pod').options).toMatchObject({
    sentinels,
    name: 'primary',
    password: 'secret',
    failoverDetector: true,
    role: 'master',
    enableOfflineQueue: false,
  });
  const reached = sendable(new Redis({ ...settings, natMap: () => null }));
  expect(() => structuredClone(reached)).toThrow(/could not be cloned/);
  const options = { host: 'somewhere', tls: { ca: 'certificate' } };
  expect(sendable(options)).toBe(options);
});

const SAFE = {
  failoverDetector: true,
  role: 'master',
  enableTLSForSentinelMode: true,
  sentinelCommandTimeout: 1000,
};

test('sentinels can be sent to a thread, and the thread also keeps asking them without end', () => {
  const natMap = { '10.0.0.5:6379': { host: 'outside', port: 7000 } };
  const given = {
    sentinels: [{ host: 'sentinel', port: 26_379 }],
    name: 'primary',
    sentinelPassword: 'secret',
    natMap,
  };
  const { options } = createConnection(structuredClone(sendable(given)), 'heartbeat', 'pod');
  expect(options).toMatchObject({ ...given, ...SAFE });
  const { retryStrategy, sentinelRetryStrategy } = options as Required<typeof options>;
  for (const strategy of [retryStrategy, sentinelRetryStrategy])
    expect([1, 3, 5, 1_000_000].map(times => strategy?.(times))).toEqual([100, 400, 1000, 1000]);
});

test.each([
  ["READONLY You can't write against a read only replica.", true],
  ["MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", true],
  ['ERR unknown command', false],
])('the response "%s" leads to a new connection: %s', (message, expected) => {
  const { reconnectOnError } = createConnection({ host: 'somewhere' }, 'commands', 'pod').options;
  expect(reconnectOnError?.(new Error(message))).toBe(expected);
});

test('race 15: a connection that is accepted and gets no response is replaced, again and again', async () => {
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

test('a connection that Node cannot even attempt is reported once, without the promise to try again', async () => {
  const redis = createConnection({ host: '127.0.0.1', tls: { minVersion: 'none' as never } }, 'commands', 'pod');
  redis.on('error', () => {});
  const unreachable: string[] = [];
  await expect(connected(redis, reason => unreachable.push(reason))).rejects.toMatchObject({
    code: 'STORE_UNAVAILABLE',
    message: expect.stringMatching(/^No connection to Redis can be made \(.*protocol version/),
  });
  await new Promise(resolve => setImmediate(resolve));
  expect(unreachable).toEqual([]);
});

test('refused credentials are logged without the promise to try again at the first connection, and with it later', () => {
  const redis = createConnection({ host: 'somewhere' }, 'commands', 'pod');
  redis.removeAllListeners('ready');
  const log = new RecordingLog();
  watchConnection(redis, 'commands', log, NO_EVENTS);
  const refused = new Error('WRONGPASS invalid username-password pair or user is disabled.');
  redis.emit('error', refused);
  redis.emit('ready');
  redis.emit('error', refused);
  expect(log.lines).toEqual([
    'warn Redis (commands): WRONGPASS invalid username-password pair or user is disabled.',
    'info Redis (commands): connected.',
    'warn Redis (commands): WRONGPASS invalid username-password pair or user is disabled; trying again with backoff.',
  ]);
});

test.each([
  [{ host: 'somewhere', port: 6398 }, 'somewhere:6398'],
  [{ url: 'redis://me:secret@somewhere:6398/2' }, 'somewhere:6398'],
  [{ host: '::1' }, '[::1]:6379'],
  [
    { sentinels: [{ host: 'sentinel', port: 1 }], name: 'main', password: 'secret' },
    'the primary "main" of the sentinels',
  ],
])('the address of Redis in an error is right: %j is %s', (target, expected) => {
  expect(addressOf(createConnection(target, 'commands', 'pod').options)).toBe(expected);
});

test('each failed attempt that is repeated is logged with its reason', async () => {
  const redis = createConnection({ host: '127.0.0.1', port: 1 }, 'commands', 'pod');
  redis.on('error', () => {});
  const unreachable: string[] = [];
  connected(redis, reason => unreachable.push(reason)).catch(() => {});
  await eventually('two attempts have failed', () => unreachable.length === 2);
  expect(unreachable[0]).toMatch(/ECONNREFUSED/);
  redis.disconnect();
});
