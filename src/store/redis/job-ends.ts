/**
 * What a call that ends a job, or fetches the next, tells the scripts: BullMQ's options as the entity's type has them.
 * Neighbours: `scripts/finish.lua.ts` ends jobs; `bullmq.ts` has BullMQ build its arguments.
 */

import type { Ordering } from '../../core/engine-options.js';
import { type EntityRef, entityWord } from '../../core/entity.js';
import type { Settlement } from '../../core/jobs.js';
import type { EngineConfig, EntityTypeConfig } from '../../core/options.js';
import type { Claim, Log } from '../../core/ports.js';
import { replyOf } from '../../core/reply.js';
import { encodeReply } from './answers.js';
import { type Bull, encodeFields, failureFields, toText, type WorkerView } from './bullmq.js';
import { type RedisJob, THROWN } from './replies.js';
import type { RedisSchedules } from './schedules.js';

export interface JobEndParts {
  readonly config: EngineConfig;
  readonly podId: string;
  readonly log: Log;
  readonly schedules: RedisSchedules;
  bull(): Bull;
}

/** Custom worker names make as many as there are entities; then they are made anew (I8). */
const MOST_VIEWS = 1000;

export class JobEnds {
  /** What is encoded for one stays encoded. */
  private readonly views = new Map<string, WorkerView>();

  constructor(private readonly parts: JobEndParts) {}

  takeOptions(entity: EntityRef): string {
    const type = this.parts.config.entityType(entity.type);
    return this.parts.bull().encodeTake(this.workerOf(type, entity));
  }

  /** `jobId lockMs status value opts fields nextMs reply` of a job that ends. */
  arguments(entity: EntityRef, settlement: Settlement): (string | number)[] {
    return [...this.withoutReply(entity, settlement), encodeReply(replyOf(settlement))];
  }

  private withoutReply(entity: EntityRef, { job, outcome, beside }: Settlement): (string | number)[] {
    const type = this.parts.config.entityType(entity.type);
    const { lockDurationMs, jobOptions, ordering } = type;
    const worker = this.workerOf(type, entity);
    const { options, stacks } = job as RedisJob;
    const bull = this.parts.bull();
    const head = [job.id, lockDurationMs, outcome.kind];
    if (outcome.kind === 'completed') {
      return [...head, outcome.value, bull.encodeCompleted(options, worker), '', this.sequelOf(job as RedisJob)];
    }
    const fields = failureFields(outcome, stacks, options.stackTraceLimit);
    if (outcome.kind === 'failed' || outcome.kind === 'dead') {
      // A dead letter is all that is kept of its job.
      const kept = outcome.kind === 'dead' ? { removeOnFail: true } : {};
      const encoded = bull.encodeFailed(fields, { ...jobOptions, ...options, ...kept }, worker);
      return [...head, outcome.reason, ...encoded, this.sequelOf(job as RedisJob)];
    }
    return [
      ...head,
      toText(howBack(job.attempt, outcome, { ordering, isShared: beside !== undefined })),
      '',
      encodeFields({ ...fields, ...('thrown' in outcome && { [THROWN]: JSON.stringify(outcome.thrown) }) }),
      '',
    ];
  }

  /** What BullMQ has answered, where it would not take the end of a job. */
  report({ entity }: Claim, { job, outcome }: Settlement, code: number): void {
    if (code >= 0) return;
    this.parts.log.warn(
      `Job ${job.id} of ${entityWord(entity)} has ended (${outcome.kind}), but BullMQ would not take it (code ${code}): it was removed or moved while it ran.`,
    );
  }

  /** What belongs to the end of a job beside it: '' for most. */
  private sequelOf(job: RedisJob): string {
    return job.parent !== undefined ? `child ${job.parent}` : this.parts.schedules.nextOf(job);
  }

  private workerOf({ type, workerName, lockDurationMs, rateLimit }: EntityTypeConfig, entity: EntityRef): WorkerView {
    const name = workerName?.(entity.id);
    const key = name === undefined ? type : `${type}\n${name}`;
    let view = this.views.get(key);
    if (!view) {
      view = {
        name: name ?? this.parts.podId,
        lockDuration: lockDurationMs,
        limiter: rateLimit && { max: rateLimit.max, duration: rateLimit.durationMs },
      };
      if (this.views.size >= MOST_VIEWS) this.views.clear();
      this.views.set(key, view);
    }
    return view;
  }
}

/** How a job comes back, as the script reads it. */
function howBack(
  attempt: number,
  outcome: Exclude<Settlement['outcome'], { readonly kind: 'completed' }>,
  { ordering, isShared }: { ordering: Ordering; isShared: boolean },
): object {
  const { reason } = outcome;
  const shared = isShared && { shared: reason };
  if (outcome.kind === 'retrying')
    return { attempt, delayMs: outcome.delayMs, strict: ordering === 'strict', ...shared };
  return outcome.kind === 'postponed'
    ? { attempt, strict: true, postponed: reason }
    : { attempt, strict: true, ...shared };
}
