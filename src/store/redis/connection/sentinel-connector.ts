/**
 * How ioredis listens to sentinels, without its limits: its failover detector prints each error of a connection to a sentinel, and
 * gives up the subscription to a sentinel that does not respond in time. Neighbour: `connection.ts` has the other settings.
 */
import { type Redis, type RedisOptions, SentinelConnector } from 'ioredis';
import { KeepAlive } from './keep-alive.js';

interface Asks {
  connectToSentinel(endpoint: object, options?: RedisOptions): Redis;
}

/** The method is private, and the same in ioredis 5 and 6. */
const Base = SentinelConnector as unknown as new (options: object) => Asks;

export class LastingSentinelConnector extends Base {
  /** @param options of a connection that listens; undefined for one that asks once. */
  override connectToSentinel(endpoint: object, options?: RedisOptions): Redis {
    // guards: sentinel-connector.connectToSentinel
    const lasting = options && { ...options, commandTimeout: undefined, maxRetriesPerRequest: null };
    const redis = super.connectToSentinel(endpoint, lasting);
    // It lasts as long as the connection that it is for, which decides how long the process lives.
    if (options) new KeepAlive(redis);
    return redis.on('error', () => {});
  }
}
