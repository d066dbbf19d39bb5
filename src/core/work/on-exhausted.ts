/**
 * Applies `onExhausted` to the jobs that have used up their attempts.
 *
 * Owns: what such an end becomes, and which ends let a job keep its place at the head of the queue.
 * Neighbours: `run-job.ts` and `run-batch.ts` say how an attempt ended. `local-queue.ts` keeps the ends.
 */

import type { Claim } from '../model/claim.js';
import { entityKey } from '../model/entity.js';
import { quoted } from '../model/error-text.js';
import type { Settlement } from '../model/job.js';
import type { EntityTypeConfig } from '../options/config.js';
import type { Log } from '../ports/log.js';

export interface Circumstances {
  readonly type: EntityTypeConfig;
  readonly claim: Claim;
  readonly log: Log;
}

/** A job without attempts left fails, blocks its entity, or becomes a dead letter. A job that the operator has skipped always fails. */
function exhausted(end: Settlement, { type: { onExhausted }, claim, log }: Circumstances): Settlement {
  const { job, outcome } = end;
  if (outcome.kind !== 'failed' || onExhausted === 'skip' || job.isSkipped) return end;
  if (onExhausted === 'deadLetter') return { job, outcome: { ...outcome, kind: 'dead' } };
  log.warn(
    `Job ${job.id} (${quoted(job.name)}) has used up its attempts and blocks ${entityKey(claim.entity)}: no further job of the entity runs. Decide with EntityQueues.of(…): retryBlocked(), skipBlocked() or dropBlocked().`,
  );
  return { job, outcome: { ...outcome, kind: 'blocked' } };
}

/**
 * Settles the ends of the jobs of one run. Only one job can block an entity at a time. If a job in front of it keeps its place, a job
 * that would block is postponed: it blocks when its turn comes.
 */
export function settleExhausted(ends: readonly Settlement[], circumstances: Circumstances): Settlement[] {
  const { type } = circumstances;
  let isBehind = false;
  return ends.map(end => {
    const { job, outcome } = end;
    const blocks = outcome.kind === 'failed' && type.onExhausted === 'block' && !job.isSkipped;
    if (blocks && isBehind) return { job, outcome: { ...outcome, kind: 'postponed' } };
    const settlement = exhausted(end, circumstances);
    isBehind ||= keepsPlace(settlement, type);
    return settlement;
  });
}

/** Whether the job goes back to the head of the queue, and all jobs that were fetched after it go back, too (I6, race 6). */
export function keepsPlace({ outcome: { kind } }: Settlement, { ordering }: EntityTypeConfig): boolean {
  return kind === 'blocked' || kind === 'postponed' || (kind === 'retrying' && ordering === 'strict');
}
