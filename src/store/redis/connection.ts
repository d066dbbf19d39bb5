/**
 * Connections to Redis: what a user gives, and the settings that each of ours needs.
 *
 * None resends by itself (a call that executes twice or late is the protocol's business, I3), none queues while it is
 * offline (`channel.ts` does, with a deadline). A caller's own ioredis instance is only copied, never used or closed.
 */
import { Redis, type RedisOptions } from 'ioredis';
import { AuthenticationError, messageOf } from '../../core/errors.js';
import type { Log } from '../../core/ports.js';

/** Where Redis is: a URL, host and port, or an ioredis instance of the caller's, which is never closed by us. */
export type RedisConnectionOptions =
  | Redis
  | ({ url?: string } & Pick<RedisOptions, 'host' | 'port' | 'username' | 'password' | 'db' | 'tls' | 'family'>);

/** What a connection is for; its name in `CLIENT LIST`. */
export type ConnectionRole = 'commands' | 'heartbeat' | 'wake-ups';

const MAX_RECONNECT_DELAY_MS = 2000;

const OURS: RedisOptions = {
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  enableOfflineQueue: false,
  lazyConnect: true,
  retryStrategy: times => Math.min(50 * 2 ** Math.min(times, 10), MAX_RECONNECT_DELAY_MS),
};

/** A connection on which an answer is owed and none comes for `silenceMs` is cut and made anew (race 15). */
export interface ConnectionIdentity {
  readonly podId: string;
  readonly role: ConnectionRole;
  readonly silenceMs?: number;
}

export function createConnection(target: RedisConnectionOptions, identity: ConnectionIdentity): Redis {
  const { podId, role, silenceMs } = identity;
  const ours = { ...OURS, connectionName: `atomic-queues:${podId}:${role}`, socketTimeout: silenceMs };
  if (isRedis(target)) return target.duplicate(ours);
  const { url, ...rest } = target;
  return url === undefined ? new Redis({ ...rest, ...ours }) : new Redis(url, { ...rest, ...ours });
}

/** An ioredis instance, also one of another copy of ioredis than ours. */
export function isRedis(target: unknown): target is Redis {
  return typeof target === 'object' && target !== null && 'duplicate' in target && 'status' in target;
}

/** Logs what happens to a connection, once per outage and not once per try. */
export function watchConnection(redis: Redis, role: ConnectionRole, log: Log): void {
  let down = false;
  redis.on('error', (error: Error) => {
    if (!down) log.warn(`Redis (${role}): ${describe(error)}; trying again with backoff.`);
    down = true;
  });
  redis.on('ready', () => {
    if (down) log.info(`Redis (${role}): connected.`);
    down = false;
  });
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

function isAuthenticationError(error: Error): boolean {
  return /WRONGPASS|NOAUTH|invalid password|invalid username-password/i.test(error.message);
}

function describe(error: Error): string {
  const { code } = error as NodeJS.ErrnoException;
  return messageOf(error) || code || error.name;
}
