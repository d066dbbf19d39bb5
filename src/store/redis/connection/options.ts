/** How a user says where Redis is. Types only. Neighbour: `connection.ts` makes connections of it. */
import type { Redis, RedisOptions } from 'ioredis';

type CommonOptions = Pick<RedisOptions, 'username' | 'password' | 'db' | 'tls' | 'family'>;

/** Where one server is. */
export type ServerOptions = { url?: string } & Pick<RedisOptions, 'host' | 'port'> & CommonOptions;

/** Sentinels that know where the primary is. `username`, `password` and `tls` are those of Redis itself. */
export interface SentinelOptions extends CommonOptions {
  /** Addresses of the sentinels; others that these know of are found. */
  sentinels: { host: string; port: number }[];
  /** The name under which the sentinels know the primary. */
  name: string;
  sentinelUsername?: string;
  sentinelPassword?: string;
  /** TLS options for connections to the sentinels. */
  sentinelTLS?: RedisOptions['sentinelTLS'];
  /** Addresses that the sentinels give, and those to be used instead: `{ '10.0.0.5:6379': { host, port } }`. */
  natMap?: Record<string, { host: string; port: number }>;
}

/** Where Redis is: one server, sentinels, or an ioredis instance of the caller's, which is never closed by us. */
export type RedisConnectionOptions = Redis | ServerOptions | SentinelOptions;

/** Where Redis is, without an instance. */
export type PlainConnectionOptions = { url?: string } & RedisOptions;
