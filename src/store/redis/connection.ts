/**
 * Connections to Redis: what a user gives, and the settings that each of ours needs.
 *
 * None resends by itself (a call that executes twice or late is the protocol's business, I3), none queues while it is
 * offline (`channel.ts` does, with a deadline). A caller's own ioredis instance is only copied, never used or closed.
 */
import { Command, Redis, type RedisOptions } from 'ioredis';
import { AuthenticationError, messageOf } from '../../core/errors.js';
import type { EventSink } from '../../core/events.js';
import type { Clock, Log } from '../../core/ports.js';

/** Where Redis is: a URL, host and port, or an ioredis instance of the caller's, which is never closed by us. */
export type RedisConnectionOptions =
  | Redis
  | ({ url?: string } & Pick<RedisOptions, 'host' | 'port' | 'username' | 'password' | 'db' | 'tls' | 'family'>);

/** Where Redis is, without an instance. */
export type PlainConnectionOptions = { url?: string } & RedisOptions;

/** What a connection is for; its name in `CLIENT LIST`. */
export type ConnectionRole = 'commands' | 'heartbeat' | 'wake-ups' | 'answers';

const MAX_RECONNECT_DELAY_MS = 2000;
/** From the moment the network accepts a connection until Redis answers on it. */
const HANDSHAKE_MS = 5000;

/** What a server answers that was the primary. */
export const REPLICA_ERROR = /^(READONLY|MASTERDOWN)\b/;

const OURS: RedisOptions = {
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  enableOfflineQueue: false,
  lazyConnect: true,
  // A connection that is dropped because it hangs would not answer a farewell either.
  disconnectTimeout: 100,
  retryStrategy: times => Math.min(50 * 2 ** Math.min(times, 10), MAX_RECONNECT_DELAY_MS),
  reconnectOnError: error => REPLICA_ERROR.test(error.message),
  // What a caller's instance may have set, and what would change the meaning of answers or take them away.
  stringNumbers: false,
  enableAutoPipelining: false,
  commandTimeout: undefined,
  socketTimeout: undefined,
  blockingTimeout: undefined,
};

/** A connection of ours, not yet connected. One that is accepted and then gets no answer is replaced (race 15). */
export function createConnection(
  target: Redis | PlainConnectionOptions,
  role: ConnectionRole,
  podId: string,
  handshakeMs = HANDSHAKE_MS,
): Redis {
  const redis = newRedis(target, { ...OURS, connectionName: `atomic-queues:${podId}:${role}` });
  let handshake: NodeJS.Timeout | undefined;
  redis.on('connect', () => {
    handshake = setTimeout(() => redis.disconnect(true), handshakeMs).unref();
  });
  for (const event of ['ready', 'close']) redis.on(event, () => clearTimeout(handshake));
  return redis;
}

function newRedis(target: Redis | PlainConnectionOptions, ours: RedisOptions): Redis {
  // By our own copy of ioredis, which may be another than the caller's.
  if (isRedis(target)) return new Redis({ ...target.options, ...ours });
  const { url, ...rest } = target;
  return url === undefined ? new Redis({ ...rest, ...ours }) : new Redis(url, { ...rest, ...ours });
}

/** They say when to ask the sentinels again, which ioredis knows by itself. */
const SENTINEL_STRATEGIES = ['sentinelRetryStrategy', 'sentinelReconnectStrategy'];

/**
 * Where Redis is, as it may be sent to a thread: an instance as its options, without those that every connection of
 * ours sets, and without strategies. What functions are left say how Redis is reached, and can't be sent.
 */
export function sendable(target: RedisConnectionOptions): PlainConnectionOptions {
  if (!isRedis(target)) return target;
  const isLeftOut = (name: string) => name in OURS || SENTINEL_STRATEGIES.includes(name);
  return Object.fromEntries(Object.entries(target.options).filter(([name]) => !isLeftOut(name)));
}

/** An ioredis instance, also one of another copy of ioredis than ours. */
export function isRedis(target: unknown): target is Redis {
  return typeof target === 'object' && target !== null && 'duplicate' in target && 'status' in target;
}

/**
 * Says what happens to a connection, once per outage and not once per try.
 * @returns what to call before it is closed on purpose, which is no outage.
 */
export function watchConnection(redis: Redis, role: ConnectionRole, log: Log, events: EventSink): () => void {
  let isUp = false;
  let isReported = false;
  redis.on('error', (error: Error) => {
    if (!isReported) log.warn(`Redis (${role}): ${describe(error)}; trying again with backoff.`);
    isReported = true;
  });
  const onClose = () => {
    if (isUp) events.emit({ type: 'connection.lost', reason: `the connection to Redis (${role}) was closed` });
    isUp = false;
  };
  redis.on('close', onClose);
  redis.on('ready', () => {
    if (isReported) log.info(`Redis (${role}): connected.`);
    isReported = false;
    isUp = true;
    events.emit({ type: 'connection.restored' });
  });
  return () => redis.off('close', onClose);
}

/** Resolves when the connection is ready; rejects when Redis refuses the credentials, which no retry can mend. */
export function connected(redis: Redis): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error) => {
      redis.off('ready', settle);
      redis.off('error', onError);
      if (error) reject(error);
      else resolve();
    };
    const onError = (error: Error) => {
      if (isAuthenticationError(error)) {
        settle(
          new AuthenticationError(`Redis refused the credentials (${error.message}); check username and password.`, {
            cause: error,
          }),
        );
      }
    };
    redis.on('ready', settle);
    redis.on('error', onError);
    // A failing first try is reported by 'error' events; ioredis goes on trying.
    if (redis.status === 'wait') redis.connect().catch(() => {});
    else if (redis.status === 'ready') settle();
  });
}

/** Sends a command with thousands of arguments. By ioredis's own method they are flattened first: 0.15 µs for each. */
export function sendTexts(redis: Redis, command: string, texts: readonly string[]): Promise<Buffer> {
  const sent = new Command(command, [], { replyEncoding: null });
  sent.args = texts as string[];
  return redis.sendCommand(sent) as Promise<Buffer>;
}

/**
 * The answer to a command; a connection that does not give it in time hangs, and is replaced (race 15). Rejects then.
 */
export async function answerOrDrop<T>(redis: Redis, answer: Promise<T>, withinMs: number, clock: Clock): Promise<T> {
  let isOwed = true;
  // What arrived while the process was blocked is read before the timer's word counts.
  const timer = clock.after(withinMs, () => setImmediate(() => isOwed && redis.disconnect(true)));
  try {
    return await answer;
  } finally {
    isOwed = false;
    timer.cancel();
  }
}

function isAuthenticationError(error: Error): boolean {
  return /WRONGPASS|NOAUTH|invalid password|invalid username-password/i.test(error.message);
}

function describe(error: Error): string {
  const { code } = error as NodeJS.ErrnoException;
  return messageOf(error) || code || error.name;
}
