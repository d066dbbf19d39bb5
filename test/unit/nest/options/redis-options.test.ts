/** The option `redis`: values that are refused before anything connects, and values that are accepted. */
import { Redis } from 'ioredis';
import { checkRedis } from '../../../../src/nest/options/redis-options.js';

test.each<[string, unknown]>([
  ['an empty object, which means localhost', {}],
  ['a port alone', { port: 6380 }],
  ['a port as a string, like an environment variable', { host: 'redis', port: '6380' }],
  ['a URL', { url: 'redis://:secret@redis:6379/1' }],
  ['a URL with TLS and options of the caller', { url: 'rediss://redis?family=6&db=1&ssl_cert_reqs=none' }],
  ['a URL without a scheme', { url: 'redis:6379' }],
  ['a path', { url: '/run/redis.sock?db=2' }],
  ['a URL without a database', { url: 'redis://redis:6379/' }],
  ['a database as a string, like an environment variable', { host: 'redis', db: '1' }],
  ['an instance', new Redis('redis://redis/1', { lazyConnect: true })],
  ['a URL that is not set, and a host', { url: undefined, host: 'redis' }],
])('%s is accepted', (_, redis) => {
  expect(() => checkRedis(redis)).not.toThrow();
});

test.each<[string, unknown, RegExp]>([
  ['a string', 'redis://:secret@redis', /redis is a text; give \{ url: /],
  ['a URL that is not set', { url: undefined }, /redis\.url is undefined: is an environment variable not set/],
  ['a host that is not set', { host: undefined, port: 6379 }, /redis\.host is undefined/],
  ['an empty URL', { url: '' }, /redis\.url must be a URL such as/],
  ['a URL of something else', { url: 'https://:secret@redis' }, /redis\.url must be a URL such as/],
  ['an invalid URL', { url: 'redis://:secret@redis:port' }, /redis\.url must be a URL such as/],
  ['a number as URL', { url: 6379 }, /redis\.url must be a URL such as/],
  ['an empty host', { host: '' }, /redis\.host must be a text/],
  ['a port that is not a number', { host: 'redis', port: Number.NaN }, /redis\.port must be a whole number/],
  ['a port above the highest one', { host: 'redis', port: 65_536 }, /redis\.port must be a whole number/],
  ['a port that is not set', { port: undefined }, /redis\.port is undefined: is an environment variable not set/],
  ['a database that is not a number', { host: 'redis', db: Number.NaN }, /redis\.db must be a whole number/],
  ['a database in a URL that is not a number', { url: 'redis://:secret@redis/main' }, /redis\.url has a database/],
  ['a database in the query that is not a number', { url: 'redis://redis?db=secret' }, /redis\.url has a database/],
  [
    'a database with sentinels that is not a number',
    { sentinels: [{ host: 'a', port: 1 }], name: 'x', db: 0.5 },
    /redis\.db must be a whole number/,
  ],
  [
    'half a port of a sentinel',
    { sentinels: [{ host: 'a', port: 1.5 }], name: 'x' },
    /redis\.sentinels must be an array/,
  ],
  [
    'an instance whose port is not a number',
    new Redis({ port: Number.NaN, lazyConnect: true }),
    /options of the ioredis instance: port must be a whole number/,
  ],
  ['a prefix in the URL', { url: 'redis://redis?keyPrefix=secret' }, /redis\.url has a keyPrefix/],
  ['a reserved option in the URL', { url: 'redis://redis/0?lazyConnect=false' }, /has the option "lazyConnect"/],
  ['a reserved time in the URL', { url: '/run/redis.sock?connectTimeout=1' }, /has the option "connectTimeout"/],
  ['an instance of another class', { on() {}, _events: {} }, /instance of something else than ioredis/],
])('%s is refused with a typed error without secrets', (_, redis, message) => {
  expect(() => checkRedis(redis)).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringMatching(message) }),
  );
  expect(() => checkRedis(redis)).not.toThrow(/secret/);
});
