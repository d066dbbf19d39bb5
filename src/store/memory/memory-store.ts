/**
 * The store in memory: one pod's view of a {@link MemoryServer}. The same port and the same contract as Redis, for tests
 * without a server; every step takes effect when it is called, and answers in the order of the calls.
 */

import type { Claim } from '../../core/model/claim.js';
import { type EntityRef, entityKey } from '../../core/model/entity.js';
import type { FetchedJob, NewJob, Settlement } from '../../core/model/job.js';
import { StaleClaimError } from '../../core/model/job-errors.js';
import { overtakes } from '../../core/model/store-errors.js';
import type { EngineConfig } from '../../core/options/config.js';
import type { Claimed, Passed, PodState, ReleaseMode, Renewal, Renewed } from '../../core/ports/claims.js';
import type { IntakeHint, IntakeResult, NewFlow } from '../../core/ports/intake.js';
import type { EntityStore } from '../../core/ports/store.js';
import type { Discovered, WakeUp } from '../../core/ports/wake-ups.js';
import type { Fetched, Gathering } from '../../core/ports/work.js';
import { DORMANT_LEASES } from '../../core/run/lease.js';
import { MemoryFlows } from './flows.js';
import { MemoryHosts } from './hosts.js';
import { MemoryIntake } from './intake.js';
import { MemoryControl } from './operator/control.js';
import { MemoryDeadLetters } from './operator/dead-letters.js';
import { MemorySchedules } from './operator/schedules.js';
import { MemoryReplies } from './replies.js';
import type { MemoryServer } from './server.js';
import type { StoredEntity } from './state.js';
import { HOLD_LEAD_MS, MemoryWakeUps } from './wake-ups.js';
import { MemoryWork } from './work.js';

export class MemoryEntityStore implements EntityStore {
  readonly control: MemoryControl;
  readonly deadLetters: MemoryDeadLetters;
  readonly schedules: MemorySchedules;
  readonly replies: MemoryReplies;
  readonly hosts: MemoryHosts;
  private readonly intake: MemoryIntake;
  private readonly flows: MemoryFlows;
  private readonly books: MemoryWakeUps;
  private readonly line: MemoryWork;

  constructor(
    private readonly server: MemoryServer,
    private readonly config: EngineConfig,
    private readonly podId: string,
  ) {
    this.control = new MemoryControl(server, podId, config.codecs);
    this.intake = new MemoryIntake(server, config);
    this.flows = new MemoryFlows(server, this.intake);
    const parts = { intake: this.intake, codecs: config.codecs };
    this.deadLetters = new MemoryDeadLetters(server, this.control, parts);
    this.schedules = new MemorySchedules(server, this.control, parts);
    this.replies = new MemoryReplies(server, this.control, podId);
    this.hosts = new MemoryHosts(server);
    this.books = new MemoryWakeUps(server, podId);
    const { deadLetters, schedules, replies } = this;
    const guard = (claim: Claim) => this.guard(claim);
    this.line = new MemoryWork({ server, config, deadLetters, schedules, replies, guard });
  }

  async start(): Promise<void> {}

  queueName(entity: EntityRef): string {
    return `memory:${entityKey(entity)}:queue`;
  }

  add(job: NewJob, hint: IntakeHint): Promise<IntakeResult> {
    return answer(() => {
      this.intake.checkRoom([job]);
      return this.addOne(job, hint);
    });
  }

  addAll(jobs: readonly (readonly [NewJob, IntakeHint])[]): readonly Promise<IntakeResult>[] {
    try {
      this.intake.checkRoom(jobs.map(([job]) => job));
    } catch (error) {
      return jobs.map(() => Promise.reject(error));
    }
    return jobs.map(([job, hint]) => answer(() => this.addOne(job, hint)));
  }

  addFlow(flow: NewFlow): readonly Promise<IntakeResult>[] {
    try {
      const known = this.flows.knownId(flow);
      if (known !== undefined)
        return flow.jobs.map(
          async ({ path }): Promise<IntakeResult> => ({ jobId: `${known}${path}`, route: 'remote' }),
        );
      return this.flows.takeIn(flow).map(({ entity, jobId, delayMs }, index) => {
        const { isParent, hint = 'route-only' } = flow.jobs[index] ?? {};
        if (isParent) return answer((): IntakeResult => ({ jobId, route: 'parent' }));
        return answer(() => ({ jobId, ...this.route(entity, hint, delayMs) }));
      });
    } catch (error) {
      return flow.jobs.map(() => Promise.reject(error));
    }
  }

  private addOne(job: NewJob, hint: IntakeHint): IntakeResult {
    const { entity, jobId, delayMs } = this.intake.takeIn(job);
    return { jobId, ...this.route(entity, hint, delayMs) };
  }

  tryClaim(ref: EntityRef, claimWith: number): Promise<Claimed | Passed> {
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
      this.server.due.set(entityKey(ref), this.server.liveUntil(entity) ?? 0);
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
    if (this.server.isParked(entity)) {
      this.server.park(entity);
      return this.server.isPaused(entity) ? 'paused' : 'later';
    }
    // What a dead owner had fetched, which somebody has put before the head, does not wait with it.
    const heldForMs = entity.active.length === 0 ? this.books.heldForLong(entity) : undefined;
    if (heldForMs === undefined) return 'waiting';
    this.server.due.set(entityKey(ref), this.server.now() + heldForMs - HOLD_LEAD_MS);
    return 'later';
  }

  resync(claim: Claim, epoch: number, settled: readonly Settlement[]): Promise<Claimed> {
    return answer(() => {
      const entity = this.server.find(claim.entity);
      const owner = entity?.owner;
      if (!entity || owner?.podId !== this.podId || owner.epoch < claim.epoch || owner.epoch >= epoch)
        throw stale(claim);
      this.line.endAgain(entity, settled);
      this.server.giveBackUnstarted(entity);
      return this.claim(entity, epoch, true);
    });
  }

  take(claim: Claim, count = 1, gathering?: Gathering): Promise<Fetched> {
    return answer(() => {
      const entity = this.guard(claim);
      if (gathering && entity.owner) {
        entity.owner.gathering = { upTo: gathering.upTo, untilMs: this.server.now() + gathering.forMs };
      }
      return this.line.taken(entity, count);
    });
  }

  finish(claim: Claim, settlements: readonly Settlement[], take: number): Promise<Fetched> {
    return answer(() => {
      const entity = this.guard(claim);
      this.checkOrder(entity, settlements);
      this.line.endAll(entity, settlements);
      return this.line.fetch(entity, take);
    });
  }

  /** @throws StoreRefusedError when an end would count before that of an older job (I6). */
  private checkOrder(entity: StoredEntity, settlements: readonly Settlement[]): void {
    if (!this.config.entityType(entity.ref.type).isOrdered) return;
    const ending = new Set(settlements.map(({ job }) => job.id));
    const last = entity.active.findLastIndex(({ id }) => ending.has(id));
    const beside = settlements[0]?.beside ?? [];
    const older = entity.active.slice(0, Math.max(0, last)).some(({ id }) => !ending.has(id) && !beside.includes(id));
    if (older) throw overtakes(entity.active[last]?.id ?? '');
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
      if (this.server.isParked(entity)) {
        entity.owner = undefined;
        this.server.park(entity);
        return true;
      }
      const heldForMs = this.books.heldForLong(entity);
      const waitsForMs = heldForMs === undefined ? 0 : heldForMs - HOLD_LEAD_MS;
      if (mode === 'idle' && waitsForMs === 0) return false;
      entity.owner = undefined;
      this.server.due.set(entityKey(claim.entity), this.server.now() + waitsForMs);
      if (mode !== 'idle' && waitsForMs === 0) {
        const isCalled = this.server.callAnother(this.podId, entity);
        if (!isCalled && mode === 'hand-over') this.server.requestWorker(entity.ref);
      }
      return true;
    });
  }

  defer(claim: Claim, job: FetchedJob, graceMs: number): Promise<boolean> {
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
      this.server.due.set(entityKey(claim.entity), now);
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
      const wasHeard = this.server.hear(this.podId);
      const lost: number[] = [];
      const kicked: number[] = [];
      const dormant: number[] = [];
      for (const [position, { claim, idle, longRuns }] of renewals.entries()) {
        const entity = this.server.find(claim.entity);
        const owner = entity?.owner;
        if (!entity || owner?.podId !== this.podId || owner.epoch < claim.epoch) {
          if (entity) this.server.clearSuspicion(entity, this.podId);
          lost.push(position);
          continue;
        }
        owner.longRuns = longRuns;
        owner.rests = idle && [entity.wait, entity.active, entity.delayed].every(({ length }) => length === 0);
        if (owner.rests) dormant.push(position);
        owner.untilMs = this.server.now() + this.server.leaseMs * (owner.rests ? DORMANT_LEASES : 1);
        this.server.due.set(entityKey(claim.entity), owner.untilMs);
        const isHeld = entity.active.length === 0 && this.server.heldForMs(entity) !== undefined;
        if (idle && !this.server.isPaused(entity) && !isHeld && this.server.hasWork(entity)) kicked.push(position);
      }
      return { lost, kicked, dormant, wasHeard, loads };
    });
  }

  due(type: string, from: number, limit: number): Promise<EntityRef[]> {
    return answer(() => this.books.due(type, from, limit));
  }

  wakeUps(types: readonly string[]): Promise<WakeUp[]> {
    return this.books.wakeUps(types);
  }

  requestWorker(entity: EntityRef): Promise<void> {
    return answer(() => this.server.requestWorker(entity));
  }

  backlogs(entities: readonly EntityRef[]): Promise<number[]> {
    return answer(() => this.books.backlogs(entities));
  }

  /** What an operator begins is done in one step here. */
  async leftovers(): Promise<boolean> {
    return false;
  }

  discover(types: readonly string[], intervalMs: number): Promise<Discovered> {
    return answer(() => this.books.discover(types, intervalMs));
  }

  isSilentFor(): boolean {
    return false;
  }

  /** Memory keeps no process alive. */
  linger(): void {}

  async close(): Promise<void> {
    this.books.close();
    this.replies.close();
  }

  private route(entity: StoredEntity, hint: IntakeHint, delayMs: number): Routed {
    const { owner } = entity;
    if (owner?.podId === this.podId) {
      if (hint === 'route-only' || owner.epoch !== hint.epoch) {
        if (owner.rests) this.server.callOwner(entity);
        return { route: 'unknown-claim' };
      }
      return { route: 'local', fetched: this.line.taken(entity, entity.active.length < hint.atOnce ? 1 : 0) };
    }
    if (owner && this.server.isOwnedByOther(entity, this.podId)) {
      const { maxHandlers } = this.config.entityType(entity.ref.type);
      const isFree = entity.active.length < maxHandlers || this.server.isGathering(entity);
      if (owner.rests || (isFree && this.server.heldForMs(entity) === undefined)) this.server.callOwner(entity);
      return { route: 'remote' };
    }
    if (delayMs > 0) {
      this.server.lowerDue(entity, this.server.now() + delayMs);
      return { route: 'delayed' };
    }
    if (hint !== 'route-only' && hint.mayClaim) return { route: 'claimed', claimed: this.claim(entity, hint.epoch) };
    this.server.lowerDue(entity, this.server.now());
    if (!this.server.callAnother(this.podId, entity)) this.server.requestWorker(entity.ref);
    return { route: 'unowned' };
  }

  private claim(entity: StoredEntity, epoch: number, keepsToken = false): Claimed {
    const { maxStalledCount } = this.config.entityType(entity.ref.type);
    const recovered = this.server.grant(entity, this.podId, epoch, maxStalledCount, keepsToken);
    return {
      claim: { entity: entity.ref, token: String(entity.token), epoch },
      recovered,
      ...this.line.fetch(entity, 1),
    };
  }

  private guard(claim: Claim): StoredEntity {
    const entity = this.server.find(claim.entity);
    if (!entity || entity.owner?.podId !== this.podId || entity.owner.epoch !== claim.epoch) throw stale(claim);
    return entity;
  }
}

type Routed =
  | { readonly route: 'local'; readonly fetched: Fetched }
  | { readonly route: 'claimed'; readonly claimed: Claimed }
  | { readonly route: 'unknown-claim' | 'remote' | 'unowned' | 'delayed' };

/** Runs a step now; its answer comes in the order of the calls. */
function answer<T>(step: () => T): Promise<T> {
  try {
    return Promise.resolve(step());
  } catch (error) {
    return Promise.reject(error);
  }
}

function stale({ entity, token }: Claim): StaleClaimError {
  return new StaleClaimError(`This pod no longer owns ${entityKey(entity)} (token ${token}); nothing was changed.`);
}
