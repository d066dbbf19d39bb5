/**
 * The jobs of an entity in memory: fetched, ended, tried again.
 * Owns: what is fetched when, and what becomes of a job that ends. Neighbour: `memory-store.ts` guards the steps by the claim.
 */

import { MAX_FETCH_BYTES } from '../../core/model/bounds.js';
import type { Claim } from '../../core/model/claim.js';
import { latestStacks } from '../../core/model/error-text.js';
import { type ChildResult, childResult, type FetchedJob, type Settlement } from '../../core/model/job.js';
import type { EngineConfig } from '../../core/options/config.js';
import type { Fetched } from '../../core/ports/work.js';
import { MAX_STACKS } from '../../core/run/retry.js';
import type { MemoryDeadLetters } from './operator/dead-letters.js';
import type { MemorySchedules } from './operator/schedules.js';
import type { MemoryReplies } from './replies.js';
import { keepEnded } from './retention.js';
import { type MemoryServer } from './server.js';
import { type StoredEntity, type StoredJob } from './state.js';

export interface MemoryWorkParts {
  readonly server: MemoryServer;
  readonly config: EngineConfig;
  readonly deadLetters: MemoryDeadLetters;
  readonly schedules: MemorySchedules;
  readonly replies: MemoryReplies;
  /** @throws StaleClaimError */
  guard(claim: Claim): unknown;
}

/** A fetched job as this store knows it. */
interface MemoryJob extends FetchedJob {
  readonly stored: StoredJob;
}

type TriedAgain = Exclude<Settlement['outcome'], { readonly kind: 'completed' }>;

export class MemoryWork {
  private readonly server: MemoryServer;

  constructor(private readonly parts: MemoryWorkParts) {
    this.server = parts.server;
  }

  /** What an idle worker asks for. */
  taken(entity: StoredEntity, limit: number): Fetched {
    const isReactivated = this.server.reactivate(entity);
    const fetched = limit > 0 ? this.fetch(entity, limit) : { jobs: [] };
    return isReactivated ? { ...fetched, isReactivated } : fetched;
  }

  fetch(entity: StoredEntity, limit: number): Fetched {
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
    const jobs = entity.wait.splice(0, countUpTo(entity.wait.slice(0, room), MAX_FETCH_BYTES));
    const isPartial = jobs.length < room && entity.wait.length > 0;
    this.spend(entity, jobs.filter(({ mustFail }) => !mustFail).length);
    for (const job of jobs) {
      job.attempt++;
      job.fetchedAtMs = this.server.now();
    }
    entity.active.push(...jobs);
    const next = Math.min(...entity.delayed.map(({ atMs }) => atMs));
    const fetched = jobs.map(job => ({ ...toFetched(job), children: job.children && this.childrenOf(entity, job) }));
    if (entity.spent && room < limit && entity.wait.length > 0 && !this.server.isPaused(entity)) {
      return { jobs: fetched, againInMs: Math.max(1, entity.spent.untilMs - this.server.now()), isLimited: true };
    }
    if (isPartial) return { jobs: fetched, isPartial };
    return jobs.length < limit && Number.isFinite(next)
      ? { jobs: fetched, againInMs: Math.max(1, next - this.server.now()) }
      : { jobs: fetched };
  }

  /** Under the claim under which the job was fetched. */
  private childrenOf({ ref, owner }: StoredEntity, job: StoredJob): () => Promise<readonly ChildResult[]> {
    const claim = { entity: ref, token: '', epoch: owner?.epoch ?? 0 };
    return async () => {
      this.parts.guard(claim);
      return (job.envelope.children ?? []).map(child => childResult(child, job.children?.get(child.jobId)));
    };
  }

  /** How many of so many jobs may be fetched now, where a type limits the rate of its entities. */
  private roomInRate(entity: StoredEntity, limit: number): number {
    const { rateLimit } = this.parts.config.entityType(entity.ref.type);
    if (!rateLimit) return limit;
    if (entity.spent && entity.spent.untilMs <= this.server.now()) entity.spent = undefined;
    return Math.max(0, Math.min(limit, rateLimit.max - (entity.spent?.count ?? 0)));
  }

  /** The span begins with the first job that is fetched in it. */
  private spend(entity: StoredEntity, jobs: number): void {
    const { rateLimit } = this.parts.config.entityType(entity.ref.type);
    if (!rateLimit || jobs === 0) return;
    const sinceMs = this.server.now();
    entity.spent ??= { sinceMs, untilMs: sinceMs + rateLimit.durationMs, count: 0 };
    entity.spent.count += jobs;
  }

  /** Ends that are sent again: the answer to an earlier one may have been lost, and another job added under its id since. */
  endAgain(entity: StoredEntity, settlements: readonly Settlement[]): void {
    const open = settlements.filter(({ job }) => entity.active.includes((job as MemoryJob).stored));
    this.endAll(entity, open);
  }

  /** Those that end for good do so first; those that keep their place go back in their order, the last one first. */
  endAll(entity: StoredEntity, settlements: readonly Settlement[]): void {
    const isStrict = this.parts.config.entityType(entity.ref.type).ordering === 'strict';
    const back = settlements.filter(({ outcome }) => isStrict && comesBack(outcome));
    for (const settlement of settlements) if (!back.includes(settlement)) this.end(entity, settlement);
    const ahead = back.map(({ job }) => job.id);
    for (const settlement of back.toReversed()) {
      this.end(entity, settlement, ahead);
      ahead.pop();
    }
  }

  /** @param ahead jobs that come back before this one: like those beside it, they are not given back with it. */
  private end(entity: StoredEntity, settlement: Settlement, ahead: readonly string[] = []): void {
    const { job, outcome, beside = [] } = settlement;
    const kept = [...ahead, ...beside];
    const stored = entity.active.find(({ id }) => id === job.id);
    if (!stored) return;
    if (comesBack(outcome)) {
      // The answer to the same end was lost, and the job has been fetched again.
      const isShared = settlement.beside !== undefined;
      if (stored.attempt === job.attempt) this.retry(entity, { stored, kept, isShared }, outcome as TriedAgain);
      return;
    }
    entity.active = entity.active.filter(other => other !== stored);
    this.server.forgetDeduplication(entity.ref, stored.options);
    this.parts.schedules.advance(entity, stored);
    this.parts.replies.answer(settlement);
    this.server.tellParent(stored, resultOf(outcome));
    const atMs = this.server.now();
    if (outcome.kind === 'completed') keepEnded(entity, stored, { ...outcome, atMs });
    else if (outcome.kind === 'failed') keepEnded(entity, stored, { kind: 'failed', value: outcome.reason, atMs });
    else this.parts.deadLetters.moveToDeadLetters(entity, stored, outcome);
  }

  /** Strict: the job is the head again, behind it all that was fetched. Else it goes behind all that waits, or is due later. */
  private retry(
    entity: StoredEntity,
    { stored, kept, isShared }: { stored: StoredJob; kept: readonly string[]; isShared: boolean },
    outcome: TriedAgain,
  ): void {
    const isHeld = isShared && this.server.heldForMs(entity) !== undefined;
    const delayMs = outcome.kind === 'retrying' ? outcome.delayMs : Number.POSITIVE_INFINITY;
    stored.attemptsMade++;
    stored.stacks = latestStacks(stored.stacks, outcome.stack, MAX_STACKS);
    if ('thrown' in outcome) stored.thrown = outcome.thrown;
    entity.active = entity.active.filter(other => other !== stored);
    if (outcome.kind !== 'retrying' || this.parts.config.entityType(entity.ref.type).ordering === 'strict') {
      this.server.giveBackUnstarted(entity, kept);
      if (isHeld) {
        this.waitBehind(entity, stored, outcome);
        return;
      }
      entity.wait.unshift(stored);
      if (outcome.kind === 'postponed') {
        postpone(stored, outcome.reason);
        return;
      }
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

  /**
   * A read comes back while one that ran beside it already has, and holds the entity: it waits behind that, and the hold lasts until
   * both their times have come. If it has used up its tries, it fails, without running, when its turn comes.
   */
  private waitBehind(entity: StoredEntity, stored: StoredJob, outcome: TriedAgain): void {
    entity.wait.splice(1, 0, stored);
    if (outcome.kind !== 'retrying') {
      postpone(stored, outcome.reason);
      return;
    }
    const untilMs = this.server.now() + outcome.delayMs;
    if (entity.hold && untilMs > entity.hold.untilMs) entity.hold = { ...entity.hold, untilMs };
  }
}

/** How many jobs have so many bytes, the one that makes it more included. */
function countUpTo(jobs: readonly StoredJob[], maxBytes: number): number {
  let bytes = 0;
  const last = jobs.findIndex(({ data }) => {
    bytes += Buffer.byteLength(data);
    return bytes >= maxBytes;
  });
  return last < 0 ? jobs.length : last + 1;
}

/** When its turn comes it fails for that reason, without running; then its try is counted. */
function postpone(stored: StoredJob, reason: string): void {
  stored.attemptsMade--;
  stored.mustFail = reason;
}

function comesBack({ kind }: Settlement['outcome']): boolean {
  return kind === 'retrying' || kind === 'blocked' || kind === 'postponed';
}

/** What the parent of a job sees of its end. */
function resultOf(outcome: Settlement['outcome']): ChildResult['outcome'] {
  if (outcome.kind === 'completed') return { kind: 'completed', value: JSON.parse(outcome.value) };
  return { kind: 'failed', reason: outcome.reason };
}

function toFetched(job: StoredJob): MemoryJob {
  return {
    stored: job,
    id: job.id,
    name: job.name,
    data: JSON.parse(job.data),
    attempt: job.attempt,
    attemptsMade: job.attemptsMade,
    options: job.options,
    envelope: job.envelope,
    mustFail: job.mustFail,
    thrown: job.thrown,
    isSkipped: job.isSkipped,
    hasFailedChild: job.hasFailedChild ?? false,
    native: payload => ({ id: job.id, name: job.name, data: payload ? payload.data : JSON.parse(job.data) }),
  };
}
