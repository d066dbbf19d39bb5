/**
 * The check of the option `redis`: one server, sentinels, or an instance of the caller's.
 * Neighbour: `store/redis/connection/connection.ts` says what is made of it.
 */
import type { Redis } from 'ioredis';
import { InvalidOptionError, UnsupportedError } from '../../core/model/errors.js';
import { checkKnown, type OptionPlace } from '../../core/options/checks.js';
import { isRedis, OUR_OPTIONS } from '../../store/redis/connection/connection.js';

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

/** For the names that say where Redis is, written in another place. */
export const OF_REDIS: OptionPlace = { path: 'redis', names: [...OF_SERVER, 'sentinels'] };

type Given = Readonly<Record<string, unknown>>;

/**
 * @param elsewhere places to which an unknown option may belong.
 * @throws InvalidOptionError, or UnsupportedError for Redis Cluster
 */
export function checkRedis(redis: unknown, elsewhere: readonly OptionPlace[] = []): void {
  if (typeof redis === 'string') {
    throw new InvalidOptionError("AtomicQueuesModule.redis is a text; give { url: 'redis://…' }.");
  }
  if (typeof redis !== 'object' || redis === null) {
    throw new InvalidOptionError(
      'AtomicQueuesModule.redis is missing; give { host, port }, { url }, { sentinels, name } or an ioredis instance.',
    );
  }
  if (isRedis(redis)) checkInstance(redis);
  else if ('sentinels' in redis) checkSentinels(redis as Given, elsewhere);
  else checkServer(redis as Given, elsewhere);
}

function checkInstance(redis: Redis): void {
  if (redis.isCluster) throw new UnsupportedError('Redis Cluster is not supported in this version; give one server.');
  if (redis.options.keyPrefix) throw hasPrefix('The ioredis instance');
  checkNumbers('The options of the ioredis instance: ', redis.options as Given);
}

/** ioredis takes a database that is no number for 0, and gives up silently at such a port. */
function checkNumbers(path: string, { port, db }: Given): void {
  if (port !== undefined && !isPort(port)) {
    throw new InvalidOptionError(`${path}port must be a whole number from 1 to 65535.`);
  }
  if (db !== undefined && !isWhole(db)) throw new InvalidOptionError(`${path}db must be a whole number from 0.`);
}

function hasPrefix(culprit: string): InvalidOptionError {
  return new InvalidOptionError(
    `${culprit} has a keyPrefix, which scripts would not see; use AtomicQueuesModule.keyPrefix.`,
  );
}

function checkServer(redis: Given, elsewhere: readonly OptionPlace[]): void {
  if (typeof redis['on'] === 'function') {
    throw new InvalidOptionError(
      'AtomicQueuesModule.redis is an instance of something else than ioredis, such as a mock, which runs no scripts; give { url }, { host, port } or an ioredis instance.',
    );
  }
  checkKnown('redis', redis, OF_SERVER, elsewhere);
  const { url, host } = redis;
  if (url !== undefined) checkUrl(url);
  if (host !== undefined && (typeof host !== 'string' || host === '')) {
    throw new InvalidOptionError('redis.host must be a text that is not empty.');
  }
  checkNumbers('redis.', redis);
  const isGiven = url !== undefined || host !== undefined;
  const forgotten = ['url', 'host', 'port'].find(name => name in redis && redis[name] === undefined);
  if (!isGiven && forgotten !== undefined) {
    throw new InvalidOptionError(
      `redis.${forgotten} is undefined: is an environment variable not set? Without it Redis on localhost would be used; leave redis.${forgotten} out if that is what you want.`,
    );
  }
}

/** The URL is not quoted: it may hold a password. What it says of options wins over what every connection of ours sets. */
function checkUrl(url: unknown): void {
  const scheme = typeof url === 'string' ? /^([a-z][a-z\d+.-]*):\/\//i.exec(url)?.[1] : undefined;
  const isSound = typeof url === 'string' && url !== '' && (scheme === undefined || /^rediss?$/i.test(scheme));
  if (!isSound || (scheme !== undefined && !URL.canParse(url))) {
    throw new InvalidOptionError(
      'redis.url must be a URL such as redis://host:6379 or rediss://user:password@host:6379/0.',
    );
  }
  const [, query = ''] = url.split('?', 2);
  const parameters = new URLSearchParams(query);
  const databases = [scheme === undefined ? '' : new URL(url).pathname.replaceAll('/', ''), parameters.get('db') ?? ''];
  if (databases.some(db => db !== '' && !isWhole(db))) {
    throw new InvalidOptionError('redis.url has a database that is no whole number; write it as redis://host:6379/0.');
  }
  for (const name of parameters.keys()) {
    if (name === 'keyPrefix') throw hasPrefix('redis.url');
    if (OUR_OPTIONS.has(name)) {
      throw new InvalidOptionError(
        `redis.url has the option "${name}", which each connection of this library sets itself; take it out.`,
      );
    }
  }
}

function isPort(port: unknown): boolean {
  return isWhole(port) && Number(port) > 0 && Number(port) < 65_536;
}

/** A whole number from 0, also as text: from an environment variable. */
function isWhole(value: unknown): boolean {
  return typeof value === 'string' ? /^\d+$/.test(value) : Number.isInteger(value) && Number(value) >= 0;
}

function checkSentinels(redis: Given, elsewhere: readonly OptionPlace[]): void {
  checkKnown('redis (with sentinels)', redis, OF_SENTINELS, elsewhere);
  checkNumbers('redis.', redis);
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
  return typeof host === 'string' && host !== '' && typeof port === 'number' && isPort(port);
}
