/**
 * The store on Redis and BullMQ: one file for each role of the port, assembled here.
 *
 * Owns: two of the four connections of a pod (commands, wake-ups: I9), and when they open and close.
 * Neighbours: `renewal/renewals.ts` has the third connection, for heartbeats; `replies.ts` has the fourth, on which this
 * pod waits for replies; `../assembled-store.ts` says which role has which method of the port.
 */
import type { Redis } from 'ioredis';
import type { EntityRef } from '../../core/model/entity.js';
import { type EventSink, NO_EVENTS } from '../../core/model/events.js';
import type { EngineConfig } from '../../core/options/config.js';
import type { Clock } from '../../core/ports/clock.js';
import type { Log } from '../../core/ports/log.js';
import { AssembledStore, type StoreRoles } from '../assembled-store.js';
import { Bull } from './bullmq/encode.js';
import { RedisClaims } from './claims.js';
import { Channel } from './connection/channel.js';
import { connected } from './connection/connected.js';
import { createConnection, watchConnection } from './connection/connection.js';
import { checkEviction, type EvictionResponse } from './connection/eviction.js';
import type { RedisConnectionOptions } from './connection/options.js';
import { Rights } from './connection/rights.js';
import type { StoreContext } from './context.js';
import { RedisHosts } from './hosts.js';
import { RedisIntake } from './intake.js';
import { JobEnds } from './job-end.js';
import { JobReader } from './job-reader.js';
import { KeySpace, scriptKeys } from './keys.js';
import { composeDispatcher } from './lua/compose.js';
import { RedisControl } from './operator/control.js';
import { RedisDeadLetters } from './operator/dead-letters.js';
import { RedisSchedules } from './operator/schedules.js';
import { Renewals } from './renewal/renewals.js';
import { RedisReplies } from './replies.js';
import { RedisWakeUps } from './wake-ups.js';
import { RedisWork } from './work.js';

export interface RedisStoreOptions {
  readonly redis: RedisConnectionOptions;
  readonly keyPrefix: string;
  /** How long a call waits while Redis is away, in ms. */
  readonly commandTimeoutMs: number;
  readonly config: EngineConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly events?: EventSink;
  /** What the start does when Redis may evict jobs. @default 'warn' */
  readonly onEvictingRedis?: EvictionResponse;
  /** Random, and new with every process: a pod never takes claims of an earlier process for its own. */
  readonly podId: string;
}

/** What a store opens and closes, beyond its roles. */
interface Connections {
  /** The connection of the channel. */
  readonly commands: Redis;
  /** The connection on which this pod waits for wake-ups. */
  readonly wakes: Redis;
  readonly channel: Channel;
  readonly renewals: Renewals;
  readonly replies: RedisReplies;
  /** Called before `commands` is closed on purpose, which is no outage. */
  stopWatching(): void;
}

/**
 * A store that `start()` connects. Reading BullMQ's scripts takes a moment, and needs no Redis.
 * @throws UnsupportedError when the installed BullMQ does not have what this library builds on.
 */
export async function createRedisStore(options: RedisStoreOptions): Promise<RedisEntityStore> {
  const { redis, podId, log, clock, config } = options;
  const bull = await Bull.load(`aq:${podId}`);
  const keySpace = new KeySpace(options.keyPrefix, config);
  const commands = createConnection(redis, 'commands', podId);
  const wakes = createConnection(redis, 'wake-ups', podId);
  const stopWatching = watchConnection(commands, 'commands', log, options.events ?? NO_EVENTS);
  // It fails and comes back with the command connection; one line for an outage is enough.
  wakes.on('error', () => {});
  const renewals = createRenewals(options, keySpace);
  const channel = createChannel(options, { redis: commands, keySpace, bull, renewals });
  const context: StoreContext = { config, podId, keySpace, bull, channel, clock, log };
  const rights = new Rights(log, options.keyPrefix);
  const schedules = new RedisSchedules(context);
  const reader = new JobReader(context, renewals, commands);
  const ends = new JobEnds(context, schedules);
  const replies = new RedisReplies(context, { redis, rights });
  const roles = {
    intake: new RedisIntake(context, { reader, ends }),
    claims: new RedisClaims(context, { reader, ends, renewals }),
    work: new RedisWork(context, { reader, ends }),
    wakeUps: new RedisWakeUps(context, { wakes, rights }),
    control: new RedisControl(context),
    deadLetters: new RedisDeadLetters(context),
    schedules,
    replies,
    hosts: new RedisHosts(context),
  };
  return new RedisEntityStore(options, keySpace, roles, { commands, wakes, channel, renewals, replies, stopWatching });
}

function createRenewals({ redis, podId, config, clock, log }: RedisStoreOptions, { system }: KeySpace): Renewals {
  const { leaseMs, eventLoopBlockLimitMs: blockLimitMs } = config;
  return new Renewals({ redis, podId, systemPrefix: system, leaseMs, blockLimitMs, clock, log });
}

function createChannel(
  { podId, config, commandTimeoutMs, clock }: RedisStoreOptions,
  parts: { readonly redis: Redis; readonly keySpace: KeySpace; readonly bull: Bull; readonly renewals: Renewals },
): Channel {
  const { system } = parts.keySpace;
  return new Channel({
    redis: parts.redis,
    script: composeDispatcher(parts.bull.scripts),
    header: [...scriptKeys(system), podId, String(config.leaseMs * 1000), system],
    timeoutMs: commandTimeoutMs,
    watchMs: Math.min(commandTimeoutMs, config.leaseMs) / 4,
    clock,
    onRead: () => parts.renewals.tellGranted(),
  });
}

/** Made by {@link createRedisStore}. */
export class RedisEntityStore extends AssembledStore {
  constructor(
    private readonly options: RedisStoreOptions,
    private readonly keySpace: KeySpace,
    roles: StoreRoles,
    private readonly connections: Connections,
  ) {
    super(roles);
  }

  async start(onUnreachable?: (reason: string) => void): Promise<void> {
    const { commands, wakes } = this.connections;
    await Promise.all([connected(commands, onUnreachable), connected(wakes, onUnreachable)]);
    await checkEviction(commands, this.options.onEvictingRedis ?? 'warn', this.options.log);
  }

  queueName(entity: EntityRef): string {
    const { base, queue } = this.keySpace.of(entity);
    return queue === 'queue' ? base : queue;
  }

  isSilentFor(ms: number): boolean {
    const { channel, renewals } = this.connections;
    const isSilent = channel.isSilentFor(ms);
    // The caller then lets its claims run out, so the thread must not go on renewing them (race 15).
    if (isSilent) renewals.forget();
    return isSilent;
  }

  linger(): void {
    const { channel, wakes, replies, renewals } = this.connections;
    channel.linger();
    wakes.disconnect();
    replies.close();
    renewals.linger();
  }

  async close(): Promise<void> {
    const { channel, commands, wakes, replies, renewals, stopWatching } = this.connections;
    channel.close();
    stopWatching();
    for (const redis of [wakes, commands]) redis.disconnect();
    replies.close();
    await renewals.close();
  }
}
