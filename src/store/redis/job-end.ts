/**
 * Ends of jobs as the scripts read them, and BullMQ's options for a fetch, both as the entity's type has them.
 * Neighbours: `work.ts` and `claims.ts` send them; `lua/finish.lua` ends jobs; `bullmq/encode.ts` has BullMQ build its arguments.
 */

import { MAX_STEP_BYTES } from '../../core/model/bounds.js';
import type { Claim } from '../../core/model/claim.js';
import { type EntityRef, entityKey } from '../../core/model/entity.js';
import { MAX_STACKS_LENGTH } from '../../core/model/error-text.js';
import type { Settlement } from '../../core/model/job.js';
import { COMES_BACK, replyOf } from '../../core/model/reply-of.js';
import type { EntityTypeConfig } from '../../core/options/config.js';
import type { Ordering } from '../../core/options/options.js';
import { encodeFields, toText, type WorkerView } from './bullmq/encode.js';
import { failureFields } from './bullmq/failure-fields.js';
import type { StoreContext } from './context.js';
import { type RedisJob, THROWN } from './decode.js';
import type { RedisSchedules } from './operator/schedules.js';
import { encodeReply } from './replies.js';

/** With custom worker names there is one per entity, so all are dropped at this number and made again (I8). */
const MAX_VIEWS = 1000;

export class JobEnds {
  /** BullMQ's encodings are kept per view. */
  private readonly views = new Map<string, WorkerView>();

  constructor(
    private readonly context: StoreContext,
    private readonly schedules: RedisSchedules,
  ) {}

  takeOptions(entity: EntityRef): string {
    const type = this.context.config.entityType(entity.type);
    return this.context.bull.encodeTake(this.workerOf(type, entity));
  }

  /** `jobId lockMs status value opts fields nextMs reply` of each job that ends, all in one step. */
  arguments(entity: EntityRef, settlements: readonly Settlement[]): (string | number)[] {
    const [first, ...others] = settlements;
    // Mostly one job ends: its arguments are not copied.
    if (first && others.length === 0) return this.argumentsOf(entity, first, 1);
    return settlements.flatMap(settlement => this.argumentsOf(entity, settlement, settlements.length));
  }

  /** As {@link arguments}, for ends that may have been sent before: `nth timestamp` of each job precedes them. */
  againArguments(entity: EntityRef, settlements: readonly Settlement[]): (string | number)[] {
    return settlements.flatMap(settlement => [
      ...(settlement.job as RedisJob).birth,
      ...this.argumentsOf(entity, settlement, settlements.length),
    ]);
  }

  /**
   * Splits ends that exceed the bound of one step. Jobs that end come first, in their order, and a batch is never split. Jobs that
   * come back are in the last step, which the caller sends itself.
   */
  pages(settled: readonly Settlement[]): {
    readonly pages: readonly Settlement[][];
    readonly last: readonly Settlement[];
  } {
    const pages: Settlement[][] = [];
    let page: Settlement[] = [];
    let bytes = 0;
    const [comingBack, ended] = [settled.filter(comesBack), settled.filter(end => !comesBack(end))];
    for (const end of ended) {
      const isSameBatch = end.batch !== undefined && end.batch === page.at(-1)?.batch;
      // guards: job-end.pages
      if (bytes >= MAX_STEP_BYTES && !isSameBatch) {
        pages.push(page);
        page = [];
        bytes = 0;
      }
      page.push(end);
      bytes += end.outcome.kind === 'completed' ? end.outcome.value.length : MAX_STACKS_LENGTH;
    }
    return { pages, last: [...page, ...comingBack] };
  }

  private argumentsOf(entity: EntityRef, settlement: Settlement, ends: number): (string | number)[] {
    const args = this.withoutReply(entity, settlement, ends);
    args.push(encodeReply(replyOf(settlement)));
    return args;
  }

  private withoutReply(entity: EntityRef, { job, outcome, beside }: Settlement, ends: number): (string | number)[] {
    const type = this.context.config.entityType(entity.type);
    const { lockDurationMs, jobOptions, ordering } = type;
    const worker = this.workerOf(type, entity);
    const { options, stacks } = job as RedisJob;
    const { bull } = this.context;
    if (outcome.kind === 'completed') {
      const encoded = bull.encodeCompleted(options, worker);
      return [job.id, lockDurationMs, 'completed', outcome.value, encoded, '', this.sequelOf(job as RedisJob)];
    }
    const head = [job.id, lockDurationMs, outcome.kind];
    // guards: job-end.withoutReply
    const fields = failureFields(outcome, { earlier: stacks, limit: options.stackTraceLimit, ends });
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

  /** Logs that BullMQ refused the end of a job, if it did. */
  report({ entity }: Claim, { job, outcome }: Settlement, code: number): void {
    if (code >= 0) return;
    this.context.log.warn(
      `Job ${job.id} of ${entityKey(entity)} has ended (${outcome.kind}), but BullMQ refused its end (code ${code}): it was removed or moved while it ran.`,
    );
  }

  /** What follows the end of a job: its parent is told, or its schedule advances; '' for most. */
  private sequelOf(job: RedisJob): string {
    // guards: job-end.sequelOf
    return job.parent !== undefined ? `child ${job.parent}` : this.schedules.nextOf(job);
  }

  private workerOf({ type, workerName, lockDurationMs, rateLimit }: EntityTypeConfig, entity: EntityRef): WorkerView {
    const name = workerName?.(entity.id);
    const key = name === undefined ? type : `${type}\n${name}`;
    let view = this.views.get(key);
    if (!view) {
      view = {
        name: name ?? this.context.podId,
        lockDuration: lockDurationMs,
        limiter: rateLimit && { max: rateLimit.max, duration: rateLimit.durationMs },
      };
      if (this.views.size >= MAX_VIEWS) this.views.clear();
      this.views.set(key, view);
    }
    return view;
  }
}

function comesBack({ outcome: { kind } }: Settlement): boolean {
  return COMES_BACK.includes(kind);
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
