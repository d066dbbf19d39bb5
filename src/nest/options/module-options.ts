/**
 * The options of the module: what a user writes, and the check of what is not the engine's.
 * Neighbour: `core/options/resolve.ts` checks and completes the engine's part.
 */

import { InvalidOptionError } from '../../core/model/errors.js';
import { BELOW_MODULE, checkKnown, ENGINE_KEYS } from '../../core/options/checks.js';
import { milliseconds } from '../../core/options/durations.js';
import type { EngineOptions, EntityOptions } from '../../core/options/options.js';
import type { RedisConnectionOptions } from '../../store/redis/connection/options.js';
import type { EntityTypeName } from '../entity-types.js';
import { checkRedis, OF_REDIS } from './redis-options.js';

/** By entity type; those that {@link EntityTypes} has, where it has any. */
export type EntitiesOptions = { readonly [T in EntityTypeName]?: EntityOptions };

/** Options of `AtomicQueuesModule`. Only `redis` is needed. */
export interface AtomicQueuesModuleOptions extends Omit<EngineOptions, 'entities'> {
  /** Options of entity types, by their names. */
  entities?: EntitiesOptions;
  /**
   * Where Redis is: host and port, a `url`, `sentinels` and the `name` of the primary, or an ioredis instance of yours (it is
   * copied, never closed).
   */
  redis: RedisConnectionOptions;
  /** What every key in Redis begins with. Default `aq`. Services that share it share their entities. */
  keyPrefix?: string;
  /**
   * What to do at start where Redis drops keys when its memory is full (`maxmemory-policy` `allkeys-*`): jobs and claims
   * would be lost without a word. `warn` (the default) logs it, `refuse` keeps the application from starting, if Redis is
   * there within `commandTimeoutMs`, for which the start waits; later the library stays closed, and says why.
   */
  onEvictingRedis?: 'warn' | 'refuse';
  /** How long an enqueue waits while Redis is away before it rejects, in ms. Default 5000. */
  commandTimeoutMs?: number;
  /**
   * Whether this pod connects with its first call (an enqueue, say), and not at its start. Until then it works no jobs. For tests and
   * scripts that may need no Redis. Default false.
   */
  lazyConnect?: boolean;
  /**
   * Whether the trace of a caller goes on in the handler of its job, through `@opentelemetry/api` (to be installed) and the
   * propagator that the application has set. The runs of a schedule are in no trace. Default false.
   */
  tracing?: boolean;
}

/** Makes the module's options; for `forRootAsync({ useClass })` and `useExisting`. */
export interface AtomicQueuesOptionsFactory {
  createAtomicQueuesOptions(): AtomicQueuesModuleOptions | Promise<AtomicQueuesModuleOptions>;
}

const KNOWN = ['redis', 'keyPrefix', 'commandTimeoutMs', 'lazyConnect', 'tracing', 'onEvictingRedis', ...ENGINE_KEYS];

/** @throws InvalidOptionError if there are no options at all. */
export function checkGiven(options: unknown): void {
  if (typeof options === 'object' && options !== null) return;
  throw new InvalidOptionError(
    'AtomicQueuesModule got no options. Import AtomicQueuesModule.forRoot({ redis: { url: … } }), not the class itself; the factory of forRootAsync() must return them.',
  );
}

/** @throws InvalidOptionError that names the option, and what is known or expected. */
export function checkModuleOptions(options: AtomicQueuesModuleOptions): void {
  checkGiven(options);
  checkKnown('AtomicQueuesModule', options, KNOWN, [...BELOW_MODULE, OF_REDIS]);
  checkRedis(options.redis, [{ path: 'AtomicQueuesModule', names: KNOWN }]);
  checkKind(options, 'keyPrefix', 'string');
  for (const name of ['enableCronManager', 'currentJob', 'tracing', 'producerOnly', 'lazyConnect'] as const)
    checkKind(options, name, 'boolean');
  if (![undefined, 'warn', 'refuse'].includes(options.onEvictingRedis)) {
    throw new InvalidOptionError("AtomicQueuesModule.onEvictingRedis must be 'warn' or 'refuse'.");
  }
  if (options.commandTimeoutMs !== undefined)
    milliseconds('AtomicQueuesModule.commandTimeoutMs', options.commandTimeoutMs);
  if (options.keyPrefix === '' || /[{}\s]/.test(options.keyPrefix ?? '')) {
    throw new InvalidOptionError(
      'AtomicQueuesModule.keyPrefix must be a non-empty string without "{", "}" and white space.',
    );
  }
}

function checkKind(options: AtomicQueuesModuleOptions, name: keyof AtomicQueuesModuleOptions, kind: string): void {
  const value: unknown = options[name];
  if (value !== undefined && typeof value !== kind) {
    throw new InvalidOptionError(`AtomicQueuesModule.${name} must be a ${kind}, not a ${typeof value}.`);
  }
}
