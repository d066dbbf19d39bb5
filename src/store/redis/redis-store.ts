/**
 * The store on Redis and BullMQ: each method of the port as one step of a script.
 *
 * Owns: two of the four connections of a pod (commands, wake-ups: I9) and which op with which arguments.
 * Neighbours: `scripts/` say what a step does, `channel.ts` how steps travel, `decode.ts` what comes back; `intake.ts`,
 * `job-end.ts` and `wake-ups.ts` have steps of their own; `renewals.ts` has the third connection, for heartbeats, `reply-mailbox.ts` the fourth,
 * where this pod waits for answers.
 */
import type { Redis } from 'ioredis';
import type { Claim } from '../../core/model/claim.js';
import { type EntityRef, encodeSegment, entityKey } from '../../core/model/entity.js';
import { rejecting, rejectingEach } from '../../core/model/errors.js';
import { type EventSink, NO_EVENTS } from '../../core/model/events.js';
import type { FetchedJob, NewJob, Settlement } from '../../core/model/job.js';
import { overtakes, StoreUnavailableError } from '../../core/model/store-errors.js';
import type { EngineConfig } from '../../core/options/config.js';
import type { Claimed, Passed, PodState, ReleaseMode, Renewal, Renewed } from '../../core/ports/claims.js';
import type { Clock } from '../../core/ports/clock.js';
import type { IntakeHint, IntakeResult, NewFlow } from '../../core/ports/intake.js';
import type { Log } from '../../core/ports/log.js';
import type { EntityStore } from '../../core/ports/store.js';
import type { Discovered, WakeUp } from '../../core/ports/wake-ups.js';
import type { Fetched, Gathering } from '../../core/ports/work.js';
import { Bull } from './bullmq/encode.js';
import { NativeJobs } from './bullmq/native-job.js';
import { ChildResults } from './child-results.js';
import { Channel } from './connection/channel.js';
import { connected, createConnection, watchConnection } from './connection/connection.js';
import { checkEviction, type EvictionResponse } from './connection/eviction.js';
import { type RedisConnectionOptions } from './connection/options.js';
import { Rights } from './connection/rights.js';
import { checkStale, type OfJobs, readFetched } from './decode.js';
import { RedisHosts } from './hosts.js';
import { RedisIntake } from './intake.js';
import { JobEnds } from './job-end.js';
import { KeySpace, scriptKeys } from './keys.js';
import { composeDispatcher } from './lua/compose.js';
import { RedisControl } from './operator/control.js';
import { RedisDeadLetters } from './operator/dead-letters.js';
import { RedisSchedules } from './operator/schedules.js';
import type { RenewalArguments } from './renewal/renewal-connection.js';
import { Renewals } from './renewal/renewals.js';
import { ReplyMailbox } from './reply-mailbox.js';
import { RedisWakeUps } from './wake-ups.js';

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
  private readonly entering: RedisIntake;
  private readonly books: RedisWakeUps;
  private readonly ends: JobEnds;
  private readonly ofJobs: OfJobs;
  private readonly stopWatching: () => void;
  readonly control: RedisControl;
  readonly deadLetters: RedisDeadLetters;
  readonly schedules: RedisSchedules;
  readonly replies: ReplyMailbox;
  readonly hosts: RedisHosts;
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
    const rights = new Rights(log, options.keyPrefix);
    this.replies = new ReplyMailbox({
      redis,
      podId,
      keySpace: this.keySpace,
      clock,
      log,
      rights,
      channel: () => this.parts.channel,
    });
    this.hosts = new RedisHosts(() => this.parts.channel);
    const { keySpace, wakes, schedules } = this;
    this.books = new RedisWakeUps({ keySpace, podId, clock, wakes, rights, ready: () => this.parts });
    this.ends = new JobEnds({ config, podId, log, schedules, bull: () => this.parts.bull });
    this.entering = new RedisIntake({
      keySpace: this.keySpace,
      config,
      log,
      ready: () => this.parts,
      takeOptions: entity => this.ends.takeOptions(entity),
      readTaken: (...args) => this.readTaken(...args),
      readClaimed: (...args) => this.readClaimed(...args),
    });
    const children = new ChildResults(() => ({ keySpace: this.keySpace, channel: this.parts.channel }));
    this.ofJobs = {
      native: (claim, hash) => this.parts.native.build(this.keySpace.of(claim.entity), claim, hash),
      children: (...args) => children.of(...args),
    };
  }

  async start(onUnreachable?: (reason: string) => void): Promise<void> {
    const { podId, config, commandTimeoutMs, clock } = this.options;
    const bull = await Bull.load(`aq:${podId}`);
    const channel = new Channel({
      redis: this.commands,
      script: composeDispatcher(bull.scripts),
      header: [...scriptKeys(this.keySpace.system), podId, String(config.leaseMs * 1000), this.keySpace.system],
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
    await Promise.all([connected(this.commands, onUnreachable), connected(this.wakes, onUnreachable)]);
    await checkEviction(this.commands, this.options.onEvictingRedis ?? 'warn', this.options.log);
  }

  queueName(entity: EntityRef): string {
    const { base, queue } = this.keySpace.of(entity);
    return queue === 'queue' ? base : queue;
  }

  add(job: NewJob, hint: IntakeHint): Promise<IntakeResult> {
    return rejecting(() => this.entering.add(job, hint));
  }

  addAll(jobs: readonly (readonly [NewJob, IntakeHint])[]): readonly Promise<IntakeResult>[] {
    return rejectingEach(jobs.length, () => this.entering.addAll(jobs));
  }

  addFlow(flow: NewFlow): readonly Promise<IntakeResult>[] {
    return rejectingEach(flow.jobs.length, () => this.entering.addFlow(flow));
  }

  tryClaim(entity: EntityRef, claimWith: number): Promise<Claimed | Passed> {
    return rejecting(() => this.sendLook(entity, claimWith));
  }

  private sendLook(entity: EntityRef, claimWith: number): Promise<Claimed | Passed> {
    const keys = this.keySpace.of(entity);
    const { maxStalledCount } = this.options.config.entityType(entity.type);
    const args = [keys.base, keys.type, keys.id, claimWith, this.ends.takeOptions(entity), maxStalledCount];
    return this.parts.channel.call('tryClaim', args, answer =>
      answer[0] === 'CLAIMED' ? this.readClaimed(answer, 1, entity, claimWith) : passed(answer[0]),
    );
  }

  peek(entity: EntityRef): Promise<Passed | 'waiting'> {
    const { base, type, id } = this.keySpace.of(entity);
    return this.parts.channel.call('tryClaim', [base, type, id, '', '', 0], ([answer]) =>
      answer === 'WAITING' ? 'waiting' : passed(answer),
    );
  }

  resync(claim: Claim, epoch: number, settled: readonly Settlement[]): Promise<Claimed> {
    const { pages, last } = this.ends.pages(settled);
    // Settled where its answer is read, and not by a promise of its own: answers keep the order of the calls.
    return new Promise((resolve, reject) => {
      const sendLast = () => this.sendResync(claim, epoch, { last, resolve });
      (pages.length === 0 ? sendLast() : this.sendEnds(claim, epoch, pages).then(sendLast)).catch(reject);
    });
  }

  /** One step after the other: what a later one ends must not be ended where an earlier one was refused. */
  private async sendEnds(claim: Claim, epoch: number, pages: readonly Settlement[][]): Promise<void> {
    const { base } = this.keySpace.of(claim.entity);
    for (const page of pages) {
      const args = [base, claim.epoch, epoch, ...this.ends.againArguments(claim.entity, page)];
      await this.parts.channel.call('settle', args, answer => checkStale(answer, claim));
    }
  }

  private sendResync(
    claim: Claim,
    epoch: number,
    { last, resolve }: { last: readonly Settlement[]; resolve: (claimed: Claimed) => void },
  ): Promise<void> {
    const keys = this.keySpace.of(claim.entity);
    const ends = this.ends.againArguments(claim.entity, last);
    const args = [keys.base, keys.type, keys.id, claim.epoch, epoch, this.ends.takeOptions(claim.entity), ...ends];
    return this.parts.channel.call('resync', args, answer => {
      checkStale(answer, claim);
      resolve(this.readClaimed(answer, 1, claim.entity, epoch));
    });
  }

  take(claim: Claim, count = 1, gathering?: Gathering): Promise<Fetched> {
    const { base, type, id } = this.keySpace.of(claim.entity);
    const { upTo = '', forMs = '' } = gathering ?? {};
    const args = [base, type, id, claim.epoch, this.ends.takeOptions(claim.entity), count, upTo, forMs];
    return this.parts.channel.call('take', args, answer => {
      checkStale(answer, claim);
      return this.readTaken(answer, 1, claim);
    });
  }

  /** One job has an op of its own, the fast path: nearly every end is of one job. */
  finish(claim: Claim, settlements: readonly Settlement[], take: number): Promise<Fetched> {
    const { base } = this.keySpace.of(claim.entity);
    const { isOrdered } = this.options.config.entityType(claim.entity.type);
    const isOne = settlements.length === 1;
    const ends = this.ends.arguments(claim.entity, settlements);
    const beside = settlements[0]?.beside ?? [];
    const args = [base, claim.epoch, take, this.ends.takeOptions(claim.entity), isOrdered ? 1 : 0, ...ends, ...beside];
    return this.parts.channel.call(isOne ? 'finish' : 'finishAll', args, answer => {
      checkStale(answer, claim);
      if (answer[0] === 'EARLY') throw overtakes(settlements.at(-1)?.job.id ?? '');
      const codes = isOne ? [answer[1]] : (answer[1] as readonly unknown[]);
      for (const [index, settlement] of settlements.entries()) {
        this.ends.report(claim, settlement, Number(codes[index]));
      }
      return readFetched(answer, 2, claim, this.ofJobs);
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

  defer(claim: Claim, job: FetchedJob, graceMs: number): Promise<boolean> {
    const { base, type, id } = this.keySpace.of(claim.entity);
    return this.parts.channel.call('defer', [base, type, id, claim.epoch, job.id, graceMs], answer => {
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
    return this.books.due(type, from, limit);
  }

  wakeUps(types: readonly string[]): Promise<WakeUp[]> {
    return this.books.wakeUps(types);
  }

  requestWorker(entity: EntityRef): Promise<void> {
    return this.books.requestWorker(entity);
  }

  backlogs(entities: readonly EntityRef[]): Promise<number[]> {
    return this.books.backlogs(entities);
  }

  leftovers(types: readonly string[]): Promise<boolean> {
    return this.books.leftovers(types);
  }

  discover(types: readonly string[], intervalMs: number, from?: string): Promise<Discovered> {
    return this.books.discover(types, intervalMs, from);
  }

  isSilentFor(ms: number): boolean {
    const isSilent = this.parts.channel.isSilentFor(ms);
    // Whoever asks lets the claims run out then; nothing may keep them behind his back (race 15).
    if (isSilent) this.renewals.forget();
    return isSilent;
  }

  linger(): void {
    this.ready?.channel.linger();
    this.wakes.disconnect();
    this.replies.close();
    this.renewals.linger();
  }

  async close(): Promise<void> {
    this.ready?.channel.close();
    this.stopWatching();
    for (const redis of [this.wakes, this.commands]) redis.disconnect();
    this.replies.close();
    await this.renewals.close();
  }

  private get parts(): Ready {
    if (!this.ready) throw new StoreUnavailableError('The store has not been started.');
    return this.ready;
  }

  private renewalArguments({ claim, idle, runningJobIds = [], longRuns = [] }: Renewal): RenewalArguments {
    const { base, type, id } = this.keySpace.of(claim.entity);
    const { lockDurationMs } = this.options.config.entityType(claim.entity.type);
    const runs =
      longRuns.length === 0 ? '' : JSON.stringify(longRuns.map(({ jobId, startedAtMs }) => [jobId, startedAtMs]));
    return [base, type, id, claim.epoch, idle ? 1 : 0, lockDurationMs, runs, runningJobIds.length, ...runningJobIds];
  }

  /** Reads `reactivated, againInMs, jobs…`. */
  private readTaken(answer: readonly unknown[], at: number, claim: Claim): Fetched {
    const fetched = readFetched(answer, at + 1, claim, this.ofJobs);
    if (answer[at] !== '1') return fetched;
    this.tellRenewals(claim, fetched);
    return { ...fetched, isReactivated: true };
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
        `${answer[at + 2]} jobs of ${entityKey(entity)} are locked by a BullMQ Worker that is not ours; left alone. Don't attach one to this queue.`,
      );
    }
    const fetched = readFetched(answer, at + 3, claim, this.ofJobs);
    this.tellRenewals(claim, fetched);
    return { claim, recovered: Number(answer[at + 1]), ...fetched };
  }
}

function passed(answer: unknown): Passed {
  return answer === 'OWNED' ? 'owned' : answer === 'PAUSED' ? 'paused' : 'later';
}
