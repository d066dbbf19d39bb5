/**
 * The queue of one entity in memory: the order of its jobs, and the hold of its head.
 * Neighbours: `fetch.ts` and `job-end.ts` move jobs out of it and back; `removal.ts` removes them.
 */
import { HOLD_LEAD_MS } from '../protocol-constants.js';
import type { StoredEntity, StoredJob } from './state.js';

/** A job takes its place: behind all that waits, or among the delayed ones. */
export function put(entity: StoredEntity, job: StoredJob, nowMs: number): void {
  const delayMs = Number(job.options['delay'] ?? 0);
  if (delayMs > 0) {
    entity.delayed.push({ job, atMs: nowMs + delayMs });
    return;
  }
  const before = entity.wait.findIndex(other => rankOf(other) > rankOf(job));
  entity.wait.splice(before < 0 ? entity.wait.length : before, 0, job);
}

/** Delayed jobs whose time has come join the end of the queue. */
export function promote(entity: StoredEntity, nowMs: number): void {
  const ripe = entity.delayed.filter(({ atMs }) => atMs <= nowMs).sort((a, b) => a.atMs - b.atMs);
  entity.wait.push(...ripe.map(({ job }) => job));
  entity.delayed = entity.delayed.filter(({ atMs }) => atMs > nowMs);
}

export function hasWork(entity: StoredEntity, nowMs: number): boolean {
  promote(entity, nowMs);
  return entity.wait.length > 0 || entity.active.length > 0;
}

/** Jobs that have not ended. */
export function pendingOf({ wait, active, delayed, parents }: StoredEntity): readonly StoredJob[] {
  return [...wait, ...active, ...delayed.map(({ job }) => job), ...parents];
}

/** All jobs of an entity, those that have ended and are kept included. */
export function jobsOf(entity: StoredEntity): readonly StoredJob[] {
  return [...pendingOf(entity), ...entity.failed, ...entity.completed];
}

/** All that was fetched goes back to the head, in its order. */
export function giveBack(entity: StoredEntity): void {
  entity.wait.unshift(...entity.active);
  entity.active = [];
}

/** How long the head of the queue waits for its next attempt. The hold of a job that is no longer the head is void. */
export function heldForMs({ hold, wait: [head] }: StoredEntity, nowMs: number): number | undefined {
  if (!hold || hold.untilMs <= nowMs) return undefined;
  if (head?.id !== hold.jobId || head.attemptsMade !== hold.attemptsMade) return undefined;
  return hold.untilMs - nowMs;
}

/** As {@link heldForMs}, if the hold is long enough for a release of the claim. */
export function heldForLongMs(entity: StoredEntity, nowMs: number): number | undefined {
  const heldMs = heldForMs(entity, nowMs);
  return heldMs !== undefined && heldMs > HOLD_LEAD_MS ? heldMs : undefined;
}

/** The job that has used up its attempts and blocks the entity until the operator decides: its hold has no end. */
export function blockerOf(entity: StoredEntity, nowMs: number): StoredJob | undefined {
  return heldForMs(entity, nowMs) === Number.POSITIVE_INFINITY ? entity.wait[0] : undefined;
}

/** Whether a job that is not the head blocks the entity: others were put before it, outside this library. */
export function isBlockedBehind({ hold, wait }: StoredEntity): boolean {
  return hold?.untilMs === Number.POSITIVE_INFINITY && wait.some(({ id }) => id === hold.jobId);
}

/** BullMQ's order: jobs without a priority, then those with one, the lowest first. */
function rankOf({ options }: StoredJob): number {
  return Number(options['priority'] ?? 0);
}
