/** The options by which a user gives the address of Redis. Types only. Neighbour: `connection.ts` makes connections of them. */
import type { Redis, RedisOptions } from 'ioredis';

type CommonOptions = Pick<RedisOptions, 'username' | 'password' | 'db' | 'tls' | 'family'>;

/** The address of one server. */
export type ServerOptions = { url?: string } & Pick<RedisOptions, 'host' | 'port'> & CommonOptions;

/** Sentinels that know the address of the primary. `username`, `password` and `tls` are for Redis itself. */
export interface SentinelOptions extends CommonOptions {
  /** Addresses of sentinels. Others that these know are found. */
  sentinels: { host: string; port: number }[];
  /** The name under which the sentinels know the primary. */
  name: string;
  sentinelUsername?: string;
  sentinelPassword?: string;
  /** TLS options for connections to the sentinels. */
  sentinelTLS?: RedisOptions['sentinelTLS'];
  /** Replacements for addresses that the sentinels give: `{ '10.0.0.5:6379': { host, port } }`. */
  natMap?: Record<string, { host: string; port: number }>;
}

/** The address of Redis: one server, sentinels, or an ioredis instance of the caller, which this library never closes. */
export type RedisConnectionOptions = Redis | ServerOptions | SentinelOptions;

/** The address of Redis as options, not as an instance. */
export type PlainConnectionOptions = { url?: string } & RedisOptions;
