/**
 * The lifecycle events of a worker and its jobs. Without a listener no event object is created.
 *
 * Owns: which event a claim or an end of a job becomes.
 * Neighbours: `model/events.ts` has the types of the events. The parts of a worker call this file.
 */

import type { Claim } from '../model/claim.js';
import { type EventSink, ofEntity } from '../model/events.js';
import type { FetchedJob, Settlement } from '../model/job.js';
import type { Claimed } from '../ports/claims.js';

export function emitWorkerEvent(
  events: EventSink,
  type: 'worker.lost' | 'worker.idle' | 'worker.released',
  claim: Claim | undefined,
): void {
  if (events.observed && claim) events.emit({ type, ...ofEntity(claim.entity, claim.token) });
}

/** Emits no event for a resync, which keeps the token. */
export function emitClaimed(events: EventSink, previous: Claim | undefined, { claim, recovered, jobs }: Claimed): void {
  if (!events.observed || previous?.token === claim.token) return;
  const of = ofEntity(claim.entity, claim.token);
  if (recovered > 0) events.emit({ type: 'worker.takeover', recovered, ...of });
  else events.emit({ type: 'worker.claimed', ...of });
  if (recovered === 1 && jobs[0]) emitJobEvent(events, 'job.stalled', claim, jobs[0]);
}

export function emitScaled(
  events: EventSink,
  claim: Claim | undefined,
  { before, wanted, backlog }: { before: number; wanted: number; backlog: number },
): void {
  if (!events.observed || !claim) return;
  const type = wanted > before ? 'scaler.spawned' : 'scaler.terminated';
  events.emit({ type, workers: wanted, backlog, ...ofEntity(claim.entity, claim.token) });
}

export function emitJobEvent(
  events: EventSink,
  type: 'job.started' | 'job.stalled',
  claim: Claim,
  job: FetchedJob,
): void {
  if (events.observed) events.emit({ type, ...ofJob(claim, job) });
}

export function emitSlowJob(events: EventSink, claim: Claim, job: FetchedJob, durationMs: number): void {
  if (events.observed) events.emit({ type: 'job.slow', ...ofJob(claim, job), durationMs });
}

export function emitJobEnd(events: EventSink, claim: Claim, { job, outcome }: Settlement, durationMs: number): void {
  // A postponed job has its event when its turn comes.
  if (!events.observed || outcome.kind === 'postponed') return;
  const of = { ...ofJob(claim, job), durationMs };
  if (outcome.kind === 'completed') events.emit({ type: 'job.completed', ...of });
  else if (outcome.kind === 'retrying')
    events.emit({ type: 'job.retried', reason: outcome.reason, delayMs: outcome.delayMs, ...of });
  else events.emit({ type: `job.${outcome.kind}`, reason: outcome.reason, ...of });
}

function ofJob({ entity, token }: Claim, { id, name, attempt }: FetchedJob) {
  return { ...ofEntity(entity, token), jobId: id, jobName: name, attempt };
}
