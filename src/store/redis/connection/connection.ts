/**
 * Connections to Redis: what a user gives, and the settings that each of ours needs.
 *
 * None resends by itself (a call that executes twice or late is the protocol's business, I3), none queues while it is
 * offline (`channel.ts` does, with a deadline). A caller's own ioredis instance is only copied, never used or closed.
 */

import { Command, type Redis, type RedisOptions } from 'ioredis';
import { messageOf } from '../../../core/model/errors.js';
import type { EventSink } from '../../../core/model/events.js';
import { AuthenticationError, StoreUnavailableError } from '../../../core/model/store-errors.js';
import type { Clock } from '../../../core/ports/clock.js';
import type { Log } from '../../../core/ports/log.js';
import { clearTimeout, setImmediate, setTimeout } from '../../../core/ports/own-timers.js';
import { addressOf, reasonOf } from './call-words.js';
import type { PlainConnectionOptions, RedisConnectionOptions } from './options.js';
import { OwnRedis } from './own-redis.js';
import { isFromReplica } from './refusals.js';
import { LastingSentinelConnector } from './sentinel-connector.js';

/** What a connection is for; its name in `CLIENT LIST`. */
export type ConnectionRole = 'commands' | 'heartbeat' | 'wake-ups' | 'answers';

/** A third of the default lease, as often as claims are renewed: after an outage each pod is back before a lease has passed. */
const MAX_RECONNECT_DELAY_MS = 1000;

/** How long the network may take to accept a connection, and Redis to answer on it. */
const HANDSHAKE_MS = 5000;

/** A sentinel that does not answer for that long is passed over: the others know as much. */
const SENTINEL_ANSWER_MS = 1000;

/** How soon a sentinel that went away is listened to again; one that stays away costs a line of ioredis's each time. */
const SENTINEL_RECONNECT_MS = 10_000;

const backoff = (times: number) => Math.min(50 * 2 ** Math.min(times, 10), MAX_RECONNECT_DELAY_MS);

/**
 * How the primary is found by sentinels. Without the failover detector, connections stay with a primary that was replaced while
 * it was frozen, and pods work its claims beside those of the new one.
 */
const BY_SENTINELS = {
  role: 'master',
  // guards: connection.BY_SENTINELS
  failoverDetector: true,
  sentinelCommandTimeout: SENTINEL_ANSWER_MS,
} as const satisfies RedisOptions;

const OURS: RedisOptions = {
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  enableOfflineQueue: false,
  lazyConnect: true,
  // A connection that is dropped because it hangs would not answer a farewell either.
  disconnectTimeout: 100,
  retryStrategy: backoff,
  reconnectOnError: error => isFromReplica(error.message),
  // It asks INFO, which Redis may refuse, and then there is no end to it; the channel finds out whether Redis takes calls.
  // guards: connection.OURS
  enableReadyCheck: false,
  // Without that check, ioredis 5 calls a connection that broke before these were answered ready, and never replaces it.
  connectionName: undefined,
  disableClientInfo: true,
  ...BY_SENTINELS,
  sentinelRetryStrategy: backoff,
  sentinelReconnectStrategy: () => SENTINEL_RECONNECT_MS,
  // What a caller's instance may have set, and what would change the meaning of answers or take them away.
  stringNumbers: false,
  enableAutoPipelining: false,
  replyMapping: 'legacy',
  readOnly: false,
  commandTimeout: undefined,
  socketTimeout: undefined,
  blockingTimeout: undefined,
};

/** Names of options that a caller can't set: those of every connection of ours. */
export const OUR_OPTIONS: ReadonlySet<string> = new Set([...Object.keys(OURS), 'connectTimeout']);

/** A connection of ours, not yet connected. One that is accepted and then gets no answer is replaced (race 15). */
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
  // ioredis 5 may call a connection ready on which Redis has not answered yet.
  redis.on('ready', () => redis.client('SETNAME', `atomic-queues:${podId}:${role}`).then(end, end));
  redis.on('close', end);
  return redis;
}

function newRedis(target: Redis | PlainConnectionOptions, ours: RedisOptions): Redis {
  // By our own copy of ioredis, which may be another than the caller's.
  if (isRedis(target)) return newRedis(target.options, ours);
  const { url, ...rest } = target;
  const options = { ...TLS_AS_GIVEN, ...rest, ...ours, ...(rest.sentinels && LISTENING) };
  return new OwnRedis(options, url);
}

const LISTENING = { Connector: LastingSentinelConnector as never };

/** ioredis leaves `tls` out of account where sentinels are given, unless it is told so. */
const TLS_AS_GIVEN = { enableTLSForSentinelMode: true };

/**
 * Where Redis is, as it may be sent to a thread: an instance as its options, without those that every connection of
 * ours sets. What functions are left say how Redis is reached, and can't be sent.
 */
export function sendable(target: RedisConnectionOptions): PlainConnectionOptions {
  if (!isRedis(target)) return target;
  return Object.fromEntries(Object.entries(target.options).filter(([name]) => !(name in OURS)));
}

/** As {@link sendable}, for a connection that is not one of ours, and finds the primary as ours do. */
export function sendableElsewhere(target: RedisConnectionOptions): PlainConnectionOptions {
  const options = sendable(target);
  return options.sentinels ? { ...TLS_AS_GIVEN, ...options, ...BY_SENTINELS } : options;
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
  let wasUp = false;
  let isReported = false;
  redis.on('error', (error: Error) => {
    // Credentials that are refused at first fail the start: see `connected`.
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

/**
 * Resolves when Redis answers on the connection. Rejects with what no retry can mend: it refuses the credentials, or ioredis gave up.
 * `onUnreachable` is told of each attempt that failed and is repeated.
 */
export function connected(redis: Redis, onUnreachable: (reason: string) => void = () => {}): Promise<void> {
  return new Promise((resolve, reject) => {
    let isSettled = false;
    const settle = (error?: Error) => {
      isSettled = true;
      redis.off('ready', onReady);
      redis.off('error', onError);
      if (error) reject(error);
      else resolve();
    };
    const onError = (error: Error) => {
      if (isAuthenticationError(error)) {
        settle(
          new AuthenticationError(
            `Redis at ${addressOf(redis.options)} refused the credentials (${reasonOf(error)}); check username and password.`,
            { cause: error },
          ),
        );
        return;
      }
      // ioredis says whether it tries again after it has told of the error.
      setImmediate(() => isSettled || onUnreachable(messageOf(error)));
    };
    const onReady = () => {
      redis.client('ID').then(
        () => settle(),
        error => {
          onError(error);
          // Any other answer is one; if there was none, the next connection is waited for.
          if (error.name === 'ReplyError') settle();
        },
      );
    };
    const onFailure = (error: Error) => {
      if (redis.status !== 'end') return;
      settle(new StoreUnavailableError(`No connection to Redis can be made (${messageOf(error)}).`, { cause: error }));
    };
    redis.on('ready', onReady);
    redis.on('error', onError);
    // A failing first try is reported by 'error' events. ioredis goes on trying, unless Node could not even begin to connect.
    // guards: connection.connected
    if (redis.status === 'wait') redis.connect().catch(onFailure);
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
