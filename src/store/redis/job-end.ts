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
import { mergedJobOptions } from '../../core/options/merged-job-options.js';
import type { Ordering } from '../../core/options/options.js';
import { encodeFields, toText, type WorkerView } from './bullmq/encode.js';
import { failureFields } from './bullmq/failure-fields.js';
import type { StoreContext } from './context.js';
import type { WireEnd, WireSentEnd } from './lua/generated-wire.js';
import type { RedisSchedules } from './operator/schedules.js';
import { type RedisJob, THROWN } from './read-job.js';
import { encodeReply } from './replies.js';

/** With custom worker names there is one per entity, so all are dropped at this number and made again (I8). */
const MAX_VIEWS = 1000;

/** In place of BullMQ's field of that name. */
const PARENT_GONE = '{}';

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

  /** The ends of jobs that end in one step. */
  endsOf(entity: EntityRef, settlements: readonly Settlement[]): WireEnd[] {
    return settlements.map(settlement => this.endOf(entity, settlement, settlements.length));
  }

  /** Ends that may have been sent before. */
  sentEnds(entity: EntityRef, settlements: readonly Settlement[]): WireSentEnd[] {
    return settlements.map(settlement => {
      const [nth, addedAt] = (settlement.job as RedisJob).birth;
      return { nth, addedAt, ...this.endOf(entity, settlement, settlements.length) };
    });
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

  /**
   * The end of one job. On the path of every job: no object is spread here, which would be copied key by key.
   * @param together how many jobs end in the same step
   */
  endOf(entity: EntityRef, settlement: Settlement, together: number): WireEnd {
    const { outcome } = settlement;
    const job = settlement.job as RedisJob;
    const { id: jobId, options } = job;
    const type = this.context.config.entityType(entity.type);
    const { lockDurationMs: lockMs } = type;
    const reply = encodeReply(replyOf(settlement));
    const { kind: status } = outcome;
    if (status === 'completed') {
      const { value } = outcome;
      const opts = this.context.bull.encodeCompleted(options, this.workerOf(type, entity));
      return {
        jobId,
        lockMs,
        status,
        value,
        opts,
        fields: '',
        nextRun: this.nextRunOf(job),
        parent: parentOf(job),
        reply,
      };
    }
    // guards: job-end.endOf
    const failure = failureFields(outcome, { earlier: job.stacks, limit: options.stackTraceLimit, ends: together });
    if (status === 'failed' || status === 'dead') {
      // A dead letter is all that is kept of its job.
      const kept = { ...mergedJobOptions(type, options), ...(status === 'dead' && { removeOnFail: true }) };
      const [opts, fields] = this.context.bull.encodeFailed(failure, kept, this.workerOf(type, entity));
      const { reason: value } = outcome;
      return { jobId, lockMs, status, value, opts, fields, nextRun: this.nextRunOf(job), parent: parentOf(job), reply };
    }
    const isShared = settlement.alongside !== undefined;
    const value = toText(howBack(job.attempt, outcome, { ordering: type.ordering, isShared }));
    const fields = encodeFields({
      ...failure,
      ...('thrown' in outcome && { [THROWN]: JSON.stringify(outcome.thrown) }),
    });
    return { jobId, lockMs, status, value, opts: '', fields, nextRun: '', parent: '', reply };
  }

  /** Logs that BullMQ refused the end of a job, if it did. */
  report({ entity }: Claim, { job, outcome }: Settlement, code: number): void {
    if (code >= 0) return;
    this.context.log.warn(
      `Job ${job.id} of ${entityKey(entity)} has ended (${outcome.kind}), but BullMQ refused its end (code ${code}): it was removed or moved while it ran.`,
    );
  }

  /** When the schedule of a job runs next; '' if it has none, or a parent. */
  private nextRunOf(job: RedisJob): WireEnd['nextRun'] {
    return job.parent === undefined ? this.schedules.nextOf(job) : '';
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

/** The parent that is told of the end of a job; '' if it has none. */
function parentOf({ parent }: RedisJob): string {
  // guards: job-end.parentOf
  return parent !== undefined ? parent || PARENT_GONE : '';
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
