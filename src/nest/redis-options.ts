/**
 * The check of the option `redis`: one server, sentinels, or an instance of the caller's.
 * Neighbour: `store/redis/connection.ts` says what is made of it.
 */
import type { Redis } from 'ioredis';
import { InvalidOptionError, UnsupportedError } from '../core/errors.js';
import { checkKnown } from '../core/option-checks.js';
import { isRedis } from '../store/redis/connection.js';

const COMMON = ['username', 'password', 'db', 'tls', 'family'];
const OF_SERVER = ['url', 'host', 'port', ...COMMON];
const OF_SENTINELS = [
  'sentinels',
  'name',
  'sentinelUsername',
  'sentinelPassword',
  'sentinelTLS',
  'natMap',
  ...COMMON,
] as const;

type Given = Readonly<Record<string, unknown>>;

/** @throws InvalidOptionError, or UnsupportedError for Redis Cluster */
export function checkRedis(redis: unknown): void {
  if (typeof redis !== 'object' || redis === null) {
    throw new InvalidOptionError(
      'AtomicQueuesModule.redis is missing; give { host, port }, { url }, { sentinels, name } or an ioredis instance.',
    );
  }
  if (isRedis(redis)) checkInstance(redis);
  else if ('sentinels' in redis) checkSentinels(redis as Given);
  else checkKnown('redis', redis, OF_SERVER);
}

function checkInstance(redis: Redis): void {
  if (redis.isCluster) throw new UnsupportedError('Redis Cluster is not supported in this version; give one server.');
  if (redis.options.keyPrefix) {
    throw new InvalidOptionError(
      'The ioredis instance has a keyPrefix, which scripts would not see; use AtomicQueuesModule.keyPrefix.',
    );
  }
}

function checkSentinels(redis: Given): void {
  checkKnown('redis (with sentinels)', redis, OF_SENTINELS);
  const { sentinels, name, natMap } = redis;
  if (!Array.isArray(sentinels) || sentinels.length === 0 || !sentinels.every(isAddress)) {
    throw new InvalidOptionError('redis.sentinels must be an array of at least one { host, port }.');
  }
  if (typeof name !== 'string' || name === '') {
    throw new InvalidOptionError('redis.name is missing: the name under which the sentinels know the primary.');
  }
  const isMap = typeof natMap === 'object' && natMap !== null && Object.values(natMap).every(isAddress);
  if (natMap !== undefined && !isMap) {
    throw new InvalidOptionError(
      "redis.natMap must be an object such as { '10.0.0.5:6379': { host, port } }: a function can't be sent to the thread that renews claims.",
    );
  }
}

function isAddress(address: unknown): boolean {
  const { host, port } = (address ?? {}) as Given;
  return typeof host === 'string' && host !== '' && typeof port === 'number' && port > 0 && port < 65_536;
}
