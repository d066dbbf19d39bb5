/**
 * The store in memory: one pod's view of a {@link MemoryServer}. The same port and the same contract as Redis, for tests
 * without a server; every step takes effect when it is called, and answers in the order of the calls.
 */
import { type EntityRef, entityWord, parseEntityWord } from '../../core/entity.js';
import { overtakes, StaleClaimError } from '../../core/errors.js';
import { REST_LEASES } from '../../core/lease.js';
import type { EngineConfig } from '../../core/options.js';
import type {
  Claim,
  Claimed,
  Discovered,
  Entered,
  EnterHint,
  EntityStore,
  Fetched,
  FetchedJob,
  NewJob,
  Passed,
  PodState,
  ReleaseMode,
  Renewal,
  Renewed,
  Settlement,
  WakeUp,
} from '../../core/ports.js';
import { MemoryControl } from './memory-control.js';
import { MemoryDeadLetters } from './memory-dead-letters.js';
import { MemoryIntake } from './memory-intake.js';
import { MemorySchedules } from './memory-schedules.js';
import { MAX_FAILED, type MemoryServer, type StoredEntity, type StoredJob } from './memory-server.js';

const PAUSED_LOOK_MS = 5000;
const WAKE_UP_WAIT_MS = 5000;
const HOLD_LEAD_MS = 1000;

export class MemoryEntityStore implements EntityStore {
  readonly control: MemoryControl;
  readonly deadLetters: MemoryDeadLetters;
  readonly schedules: MemorySchedules;
  private readonly intake: MemoryIntake;
  private closed = false;

  constructor(
    private readonly server: MemoryServer,
    private readonly config: EngineConfig,
    private readonly podId: string,
  ) {
    this.control = new MemoryControl(server, podId, config.codecs);
    this.intake = new MemoryIntake(server, config);
    this.deadLetters = new MemoryDeadLetters(server, this.control, { intake: this.intake, codecs: config.codecs });
    this.schedules = new MemorySchedules(server, this.control, { intake: this.intake, codecs: config.codecs });
  }

  async start(): Promise<void> {}

  queueName(entity: EntityRef): string {
    return `memory:${entityWord(entity)}:queue`;
  }

  enter(job: NewJob, hint: EnterHint): Promise<Entered> {
    return answer(() => {
      this.intake.checkRoom([job]);
      return this.add(job, hint);
    });
  }

  enterAll(jobs: readonly (readonly [NewJob, EnterHint])[]): readonly Promise<Entered>[] {
    try {
      this.intake.checkRoom(jobs.map(([job]) => job));
    } catch (error) {
      return jobs.map(() => Promise.reject(error));
    }
    return jobs.map(([job, hint]) => answer(() => this.add(job, hint)));
  }

  private add(job: NewJob, hint: EnterHint): Entered {
    const { entity, jobId, delayMs } = this.intake.takeIn(job);
    return { jobId, ...this.route(entity, hint, delayMs) };
  }

  look(ref: EntityRef, claimWith: number): Promise<Claimed | Passed> {
    return answer(() => {
      const entity = this.server.entity(ref);
      const seen = this.see(entity, claimWith);
      return seen === 'waiting' ? this.claim(entity, claimWith) : seen;
    });
  }

  peek(ref: EntityRef): Promise<Passed | 'waiting'> {
    return answer(() => this.see(this.server.entity(ref), 0));
  }

  /** What there is to do about an entity, for a claim of that epoch. */
  private see(entity: StoredEntity, claimWith: number): Passed | 'waiting' {
    const { ref } = entity;
    if (this.server.isOwnedByOther(entity, this.podId)) {
      this.server.due.set(entityWord(ref), entity.owner?.untilMs ?? 0);
      return 'owned';
    }
    // A call of ours that arrives late: what it would settle is the claim that came after it.
    // Who asks only, without room, does not know of a claim of ours: an answer was lost (race 26).
    if (entity.owner?.podId === this.podId && entity.owner.epoch >= claimWith)
      return claimWith === 0 && !this.server.isPaused(entity) && this.server.hasWork(entity) ? 'waiting' : 'later';
    if (!this.server.hasWork(entity)) {
      this.server.settle(entity);
      this.server.forget(entity);
      return 'later';
    }
    if (this.server.isPaused(entity)) {
      this.server.due.set(entityWord(ref), this.server.now() + PAUSED_LOOK_MS);
      return 'paused';
    }
    // What a dead owner had fetched, which somebody has put before the head, does not wait with it.
    const heldForMs = entity.active.length === 0 ? this.heldForLong(entity) : undefined;
    if (heldForMs === undefined) return 'waiting';
    this.server.due.set(entityWord(ref), this.server.now() + heldForMs - HOLD_LEAD_MS);
    return 'later';
  }

  /** A worker that has only a hold before it goes, and is there again shortly before the hold ends. */
  private heldForLong(entity: StoredEntity): number | undefined {
    const heldForMs = this.server.heldForMs(entity);
    if (heldForMs === Number.POSITIVE_INFINITY) return PAUSED_LOOK_MS + HOLD_LEAD_MS;
    return heldForMs !== undefined && heldForMs > HOLD_LEAD_MS ? heldForMs : undefined;
  }

  resync(claim: Claim, epoch: number, settled: readonly Settlement[]): Promise<Claimed> {
    return answer(() => {
      const entity = this.server.find(claim.entity);
      const owner = entity?.owner;
      if (!entity || owner?.podId !== this.podId || owner.epoch < claim.epoch || owner.epoch >= epoch)
        throw stale(claim);
      for (const settlement of settled) this.end(entity, settlement);
      this.server.giveBackUnstarted(entity);
      return this.claim(entity, epoch, true);
    });
  }

  take(claim: Claim): Promise<Fetched> {
    return answer(() => this.taken(this.guard(claim), 1));
  }

  finish(claim: Claim, settlement: Settlement, take: number): Promise<Fetched> {
    return answer(() => {
      const entity = this.guard(claim);
      const overtaken = entity.active.findIndex(({ id }) => id === settlement.job.id) > 0;
      if (overtaken && this.config.entityType(entity.ref.type).isOrdered) throw overtakes(settlement.job.id);
      this.end(entity, settlement);
      return this.fetch(entity, take);
    });
  }

  giveBack(claim: Claim, kept: readonly string[]): Promise<void> {
    return answer(() => {
      const entity = this.guard(claim);
      this.server.giveBackUnstarted(entity, kept);
      if (entity.owner) entity.owner.recall = undefined;
    });
  }

  release(claim: Claim, mode: ReleaseMode): Promise<boolean> {
    return answer(() => {
      const entity = this.guard(claim);
      if (mode !== 'idle') this.server.giveBackUnstarted(entity);
      if (!this.server.hasWork(entity)) {
        this.server.settle(entity);
        this.server.forget(entity);
        return true;
      }
      const heldForMs = this.heldForLong(entity);
      const waitsForMs = this.server.isPaused(entity)
        ? PAUSED_LOOK_MS
        : heldForMs === undefined
          ? 0
          : heldForMs - HOLD_LEAD_MS;
      if (mode === 'idle' && waitsForMs === 0) return false;
      entity.owner = undefined;
      this.server.due.set(entityWord(claim.entity), this.server.now() + waitsForMs);
      if (mode !== 'idle' && waitsForMs === 0) {
        const isCalled = this.server.callAnother(this.podId, entity);
        if (!isCalled && mode === 'hand-over') this.server.requestWorker(entity.ref);
      }
      return true;
    });
  }

  leave(claim: Claim, job: FetchedJob, graceMs: number): Promise<boolean> {
    return answer(() => {
      const entity = this.guard(claim);
      const stored = entity.active.find(({ id }) => id === job.id);
      const now = this.server.now();
      if (!stored || graceMs === 0) return false;
      stored.leftAtMs ??= now;
      if (now - stored.leftAtMs >= graceMs) {
        stored.leftAtMs = undefined;
        return false;
      }
      this.server.giveBackUnstarted(entity);
      entity.owner = undefined;
      this.server.due.set(entityWord(claim.entity), now);
      return true;
    });
  }

  renew(renewals: readonly Renewal[], { types, takesMore, workers }: PodState): Promise<Renewed> {
    return answer(() => {
      const loads = types.map(type => {
        const pods = this.server.pods.get(type) ?? new Map();
        if (takesMore) pods.set(this.podId, { seenAtMs: this.server.now(), workers });
        else pods.delete(this.podId);
        this.server.pods.set(type, pods);
        const live = this.server.livePods(type);
        return { pods: live.length, workers: live.reduce((sum, [, { workers }]) => sum + workers, 0) };
      });
      const wasHeard = (this.server.alive.get(this.podId) ?? 0) > this.server.now();
      this.server.alive.set(this.podId, this.server.now() + this.server.leaseMs);
      const lost: number[] = [];
      const kicked: number[] = [];
      const resting: number[] = [];
      for (const [position, { claim, idle }] of renewals.entries()) {
        const entity = this.server.find(claim.entity);
        const owner = entity?.owner;
        if (!entity || owner?.podId !== this.podId || owner.epoch < claim.epoch) {
          lost.push(position);
          continue;
        }
        owner.rests = idle && [entity.wait, entity.active, entity.delayed].every(({ length }) => length === 0);
        if (owner.rests) resting.push(position);
        owner.untilMs = this.server.now() + this.server.leaseMs * (owner.rests ? REST_LEASES : 1);
        this.server.due.set(entityWord(claim.entity), owner.untilMs);
        const isHeld = entity.active.length === 0 && this.server.heldForMs(entity) !== undefined;
        if (idle && !this.server.isPaused(entity) && !isHeld && this.server.hasWork(entity)) kicked.push(position);
      }
      return { lost, kicked, resting, wasHeard, loads };
    });
  }

  due(type: string, from: number, limit: number): Promise<EntityRef[]> {
    return answer(() =>
      [...this.server.due]
        .map(([word, atMs]) => ({ ref: parseEntityWord(word), atMs }))
        .filter(({ ref, atMs }) => ref.type === type && atMs <= this.server.now())
        .sort((a, b) => a.atMs - b.atMs)
        .slice(from, from + limit)
        .map(({ ref }) => ref),
    );
  }

  async wakeUps(types: readonly string[]): Promise<WakeUp[]> {
    const sleeper = this.server.wakeUps.get(this.podId) ?? { words: new Set<string>(), notify: undefined };
    this.server.wakeUps.set(this.podId, sleeper);
    const asked = this.server.takeRequests(types);
    if (sleeper.words.size === 0 && asked.length === 0 && !this.closed) {
      await new Promise<void>(resolve => {
        const timer = this.server.clock.after(WAKE_UP_WAIT_MS, resolve);
        sleeper.notify = () => {
          timer.cancel();
          resolve();
        };
      });
      sleeper.notify = undefined;
    }
    const words = [...sleeper.words];
    sleeper.words.clear();
    return [...words.map(readWakeUp), ...asked, ...this.server.takeRequests(types)];
  }

  async requestWorker(entity: EntityRef): Promise<void> {
    this.server.requestWorker(entity);
  }

  async backlogs(entities: readonly EntityRef[]): Promise<number[]> {
    return entities.map(ref => {
      const entity = this.server.find(ref);
      return entity ? entity.wait.length + entity.active.length : 0;
    });
  }

  async discover(types: readonly string[], intervalMs: number): Promise<Discovered> {
    const { server } = this;
    if (server.now() - server.discoveredAtMs < intervalMs) return { found: 0 };
    server.discoveredAtMs = server.now();
    const isForgotten = (entity: StoredEntity) => {
      // Who rests does not look at its queue soon.
      if (server.liveOwner(entity) && !entity.owner?.rests) return false;
      if (!types.includes(entity.ref.type) || !server.hasWork(entity)) return false;
      if (server.liveOwner(entity)) return true;
      const score = server.due.get(entityWord(entity.ref)) ?? Number.POSITIVE_INFINITY;
      if (Number.isFinite(score) && this.heldForLong(entity) !== undefined) return false;
      return score > server.now() + 2 * PAUSED_LOOK_MS;
    };
    const forgotten = [...server.entities.values()].filter(isForgotten);
    for (const entity of forgotten) {
      if (server.liveOwner(entity)) server.callOwner(entity);
      else server.due.set(entityWord(entity.ref), server.now());
    }
    return { found: forgotten.length };
  }

  isSilentFor(): boolean {
    return false;
  }

  async close(): Promise<void> {
    this.closed = true;
    this.server.wakeUps.get(this.podId)?.notify?.();
    this.server.wakeUps.delete(this.podId);
  }

  private route(entity: StoredEntity, hint: EnterHint, delayMs: number): Routed {
    const { owner } = entity;
    if (owner?.podId === this.podId) {
      if (hint === 'route-only' || owner.epoch !== hint.epoch) {
        if (owner.rests) this.server.callOwner(entity);
        return { route: 'unknown-claim' };
      }
      return { route: 'mine', fetched: this.taken(entity, entity.active.length < hint.atOnce ? 1 : 0) };
    }
    if (owner && this.server.isOwnedByOther(entity, this.podId)) {
      const isFree = entity.active.length < this.config.entityType(entity.ref.type).maxHandlers;
      if (owner.rests || (isFree && this.server.heldForMs(entity) === undefined)) this.server.callOwner(entity);
      return { route: 'elsewhere' };
    }
    if (delayMs > 0) {
      this.server.lowerDue(entity, this.server.now() + delayMs);
      return { route: 'delayed' };
    }
    if (hint !== 'route-only' && hint.mayClaim) return { route: 'claimed', claimed: this.claim(entity, hint.epoch) };
    this.server.lowerDue(entity, this.server.now());
    if (!this.server.callAnother(this.podId, entity)) this.server.requestWorker(entity.ref);
    return { route: 'nobody' };
  }

  private claim(entity: StoredEntity, epoch: number, keepsToken = false): Claimed {
    const { maxStalledCount } = this.config.entityType(entity.ref.type);
    const recovered = this.server.grant(entity, this.podId, epoch, maxStalledCount, keepsToken);
    return {
      claim: { entity: entity.ref, token: String(entity.token), epoch },
      recovered,
      ...this.fetch(entity, 1),
    };
  }

  /** What an idle worker asks for. */
  private taken(entity: StoredEntity, limit: number): Fetched {
    const isRoused = this.server.rouse(entity);
    const fetched = limit > 0 ? this.fetch(entity, limit) : { jobs: [] };
    return isRoused ? { ...fetched, isRoused } : fetched;
  }

  private fetch(entity: StoredEntity, limit: number): Fetched {
    this.server.promote(entity);
    // What is fetched is to be given back first.
    if (entity.owner?.recall) return { jobs: [], isRecalled: true };
    const heldForMs = this.server.heldForMs(entity);
    if (heldForMs === Number.POSITIVE_INFINITY) return { jobs: [] };
    if (heldForMs !== undefined) return { jobs: [], againInMs: Math.max(1, heldForMs) };
    const { hold } = entity;
    const isOver = hold && (hold.untilMs <= this.server.now() || !entity.wait.some(({ id }) => id === hold.jobId));
    if (isOver) entity.hold = undefined;
    const room = this.server.isPaused(entity) ? 0 : this.roomInRate(entity, limit);
    if (entity.spent && room === 0 && !this.server.isPaused(entity) && entity.wait.length > 0) {
      return { jobs: [], againInMs: Math.max(1, entity.spent.untilMs - this.server.now()), isLimited: true };
    }
    const jobs = entity.wait.splice(0, room);
    this.spend(entity, jobs.length);
    for (const job of jobs) job.attempt++;
    entity.active.push(...jobs);
    const next = Math.min(...entity.delayed.map(({ atMs }) => atMs));
    const fetched = jobs.map(toFetched);
    return jobs.length < limit && Number.isFinite(next)
      ? { jobs: fetched, againInMs: Math.max(1, next - this.server.now()) }
      : { jobs: fetched };
  }

  /** How many of so many jobs may be fetched now, where a type limits the rate of its entities. */
  private roomInRate(entity: StoredEntity, limit: number): number {
    const { rateLimit } = this.config.entityType(entity.ref.type);
    if (!rateLimit) return limit;
    if (entity.spent && entity.spent.untilMs <= this.server.now()) entity.spent = undefined;
    return Math.max(0, Math.min(limit, rateLimit.max - (entity.spent?.count ?? 0)));
  }

  /** The span begins with the first job that is fetched in it. */
  private spend(entity: StoredEntity, jobs: number): void {
    const { rateLimit } = this.config.entityType(entity.ref.type);
    if (!rateLimit || jobs === 0) return;
    entity.spent ??= { untilMs: this.server.now() + rateLimit.durationMs, count: 0 };
    entity.spent.count += jobs;
  }

  private end(entity: StoredEntity, { job, outcome }: Settlement): void {
    const stored = entity.active.find(({ id }) => id === job.id);
    if (!stored) return;
    if (outcome.kind === 'retrying' || outcome.kind === 'blocked') {
      // The answer to the same end was lost, and the job has been fetched again.
      if (stored.attempt === job.attempt) this.retry(entity, stored, outcome);
      return;
    }
    entity.active = entity.active.filter(other => other !== stored);
    this.server.forgetDeduplication(entity.ref, stored.options);
    this.schedules.advance(entity, stored);
    if (outcome.kind === 'dead') this.deadLetters.bury(entity, stored, outcome);
    if (outcome.kind === 'failed') {
      stored.outcome = { kind: 'failed', value: outcome.reason };
      entity.failed = [...entity.failed, stored].slice(-MAX_FAILED);
    }
  }

  /** Strict: the job is the head again, behind it all that was fetched. Else it goes behind all that waits, or is due later. */
  private retry(entity: StoredEntity, stored: StoredJob, outcome: TriedAgain): void {
    const delayMs = outcome.kind === 'retrying' ? outcome.delayMs : Number.POSITIVE_INFINITY;
    stored.attemptsMade++;
    stored.stacks.push(outcome.stack);
    entity.active = entity.active.filter(other => other !== stored);
    if (outcome.kind === 'blocked' || this.config.entityType(entity.ref.type).ordering === 'strict') {
      this.server.giveBackUnstarted(entity);
      entity.wait.unshift(stored);
      const { id, attemptsMade } = stored;
      const untilMs = this.server.now() + delayMs;
      // The hold of a blocker outlives those of jobs that were put before it, which are tried again at once.
      const yields = outcome.kind === 'retrying' && this.server.isBlockedBehind(entity);
      if (delayMs > 0 && !yields) entity.hold = { jobId: id, attemptsMade, untilMs, reason: outcome.reason };
    } else if (delayMs > 0) {
      entity.delayed.push({ job: stored, atMs: this.server.now() + delayMs });
    } else {
      entity.wait.push(stored);
    }
  }

  private guard(claim: Claim): StoredEntity {
    const entity = this.server.find(claim.entity);
    if (!entity || entity.owner?.podId !== this.podId || entity.owner.epoch !== claim.epoch) throw stale(claim);
    return entity;
  }
}

type Routed =
  | { readonly route: 'mine'; readonly fetched: Fetched }
  | { readonly route: 'claimed'; readonly claimed: Claimed }
  | { readonly route: 'unknown-claim' | 'elsewhere' | 'nobody' | 'delayed' };

type TriedAgain = Exclude<Settlement['outcome'], { readonly kind: 'completed' }>;

function readWakeUp(word: string): WakeUp {
  return word.startsWith('$') ? { ...parseEntityWord(word.slice(1)), isRecall: true } : parseEntityWord(word);
}

/** Runs a step now; its answer comes in the order of the calls. */
function answer<T>(step: () => T): Promise<T> {
  try {
    return Promise.resolve(step());
  } catch (error) {
    return Promise.reject(error);
  }
}

function toFetched(job: StoredJob): FetchedJob {
  return {
    id: job.id,
    name: job.name,
    data: JSON.parse(job.data),
    attempt: job.attempt,
    attemptsMade: job.attemptsMade,
    options: job.options,
    envelope: job.envelope,
    mustFail: job.mustFail,
    isSkipped: job.isSkipped,
    native: payload => ({ id: job.id, name: job.name, data: payload ? payload.data : JSON.parse(job.data) }),
  };
}

function stale({ entity, token }: Claim): StaleClaimError {
  return new StaleClaimError(`This pod no longer owns ${entityWord(entity)} (token ${token}); nothing was changed.`);
}
