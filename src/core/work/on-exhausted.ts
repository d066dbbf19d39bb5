/**
 * What becomes of a job that has used up its tries, as its type says (`onExhausted`), and which ends let it keep its place.
 * Neighbours: `run-job.ts` and `run-batch.ts` say how a try ended, `local-queue.ts` keeps the ends.
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

/** Unless a person has given it up, a job that has failed for good blocks its entity, or becomes a dead letter, if its type says so. */
function exhausted(end: Settlement, { type: { onExhausted }, claim, log }: Circumstances): Settlement {
  const { job, outcome } = end;
  if (outcome.kind !== 'failed' || onExhausted === 'skip' || job.isSkipped) return end;
  if (onExhausted === 'deadLetter') return { job, outcome: { ...outcome, kind: 'dead' } };
  log.warn(
    `Job ${job.id} (${quoted(job.name)}) has used up its tries, and blocks ${entityKey(claim.entity)} until somebody decides: EntityQueues.of(…), retryBlocked(), skipBlocked() or dropBlocked().`,
  );
  return { job, outcome: { ...outcome, kind: 'blocked' } };
}

/**
 * Settles the ends of jobs that have run as one. One job blocks at a time: one that would do so behind another that comes back does
 * so when its turn comes.
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

/** Whether the job is the next one again, and what was fetched after it is given back (I6, race 6). */
export function keepsPlace({ outcome: { kind } }: Settlement, { ordering }: EntityTypeConfig): boolean {
  return kind === 'blocked' || kind === 'postponed' || (kind === 'retrying' && ordering === 'strict');
}
