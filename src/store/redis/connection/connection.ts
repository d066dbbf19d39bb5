/**
 * Connections to Redis: the user's options, and the settings that each connection of ours needs.
 *
 * No connection sends anything again by itself, since the protocol decides that (I3). None queues while it is offline: `channel.ts`
 * does, with a deadline. A caller's ioredis instance is only copied, never used or closed.
 * Neighbours: `options.ts` has the options; `own-redis.ts` and `sentinel-connector.ts` change ioredis; `connected.ts` waits for the
 * first connection.
 */
import { Command, type Redis, type RedisOptions } from 'ioredis';
import type { EventSink } from '../../../core/model/events.js';
import type { Clock } from '../../../core/ports/clock.js';
import type { Log } from '../../../core/ports/log.js';
import { clearTimeout, setImmediate, setTimeout } from '../../../core/ports/own-timers.js';
import { isAuthenticationError, reasonOf } from './call-words.js';
import type { PlainConnectionOptions, RedisConnectionOptions } from './options.js';
import { OwnRedis } from './own-redis.js';
import { isFromReplica } from './refusals.js';
import { LastingSentinelConnector } from './sentinel-connector.js';

/** The purpose of a connection, and its name in `CLIENT LIST`. */
export type ConnectionRole = 'commands' | 'heartbeat' | 'wake-ups' | 'replies';

/** A third of the default lease, the interval of renewals: after an outage each pod is back before a lease has passed. In ms. */
const MAX_RECONNECT_DELAY_MS = 1000;

/** How long the network may take to accept a connection, and Redis to respond on it. In ms. */
const HANDSHAKE_MS = 5000;

/** How long a sentinel may take to respond, in ms; then the next one is asked. */
const SENTINEL_RESPONSE_MS = 1000;

/** After a connection to a sentinel is lost: how soon it is opened again, in ms. Each attempt that fails costs a log line of ioredis. */
const SENTINEL_RECONNECT_MS = 10_000;

const backoff = (times: number) => Math.min(50 * 2 ** Math.min(times, 10), MAX_RECONNECT_DELAY_MS);

/**
 * How the primary is found by sentinels. Without the failover detector, connections stay with a primary that was replaced while
 * it was frozen, and pods work its claims in addition to those of the new one.
 */
const BY_SENTINELS = {
  role: 'master',
  // guards: connection.BY_SENTINELS
  failoverDetector: true,
  sentinelCommandTimeout: SENTINEL_RESPONSE_MS,
} as const satisfies RedisOptions;

const OURS: RedisOptions = {
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  enableOfflineQueue: false,
  lazyConnect: true,
  // A connection that is dropped because it hangs would not respond to a farewell either.
  disconnectTimeout: 100,
  retryStrategy: backoff,
  reconnectOnError: error => isFromReplica(error.message),
  // It sends INFO again and again if Redis refuses it. The channel checks whether Redis accepts calls.
  // guards: connection.OURS
  enableReadyCheck: false,
  // Without the ready check, ioredis 5 counts a connection that broke before the response to these as ready, and never replaces it.
  connectionName: undefined,
  disableClientInfo: true,
  ...BY_SENTINELS,
  sentinelRetryStrategy: backoff,
  sentinelReconnectStrategy: () => SENTINEL_RECONNECT_MS,
  // Options of a caller's instance that would change the meaning of responses, or drop them.
  stringNumbers: false,
  enableAutoPipelining: false,
  replyMapping: 'legacy',
  readOnly: false,
  commandTimeout: undefined,
  socketTimeout: undefined,
  blockingTimeout: undefined,
};

/** Names of options that every connection of ours sets, so that a caller can't. */
export const OUR_OPTIONS: ReadonlySet<string> = new Set([...Object.keys(OURS), 'connectTimeout']);

/** A connection of ours, not yet connected. One that is accepted and gets no response is replaced (race 15). */
export function createConnection(
  target: Redis | PlainConnectionOptions,
  role: ConnectionRole,
  podId: string,
  handshakeMs = HANDSHAKE_MS,
): Redis {
  const redis = newRedis(target, { ...OURS, connectTimeout: handshakeMs });
  let handshake: NodeJS.Timeout | undefined;
  const end = () => clearTimeout(handshake);
  redis.on('connect', () => {
    handshake = setTimeout(() => redis.disconnect(true), handshakeMs).unref();
  });
  // ioredis 5 may count a connection as ready before Redis has responded on it.
  redis.on('ready', () => redis.client('SETNAME', `atomic-queues:${podId}:${role}`).then(end, end));
  redis.on('close', end);
  return redis;
}

function newRedis(target: Redis | PlainConnectionOptions, ours: RedisOptions): Redis {
  // Made by our own copy of ioredis: the caller's may be another one.
  if (isRedis(target)) return newRedis(target.options, ours);
  const { url, ...rest } = target;
  const options = { ...TLS_AS_GIVEN, ...rest, ...ours, ...(rest.sentinels && LISTENING) };
  return new OwnRedis(options, url);
}

const LISTENING = { Connector: LastingSentinelConnector as never };

/** With sentinels, ioredis ignores `tls` unless this is set. */
const TLS_AS_GIVEN = { enableTLSForSentinelMode: true };

/**
 * The address of Redis as it can be sent to a thread: an instance as its options, without those that every connection of ours sets.
 * The functions that remain say how Redis is reached, and can't be sent.
 */
export function sendable(target: RedisConnectionOptions): PlainConnectionOptions {
  if (!isRedis(target)) return target;
  return Object.fromEntries(Object.entries(target.options).filter(([name]) => !(name in OURS)));
}

/** As {@link sendable}, for a connection that is not ours and must find the primary as ours do. */
export function sendableElsewhere(target: RedisConnectionOptions): PlainConnectionOptions {
  const options = sendable(target);
  return options.sentinels ? { ...TLS_AS_GIVEN, ...options, ...BY_SENTINELS } : options;
}

/** Whether it is an ioredis instance, of our copy of ioredis or of another. */
export function isRedis(target: unknown): target is Redis {
  return typeof target === 'object' && target !== null && 'duplicate' in target && 'status' in target;
}

/**
 * Logs what happens to a connection, once per outage and not once per attempt.
 * @returns a function to call before the connection is closed on purpose, which is no outage.
 */
export function watchConnection(redis: Redis, role: ConnectionRole, log: Log, events: EventSink): () => void {
  let isUp = false;
  let wasUp = false;
  let isReported = false;
  redis.on('error', (error: Error) => {
    // Credentials that are refused on the first connection fail the start: see `connected.ts`.
    const next = wasUp || !isAuthenticationError(error) ? '; trying again with backoff' : '';
    if (!isReported) log.warn(`Redis (${role}): ${reasonOf(error)}${next}.`);
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
    wasUp = true;
    events.emit({ type: 'connection.restored' });
  });
  return () => redis.off('close', onClose);
}

/** Sends a command with thousands of arguments. ioredis's own method flattens them first, which takes 0.15 µs for each. */
export function sendTexts(redis: Redis, command: string, texts: readonly string[]): Promise<Buffer> {
  const sent = new Command(command, [], { replyEncoding: null });
  sent.args = texts as string[];
  return redis.sendCommand(sent) as Promise<Buffer>;
}

/**
 * The response to a command. A connection that does not bring it in time hangs and is replaced (race 15); this rejects then.
 */
export async function responseOrDrop<T>(
  redis: Redis,
  response: Promise<T>,
  withinMs: number,
  clock: Clock,
): Promise<T> {
  let isPending = true;
  // A response that arrived while the process was blocked is read before the timer counts.
  const timer = clock.after(withinMs, () => setImmediate(() => isPending && redis.disconnect(true)));
  try {
    return await response;
  } finally {
    isPending = false;
    timer.cancel();
  }
}
