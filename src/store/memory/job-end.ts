/**
 * Ends of jobs in memory: kept, retried, moved to the dead letters.
 * Neighbours: `work.ts` guards the steps; `retention.ts` keeps ended jobs; `removal.ts` is how jobs leave without an end.
 */
import { latestStacks } from '../../core/model/error-text.js';
import type { ChildResult, Settlement } from '../../core/model/job.js';
import type { EngineConfig } from '../../core/options/config.js';
import { MAX_STACKS } from '../../core/run/retry.js';
import type { MemoryJob } from './fetch.js';
import type { MemoryDeadLetters } from './operator/dead-letters.js';
import type { MemorySchedules } from './operator/schedules.js';
import { heldForMs, isBlockedBehind } from './queue.js';
import type { MemoryReplies } from './replies.js';
import { keepEnded } from './retention.js';
import type { MemoryServer } from './server.js';
import type { StoredEntity, StoredJob } from './state.js';

export interface JobEndParts {
  readonly config: EngineConfig;
  readonly deadLetters: MemoryDeadLetters;
  readonly schedules: MemorySchedules;
  readonly replies: MemoryReplies;
}

type Retried = Exclude<Settlement['outcome'], { readonly kind: 'completed' }>;

export class JobEnds {
  constructor(
    private readonly server: MemoryServer,
    private readonly parts: JobEndParts,
  ) {}

  /** Ends that may have been sent before: the response was lost, and another job may have the id by now. */
  endAgain(entity: StoredEntity, settlements: readonly Settlement[]): void {
    const open = settlements.filter(({ job }) => entity.active.includes((job as MemoryJob).stored));
    this.endAll(entity, open);
  }

  /** Jobs that end do so first. Jobs that keep their place go back in their order, the last one first. */
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

  /** @param ahead jobs that come back before this one. Like those that run alongside it, they are not given back with it. */
  private end(entity: StoredEntity, settlement: Settlement, ahead: readonly string[] = []): void {
    const { job, outcome, alongside = [] } = settlement;
    const kept = [...ahead, ...alongside];
    const stored = entity.active.find(({ id }) => id === job.id);
    if (!stored) return;
    if (comesBack(outcome)) {
      // Otherwise the response to the same end was lost, and the job has been fetched again.
      const isShared = settlement.alongside !== undefined;
      if (stored.attempt === job.attempt) this.retry(entity, { stored, kept, isShared }, outcome as Retried);
      return;
    }
    entity.active = entity.active.filter(other => other !== stored);
    this.server.deduplications.end(entity.ref, stored.options);
    this.parts.schedules.advance(entity, stored);
    this.parts.replies.reply(settlement);
    this.server.removal.tellParent(stored, resultOf(outcome));
    const atMs = this.server.now();
    if (outcome.kind === 'completed') keepEnded(entity, stored, { ...outcome, atMs });
    else if (outcome.kind === 'failed') keepEnded(entity, stored, { kind: 'failed', value: outcome.reason, atMs });
    else this.parts.deadLetters.moveToDeadLetters(entity, stored, outcome);
  }

  /** Under strict ordering the job is the head again, before all that was fetched. Otherwise it joins the end, or is delayed. */
  private retry(
    entity: StoredEntity,
    { stored, kept, isShared }: { stored: StoredJob; kept: readonly string[]; isShared: boolean },
    outcome: Retried,
  ): void {
    const isHeld = isShared && heldForMs(entity, this.server.now()) !== undefined;
    const delayMs = outcome.kind === 'retrying' ? outcome.delayMs : Number.POSITIVE_INFINITY;
    stored.attemptsMade++;
    stored.stacks = latestStacks(stored.stacks, outcome.stack, MAX_STACKS);
    if ('thrown' in outcome) stored.thrown = outcome.thrown;
    entity.active = entity.active.filter(other => other !== stored);
    if (outcome.kind !== 'retrying' || this.parts.config.entityType(entity.ref.type).ordering === 'strict') {
      this.server.removal.giveBackUnstarted(entity, kept);
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
      // The hold of a blocker outlives the holds of jobs that were put before it, which are retried at once.
      const yields = outcome.kind === 'retrying' && isBlockedBehind(entity);
      if (delayMs > 0 && !yields) entity.hold = { jobId: id, attemptsMade, untilMs, reason: outcome.reason };
    } else if (delayMs > 0) {
      entity.delayed.push({ job: stored, atMs: this.server.now() + delayMs });
    } else {
      entity.wait.push(stored);
    }
  }

  /**
   * A shared read comes back while one that ran alongside it has, and holds the entity. It waits behind that one, and the hold lasts
   * until both are due. If it has used up its attempts, it fails without running when its turn comes.
   */
  private waitBehind(entity: StoredEntity, stored: StoredJob, outcome: Retried): void {
    entity.wait.splice(1, 0, stored);
    if (outcome.kind !== 'retrying') {
      postpone(stored, outcome.reason);
      return;
    }
    const untilMs = this.server.now() + outcome.delayMs;
    if (entity.hold && untilMs > entity.hold.untilMs) entity.hold = { ...entity.hold, untilMs };
  }
}

/** When its turn comes, it fails for that reason without running; its attempt is counted then. */
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
