/**
 * The store on Redis and BullMQ: each method of the port as one step of a script.
 *
 * Owns: two of the three connections of a pod (commands, wake-ups: I9) and which op with which arguments.
 * Neighbours: `scripts/` say what a step does, `channel.ts` how steps travel, `replies.ts` what comes back;
 * `renewals.ts` has the third connection, for heartbeats.
 */
import type { Redis } from 'ioredis';
import { type EntityRef, encodeSegment, entityWord, parseEntityWord } from '../../core/entity.js';
import { overtakes, rejecting, StoreUnavailableError } from '../../core/errors.js';
import { type EventSink, NO_EVENTS } from '../../core/events.js';
import type { EngineConfig, EntityTypeConfig } from '../../core/options.js';
import type {
  Claim,
  Claimed,
  Clock,
  Discovered,
  Entered,
  EnterHint,
  EntityStore,
  Fetched,
  FetchedJob,
  Log,
  NewJob,
  Passed,
  PodState,
  ReleaseMode,
  Renewal,
  Renewed,
  Settlement,
  WakeUp,
} from '../../core/ports.js';
import { Bull, encodeFields, failureFields, type WorkerView } from './bullmq.js';
import { Channel } from './channel.js';
import {
  answerOrDrop,
  connected,
  createConnection,
  type RedisConnectionOptions,
  watchConnection,
} from './connection.js';
import { RedisControl } from './control.js';
import { RedisDeadLetters } from './dead-letters.js';
import { Entering } from './entering.js';
import { checkEviction, type EvictionResponse } from './eviction.js';
import { KeySpace } from './keys.js';
import { NativeJobs } from './native-job.js';
import type { RenewalArguments } from './renewal-connection.js';
import { Renewals } from './renewals.js';
import { type BuildNative, checkStale, type RedisJob, readFetched } from './replies.js';
import { RedisSchedules } from './schedules.js';
import { composeDispatcher } from './scripts/dispatcher.js';

export interface RedisStoreOptions {
  readonly redis: RedisConnectionOptions;
  readonly keyPrefix: string;
  /** How long a call waits while Redis is away, in ms. */
  readonly commandTimeoutMs: number;
  readonly config: EngineConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly events?: EventSink;
  /** What is done where Redis may evict jobs. Default `warn`. */
  readonly onEvictingRedis?: EvictionResponse;
  /** Random, and new with every process: claims of a former life are a stranger's. */
  readonly podId: string;
}

/** Seconds that a wait for wake-ups lasts: what a half-open socket swallows is missed no longer (race 14). */
const WAKE_UP_WAIT_SECONDS = 5;
const WAKE_UPS_AT_ONCE = 256;
/** Of each type: other pods may have room too. */
const SPAWNS_AT_ONCE = 16;
const BACKLOGS_PER_CALL = 256;
/** Keys that one step of a search looks at; while it does, Redis does nothing else. */
const KEYS_PER_STEP = 500;

interface Ready {
  readonly bull: Bull;
  readonly channel: Channel;
  readonly native: NativeJobs;
}

export class RedisEntityStore implements EntityStore {
  private readonly keySpace: KeySpace;
  private readonly commands: Redis;
  private readonly wakes: Redis;
  private readonly renewals: Renewals;
  private readonly entering: Entering;
  private readonly buildNative: BuildNative;
  private readonly stopWatching: () => void;
  readonly control: RedisControl;
  readonly deadLetters: RedisDeadLetters;
  readonly schedules: RedisSchedules;
  private ready: Ready | undefined;

  constructor(private readonly options: RedisStoreOptions) {
    const { redis, podId, log, clock, config } = options;
    this.keySpace = new KeySpace(options.keyPrefix, options.config);
    this.commands = createConnection(redis, 'commands', podId);
    this.wakes = createConnection(redis, 'wake-ups', podId);
    this.stopWatching = watchConnection(this.commands, 'commands', log, options.events ?? NO_EVENTS);
    // It fails and comes back with the first; one line for an outage is enough.
    this.wakes.on('error', () => {});
    this.renewals = new Renewals({
      redis,
      podId,
      systemPrefix: this.keySpace.system,
      leaseMs: config.leaseMs,
      blockLimitMs: config.eventLoopBlockLimitMs,
      clock,
      log,
    });
    const { codecs } = config;
    this.control = new RedisControl(() => this.parts.channel, this.keySpace, codecs);
    this.deadLetters = new RedisDeadLetters(() => this.parts.channel, this.keySpace, codecs);
    this.schedules = new RedisSchedules({ keySpace: this.keySpace, codecs, clock, log, ready: () => this.parts });
    this.entering = new Entering({
      keySpace: this.keySpace,
      config,
      log,
      ready: () => this.parts,
      takeOptions: entity => this.takeOptions(entity),
      readTaken: (...args) => this.readTaken(...args),
      readClaimed: (...args) => this.readClaimed(...args),
    });
    this.buildNative = (claim, hash) => this.parts.native.build(this.keySpace.of(claim.entity), claim, hash);
  }

  async start(): Promise<void> {
    const { podId, config, commandTimeoutMs, clock } = this.options;
    const bull = await Bull.load(`aq:${podId}`);
    const channel = new Channel({
      redis: this.commands,
      script: composeDispatcher(bull.scripts),
      header: [podId, String(config.leaseMs * 1000), this.keySpace.system],
      timeoutMs: commandTimeoutMs,
      watchMs: Math.min(commandTimeoutMs, config.leaseMs) / 4,
      clock,
      onRead: () => this.renewals.tellGranted(),
    });
    const native = new NativeJobs(this.commands, (claim, body, keys, args) =>
      channel.call(
        'touch',
        [this.keySpace.of(claim.entity).base, claim.epoch, body, keys.length, ...keys, ...args],
        answer => {
          checkStale(answer, claim);
          return answer[1];
        },
      ),
    );
    this.ready = { bull, channel, native };
    await Promise.all([connected(this.commands), connected(this.wakes)]);
    await checkEviction(this.commands, this.options.onEvictingRedis ?? 'warn', this.options.log);
  }

  queueName(entity: EntityRef): string {
    const { base, queue } = this.keySpace.of(entity);
    return queue === 'queue' ? base : queue;
  }

  enter(job: NewJob, hint: EnterHint): Promise<Entered> {
    return rejecting(() => this.entering.enter(job, hint));
  }

  enterAll(jobs: readonly (readonly [NewJob, EnterHint])[]): readonly Promise<Entered>[] {
    try {
      return this.entering.enterAll(jobs);
    } catch (error) {
      return jobs.map(() => Promise.reject(error));
    }
  }

  look(entity: EntityRef, claimWith: number): Promise<Claimed | Passed> {
    return rejecting(() => this.sendLook(entity, claimWith));
  }

  private sendLook(entity: EntityRef, claimWith: number): Promise<Claimed | Passed> {
    const keys = this.keySpace.of(entity);
    const { maxStalledCount } = this.options.config.entityType(entity.type);
    const args = [keys.base, keys.type, keys.id, claimWith, this.takeOptions(entity), maxStalledCount];
    return this.parts.channel.call('look', args, answer =>
      answer[0] === 'CLAIMED' ? this.readClaimed(answer, 1, entity, claimWith) : passed(answer[0]),
    );
  }

  peek(entity: EntityRef): Promise<Passed | 'waiting'> {
    const { base, type, id } = this.keySpace.of(entity);
    return this.parts.channel.call('look', [base, type, id, '', '', 0], ([answer]) =>
      answer === 'WAITING' ? 'waiting' : passed(answer),
    );
  }

  resync(claim: Claim, epoch: number, settled: readonly Settlement[]): Promise<Claimed> {
    const keys = this.keySpace.of(claim.entity);
    const ends = settled.flatMap(settlement => this.finishArguments(claim.entity, settlement));
    const args = [keys.base, keys.type, keys.id, claim.epoch, epoch, this.takeOptions(claim.entity), ...ends];
    return this.parts.channel.call('resync', args, answer => {
      checkStale(answer, claim);
      return this.readClaimed(answer, 1, claim.entity, epoch);
    });
  }

  take(claim: Claim): Promise<Fetched> {
    const { base, type, id } = this.keySpace.of(claim.entity);
    const args = [base, type, id, claim.epoch, this.takeOptions(claim.entity)];
    return this.parts.channel.call('take', args, answer => {
      checkStale(answer, claim);
      return this.readTaken(answer, 1, claim);
    });
  }

  finish(claim: Claim, settlement: Settlement, take: number): Promise<Fetched> {
    const { base } = this.keySpace.of(claim.entity);
    const args = [
      base,
      claim.epoch,
      take,
      this.takeOptions(claim.entity),
      this.options.config.entityType(claim.entity.type).isOrdered ? 1 : 0,
      ...this.finishArguments(claim.entity, settlement),
    ];
    return this.parts.channel.call('finish', args, answer => {
      checkStale(answer, claim);
      if (answer[0] === 'EARLY') throw overtakes(settlement.job.id);
      if (Number(answer[1]) < 0) this.reportRefusedEnd(claim, settlement, Number(answer[1]));
      return readFetched(answer, 2, claim, this.buildNative);
    });
  }

  giveBack(claim: Claim, kept: readonly string[]): Promise<void> {
    const { base } = this.keySpace.of(claim.entity);
    return this.parts.channel.call('giveBack', [base, claim.epoch, ...kept], answer => checkStale(answer, claim));
  }

  release(claim: Claim, mode: ReleaseMode): Promise<boolean> {
    const { base, type, id } = this.keySpace.of(claim.entity);
    return this.parts.channel.call('release', [base, type, id, claim.epoch, mode], answer => {
      checkStale(answer, claim);
      return answer[1] === '1';
    });
  }

  leave(claim: Claim, job: FetchedJob, graceMs: number): Promise<boolean> {
    const { base, type, id } = this.keySpace.of(claim.entity);
    return this.parts.channel.call('leave', [base, type, id, claim.epoch, job.id, graceMs], answer => {
      checkStale(answer, claim);
      return answer[1] === '1';
    });
  }

  renew(renewals: readonly Renewal[], pod: PodState): Promise<Renewed> {
    return this.renewals.renew(
      renewals.map(renewal => this.renewalArguments(renewal)),
      { ...pod, types: pod.types.map(encodeSegment) },
    );
  }

  due(type: string, from: number, limit: number): Promise<EntityRef[]> {
    return this.parts.channel.call('due', [encodeSegment(type), from, limit], ids =>
      ids.map(id => parseEntityWord(`${encodeSegment(type)}:${id}`)),
    );
  }

  async wakeUps(types: readonly string[]): Promise<WakeUp[]> {
    if (this.wakes.status !== 'ready') throw new StoreUnavailableError('Not connected to Redis.');
    const own = this.keySpace.wakeUps(this.options.podId);
    const keys = [own, ...types.map(type => this.keySpace.spawnMarker(type))];
    const waiting = this.wakes.bzpopmin(...keys, WAKE_UP_WAIT_SECONDS);
    const first = await answerOrDrop(this.wakes, waiting, 2000 * WAKE_UP_WAIT_SECONDS, this.options.clock);
    // A request whose marker went to a connection that is dead is found when the wait is over.
    if (first?.[0] !== own) return this.spawned(types);
    const more = await this.wakes.zpopmin(own, WAKE_UPS_AT_ONCE);
    return [first[1], ...more.filter((_, index) => index % 2 === 0)].map(readWakeUp);
  }

  /** Requests of the spawn queues, taken and done: what becomes of them is the look's business. */
  private async spawned(types: readonly string[]): Promise<EntityRef[]> {
    if (types.length === 0) return [];
    const options = this.parts.bull.encodeCompleted(
      { removeOnComplete: true },
      {
        name: this.options.podId,
        lockDuration: 1000,
        limiter: undefined,
      },
    );
    const args = [SPAWNS_AT_ONCE, options, ...types.map(encodeSegment)];
    const words = await this.parts.channel.call('spawned', args, answer => answer.map(String));
    return words.flatMap((type, index) => (index % 2 === 0 ? [parseEntityWord(`${type}:${words[index + 1]}`)] : []));
  }

  async requestWorker(entity: EntityRef): Promise<void> {
    const { type, id } = this.keySpace.of(entity);
    await this.parts.channel.call('requestWorker', [type, id], () => undefined);
  }

  async backlogs(entities: readonly EntityRef[]): Promise<number[]> {
    const counts: number[] = [];
    for (let from = 0; from < entities.length; from += BACKLOGS_PER_CALL) {
      const bases = entities.slice(from, from + BACKLOGS_PER_CALL).map(entity => this.keySpace.of(entity).base);
      counts.push(...(await this.parts.channel.call('backlogs', bases, answer => answer.map(Number))));
    }
    return counts;
  }

  discover(types: readonly string[], intervalMs: number, from = ''): Promise<Discovered> {
    const args = [from, intervalMs, KEYS_PER_STEP, this.keySpace.allMeta, ...types.map(encodeSegment)];
    return this.parts.channel.call('discover', args, ([next, found]) => ({
      ...(next !== '' && { next: String(next) }),
      found: Number(found),
    }));
  }

  isSilentFor(ms: number): boolean {
    const isSilent = this.parts.channel.isSilentFor(ms);
    // Whoever asks lets the claims run out then; nothing may keep them behind his back (race 15).
    if (isSilent) this.renewals.forget();
    return isSilent;
  }

  async close(): Promise<void> {
    this.ready?.channel.close();
    this.stopWatching();
    for (const redis of [this.wakes, this.commands]) redis.disconnect();
    await this.renewals.close();
  }

  private get parts(): Ready {
    if (!this.ready) throw new StoreUnavailableError('The store has not been started.');
    return this.ready;
  }

  private takeOptions(entity: EntityRef): string {
    const type = this.options.config.entityType(entity.type);
    return this.parts.bull.encodeTake(this.workerOf(type, entity));
  }

  private workerOf({ workerName, lockDurationMs, rateLimit }: EntityTypeConfig, entity: EntityRef): WorkerView {
    return {
      name: workerName?.(entity.id) ?? this.options.podId,
      lockDuration: lockDurationMs,
      limiter: rateLimit && { max: rateLimit.max, duration: rateLimit.durationMs },
    };
  }

  private finishArguments(entity: EntityRef, { job, outcome }: Settlement): (string | number)[] {
    const type = this.options.config.entityType(entity.type);
    const { lockDurationMs, jobOptions, ordering } = type;
    const worker = this.workerOf(type, entity);
    const { options, stacks } = job as RedisJob;
    const { bull } = this.parts;
    const head = [job.id, lockDurationMs, outcome.kind];
    if (outcome.kind === 'completed') {
      return [
        ...head,
        outcome.value,
        bull.encodeCompleted(options, worker),
        '',
        this.schedules.nextOf(job as RedisJob),
      ];
    }
    const fields = failureFields(outcome, stacks, options.stackTraceLimit);
    if (outcome.kind === 'failed' || outcome.kind === 'dead') {
      // A dead letter is all that is kept of its job.
      const kept = outcome.kind === 'dead' ? { removeOnFail: true } : {};
      const encoded = bull.encodeFailed(fields, { ...jobOptions, ...options, ...kept }, worker);
      return [...head, outcome.reason, ...encoded, this.schedules.nextOf(job as RedisJob)];
    }
    const { attempt } = job;
    const how =
      outcome.kind === 'retrying'
        ? { attempt, delayMs: outcome.delayMs, strict: ordering === 'strict' }
        : { attempt, strict: true };
    return [...head, JSON.stringify(how), '', encodeFields(fields), ''];
  }

  private renewalArguments({ claim, idle, runningJobIds = [] }: Renewal): RenewalArguments {
    const { base, type, id } = this.keySpace.of(claim.entity);
    const { lockDurationMs } = this.options.config.entityType(claim.entity.type);
    return [base, type, id, claim.epoch, idle ? 1 : 0, lockDurationMs, runningJobIds.length, ...runningJobIds];
  }

  /** Reads `roused, againInMs, jobs…`. */
  private readTaken(answer: readonly unknown[], at: number, claim: Claim): Fetched {
    const fetched = readFetched(answer, at + 1, claim, this.buildNative);
    if (answer[at] !== '1') return fetched;
    this.tellRenewals(claim, fetched);
    return { ...fetched, isRoused: true };
  }

  /** A claim is to be kept from now on, also if its first job should block this thread. */
  private tellRenewals(claim: Claim, { jobs }: Fetched): void {
    const runningJobIds = jobs.map(({ id }) => id);
    this.renewals.granted(this.renewalArguments({ claim, idle: false, runningJobIds }));
  }

  /** Reads `token, recovered, foreign, againInMs, jobs…`. */
  private readClaimed(answer: readonly unknown[], at: number, entity: EntityRef, epoch: number): Claimed {
    const claim: Claim = { entity, token: String(answer[at]), epoch };
    if (Number(answer[at + 2]) > 0) {
      this.options.log.warn(
        `${answer[at + 2]} jobs of ${entityWord(entity)} are locked by a BullMQ Worker that is not ours; left alone. Don't attach one to this queue.`,
      );
    }
    const fetched = readFetched(answer, at + 3, claim, this.buildNative);
    this.tellRenewals(claim, fetched);
    return { claim, recovered: Number(answer[at + 1]), ...fetched };
  }

  private reportRefusedEnd({ entity }: Claim, { job, outcome }: Settlement, code: number): void {
    this.options.log.warn(
      `Job ${job.id} of ${entityWord(entity)} has ended (${outcome.kind}), but BullMQ would not take it (code ${code}): it was removed or moved while it ran.`,
    );
  }
}

/** No encoded name begins with `$`. */
function readWakeUp(word: string): WakeUp {
  return word.startsWith('$') ? { ...parseEntityWord(word.slice(1)), isRecall: true } : parseEntityWord(word);
}

function passed(answer: unknown): Passed {
  return answer === 'OWNED' ? 'owned' : answer === 'PAUSED' ? 'paused' : 'later';
}
