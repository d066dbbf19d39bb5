/**
 * The options of the module, and the check of those that the engine does not read.
 * Neighbour: `core/options/resolve.ts` checks the engine's options and fills in the defaults.
 */

import { InvalidOptionError } from '../../core/model/errors.js';
import { BELOW_MODULE, checkKnown, ENGINE_KEYS } from '../../core/options/checks.js';
import { milliseconds } from '../../core/options/durations.js';
import type { EngineOptions, EntityOptions } from '../../core/options/options.js';
import type { RedisConnectionOptions } from '../../store/redis/connection/options.js';
import type { EntityTypeName } from '../entity-types.js';
import { checkRedis, OF_REDIS } from './redis-options.js';

/** Options of entity types, by name. If {@link EntityTypes} declares types, only their names are allowed. */
export type EntitiesOptions = { readonly [T in EntityTypeName]?: EntityOptions };

/** Options of `AtomicQueuesModule`. Only `redis` is required. */
export interface AtomicQueuesModuleOptions extends Omit<EngineOptions, 'entities'> {
  /** Options of entity types, by name. @default {} */
  entities?: EntitiesOptions;
  /**
   * Location of Redis: host and port, a `url`, `sentinels` and the `name` of the primary, or an ioredis instance. The library copies
   * the instance's options and never closes it.
   * @default required
   */
  redis: RedisConnectionOptions;
  /** Prefix of every key in Redis. Pods with the same prefix share their entities. @default 'aq' */
  keyPrefix?: string;
  /**
   * Reaction to a Redis that evicts keys when its memory is full (`maxmemory-policy allkeys-*`), which loses jobs and claims
   * silently. `'warn'` logs it. `'refuse'` fails the start if Redis answers within `commandTimeoutMs`, for which the start waits. If
   * Redis answers later, the library stays closed, and its errors say why.
   * @default 'warn'
   */
  onEvictingRedis?: 'warn' | 'refuse';
  /** Time that a call waits for an unreachable Redis before it rejects, in ms. @default 5000 */
  commandTimeoutMs?: number;
  /**
   * Whether this pod connects with its first call, such as an enqueue, instead of at its start. Until then it works no jobs. For tests
   * and scripts that may not need Redis.
   * @default false
   */
  lazyConnect?: boolean;
  /**
   * Whether the caller's trace continues in the handler, through `@opentelemetry/api`, which must be installed, and the application's
   * propagator. Runs of a schedule belong to no trace.
   * @default false
   */
  tracing?: boolean;
}

/** A provider that creates the module's options, for `forRootAsync({ useClass })` and `useExisting`. */
export interface AtomicQueuesOptionsFactory {
  createAtomicQueuesOptions(): AtomicQueuesModuleOptions | Promise<AtomicQueuesModuleOptions>;
}

const KNOWN = ['redis', 'keyPrefix', 'commandTimeoutMs', 'lazyConnect', 'tracing', 'onEvictingRedis', ...ENGINE_KEYS];

/** @throws InvalidOptionError if `options` is no object. */
export function checkGiven(options: unknown): void {
  if (typeof options === 'object' && options !== null) return;
  throw new InvalidOptionError(
    'AtomicQueuesModule got no options. Import AtomicQueuesModule.forRoot({ redis: { url: … } }), not the class itself. A factory of forRootAsync() must return the options.',
  );
}

/** @throws InvalidOptionError that names the option, and the known names or the expected value. */
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
