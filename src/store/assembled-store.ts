/**
 * The store as the core calls it, put together from its roles: which role has which method. Both stores extend it.
 * Neighbours: `redis/redis-store.ts` and `memory/memory-store.ts` make the roles, and open and close them.
 */
import type { Claim } from '../core/model/claim.js';
import type { EntityRef } from '../core/model/entity.js';
import type { FetchedJob, NewJob, Settlement } from '../core/model/job.js';
import type { Claimed, Claims, Passed, PodState, ReleaseMode, Renewal, Renewed } from '../core/ports/claims.js';
import type { Hosts } from '../core/ports/hosts.js';
import type { Intake, IntakeHint, IntakeResult, NewFlow } from '../core/ports/intake.js';
import type { DeadLetters, EntityControl, Schedules } from '../core/ports/operator.js';
import type { Replies } from '../core/ports/replies.js';
import type { EntityStore } from '../core/ports/store.js';
import type { Discovered, WakeUp, WakeUps } from '../core/ports/wake-ups.js';
import type { Fetched, Gathering, Work } from '../core/ports/work.js';

export interface StoreRoles {
  readonly intake: Intake;
  readonly claims: Claims;
  readonly work: Work;
  readonly wakeUps: WakeUps;
  readonly control: EntityControl;
  readonly deadLetters: DeadLetters;
  readonly schedules: Schedules;
  readonly replies: Replies;
  readonly hosts: Hosts;
}

export abstract class AssembledStore implements EntityStore {
  private readonly intake: Intake;
  private readonly claims: Claims;
  private readonly work: Work;
  private readonly roleOfWakeUps: WakeUps;
  readonly control: EntityControl;
  readonly deadLetters: DeadLetters;
  readonly schedules: Schedules;
  readonly replies: Replies;
  readonly hosts: Hosts;

  constructor(roles: StoreRoles) {
    this.intake = roles.intake;
    this.claims = roles.claims;
    this.work = roles.work;
    this.roleOfWakeUps = roles.wakeUps;
    this.control = roles.control;
    this.deadLetters = roles.deadLetters;
    this.schedules = roles.schedules;
    this.replies = roles.replies;
    this.hosts = roles.hosts;
  }

  abstract start(onUnreachable?: (reason: string) => void): Promise<void>;
  abstract queueName(entity: EntityRef): string;
  abstract isSilentFor(ms: number): boolean;
  abstract linger(): void;
  abstract close(): Promise<void>;

  add(job: NewJob, hint: IntakeHint): Promise<IntakeResult> {
    return this.intake.add(job, hint);
  }

  addAll(jobs: readonly (readonly [NewJob, IntakeHint])[]): readonly Promise<IntakeResult>[] {
    return this.intake.addAll(jobs);
  }

  addFlow(flow: NewFlow): readonly Promise<IntakeResult>[] {
    return this.intake.addFlow(flow);
  }

  tryClaim(entity: EntityRef, claimWith: number): Promise<Claimed | Passed> {
    return this.claims.tryClaim(entity, claimWith);
  }

  peek(entity: EntityRef): Promise<Passed | 'waiting'> {
    return this.claims.peek(entity);
  }

  resync(claim: Claim, epoch: number, settled: readonly Settlement[]): Promise<Claimed> {
    return this.claims.resync(claim, epoch, settled);
  }

  release(claim: Claim, mode: ReleaseMode): Promise<boolean> {
    return this.claims.release(claim, mode);
  }

  defer(claim: Claim, job: FetchedJob, graceMs: number): Promise<boolean> {
    return this.claims.defer(claim, job, graceMs);
  }

  renew(renewals: readonly Renewal[], pod: PodState): Promise<Renewed> {
    return this.claims.renew(renewals, pod);
  }

  take(claim: Claim, count?: number, gathering?: Gathering): Promise<Fetched> {
    return this.work.take(claim, count, gathering);
  }

  finish(claim: Claim, settlements: readonly Settlement[], take: number): Promise<Fetched> {
    return this.work.finish(claim, settlements, take);
  }

  giveBack(claim: Claim, kept: readonly string[]): Promise<void> {
    return this.work.giveBack(claim, kept);
  }

  due(type: string, from: number, limit: number): Promise<EntityRef[]> {
    return this.roleOfWakeUps.due(type, from, limit);
  }

  wakeUps(types: readonly string[]): Promise<WakeUp[]> {
    return this.roleOfWakeUps.wakeUps(types);
  }

  requestWorker(entity: EntityRef): Promise<void> {
    return this.roleOfWakeUps.requestWorker(entity);
  }

  backlogs(entities: readonly EntityRef[]): Promise<number[]> {
    return this.roleOfWakeUps.backlogs(entities);
  }

  leftovers(types: readonly string[]): Promise<boolean> {
    return this.roleOfWakeUps.leftovers(types);
  }

  discover(types: readonly string[], intervalMs: number, from?: string): Promise<Discovered> {
    return this.roleOfWakeUps.discover(types, intervalMs, from);
  }
}
