/**
 * The record that a walk keeps of an entity with schedules, and the invariants of docs/protocol.md as far as an operator sees them:
 * through the port, so that both stores are checked in the same way. Neighbour: `schedule-actions.ts` says what each step may do.
 */
import type { EntityRef } from '../../../src/core/model/entity.js';
import type { EntityStatus, JobState, JobView, ScheduleView } from '../../../src/core/ports/operator.js';
import type { EntityStore } from '../../../src/core/ports/store.js';
import type { Cluster } from '../contract-pods.js';

type Jobs = Readonly<Record<Exclude<JobState, 'completed' | 'waiting-children'>, readonly JobView[]>>;

/** An entity as the store has it at one moment. */
export interface SeenSchedules extends Jobs {
  readonly schedules: readonly ScheduleView[];
  readonly status: EntityStatus;
  /** Its next inspection, in ms from now. */
  readonly dueInMs: number | undefined;
  readonly nowMs: number;
}

/** The effects that a step may have, apart from adding jobs and fetching them. */
export interface Change {
  /** Jobs that end in it. */
  readonly ends?: readonly string[];
  /** Other jobs that may leave the queue, or lose their place. */
  readonly removes?: (jobId: string) => boolean;
  /** An operator decides about the job that blocks. */
  readonly unblocks?: boolean;
}

const ALL = 10_000;
export const LEASE_MS = 60_000;
/** The longest time until a job that is no run of a schedule is retried. */
export const MAX_BACKOFF_MS = 60_000;
const SLACK_MS = 1000;

export async function seeSchedules(
  { cluster, nowMs }: { readonly cluster: Cluster; readonly nowMs: () => number },
  { control, schedules }: EntityStore,
  entity: EntityRef,
): Promise<SeenSchedules> {
  const [waiting, active, delayed, failed, listed, status, dueInMs] = await Promise.all([
    control.list(entity, 'waiting', 0, ALL),
    control.list(entity, 'active', 0, ALL),
    control.list(entity, 'delayed', 0, ALL),
    control.list(entity, 'failed', 0, ALL),
    schedules.list(entity, 0, ALL),
    control.status(entity),
    cluster.dueInMs(entity),
  ]);
  return { waiting, active, delayed, failed, schedules: listed, status, dueInMs, nowMs: nowMs() };
}

export function runIdOf({ id, nextAtMs }: ScheduleView): string {
  return `repeat:${id}:${nextAtMs}`;
}

export function isRunOf(scheduleId: string, jobId: string): boolean {
  return jobId.startsWith(`repeat:${scheduleId}:`);
}

export function liveIds({ active, waiting, delayed }: SeenSchedules): string[] {
  return [...active, ...waiting, ...delayed].map(({ jobId }) => jobId);
}

export class ScheduleChecker {
  /** Schedules that an operator has put, and not removed. */
  readonly put = new Set<string>();
  /** Jobs that a pod has fetched at some time: such a run may exist in addition to the present one of its schedule. */
  readonly fetched = new Set<string>();
  /** Runs that were due when their schedule was removed. */
  readonly left = new Set<string>();
  /** Jobs that were fetched when an operator dropped the queue: they go when they are given back. */
  readonly recalled = new Set<string>();

  constructor(
    private readonly isOrdered: boolean,
    private readonly keepsFailed: boolean,
    private readonly violate: (what: string) => void,
  ) {}

  /** A run is made; one before it may have had its id, and has ended, or had not started. */
  forget(runId: string): void {
    for (const known of [this.fetched, this.left, this.recalled]) known.delete(runId);
  }

  /** @param isOwned whether a pod has been given the claim since it was last given up. */
  check(before: SeenSchedules, after: SeenSchedules, change: Change, isOwned: boolean): void {
    const was = new Set(liveIds(before));
    for (const { jobId } of [...after.waiting, ...after.delayed]) if (!was.has(jobId)) this.forget(jobId);
    this.checkPlaces(after);
    this.checkSchedules(after);
    this.checkDue(after, isOwned);
    this.checkLosses(before, after, change);
    if (this.isOrdered) this.checkOrder(before, after, change);
    this.checkBlock(before, after, change);
  }

  /** I5: a job is in one state, and has its hash. */
  private checkPlaces(seen: SeenSchedules): void {
    const known = new Set<string>();
    for (const state of ['active', 'waiting', 'delayed', 'failed'] as const) {
      for (const { jobId, name } of seen[state]) {
        if (known.has(jobId)) this.violate(`I5: job ${jobId} is twice in the queue, once ${state}`);
        if (name === '') this.violate(`I5: job ${jobId} is ${state}, and has no hash`);
        known.add(jobId);
      }
    }
  }

  /** I5, I7: a schedule goes on until it is removed: it has one job, but for those that have started or were left. */
  private checkSchedules(seen: SeenSchedules): void {
    const ids = seen.schedules.map(({ id }) => id).sort();
    const expected = [...this.put].sort();
    if (ids.join() !== expected.join()) this.violate(`I5: the schedules are [${ids}]; put were [${expected}]`);
    const live = liveIds(seen);
    for (const schedule of seen.schedules) {
      const present = runIdOf(schedule);
      if (!live.includes(present)) this.violate(`I7: schedule ${schedule.id} has no present job; expected: ${present}`);
      const other = live.find(
        id => isRunOf(schedule.id, id) && id !== present && !this.fetched.has(id) && !this.left.has(id),
      );
      if (other !== undefined) this.violate(`I5: schedule ${schedule.id} has job ${other} beside ${present}`);
    }
  }

  /** I7: an entity with work is inspected in time. */
  private checkDue(seen: SeenSchedules, isOwned: boolean): void {
    const { waiting, active, delayed, dueInMs, status } = seen;
    if (liveIds(seen).length === 0) return;
    // Only an operator gives it something to do.
    if ((status.isPaused || status.blockedBy) && dueInMs === undefined) return;
    if (dueInMs === undefined) {
      this.violate('I7: there is work, and the entity is not due');
      return;
    }
    const isWorkThere = waiting.length + active.length > 0;
    const firstMs = isWorkThere ? 0 : Math.min(...delayed.map(({ jobId }) => this.latestMs(jobId, seen)));
    const ownersMs = isWorkThere || isOwned ? LEASE_MS : 0;
    const latestMs = Math.max(firstMs, ownersMs);
    if (dueInMs > latestMs + SLACK_MS)
      this.violate(`I7: there is work in ${firstMs} ms at the latest, and the entity is due in ${dueInMs} ms`);
  }

  /** In how many ms a delayed job is due at the latest: it waits for its time, or for its next attempt. */
  private latestMs(jobId: string, { schedules, nowMs }: SeenSchedules): number {
    const schedule = this.fetched.has(jobId) ? undefined : schedules.find(schedule => runIdOf(schedule) === jobId);
    return schedule ? schedule.nextAtMs - nowMs : MAX_BACKOFF_MS;
  }

  /** I5: jobs leave the queue by their end, or because an operator removes them. */
  private checkLosses(before: SeenSchedules, after: SeenSchedules, { ends = [], removes }: Change): void {
    const left = new Set(liveIds(after));
    const failed = new Set(after.failed.map(({ jobId }) => jobId));
    for (const id of liveIds(before)) {
      if (left.has(id) && ends.includes(id)) this.violate(`I5: job ${id} has ended, and is still there`);
      if (!left.has(id) && !ends.includes(id) && !removes?.(id)) this.violate(`I5: job ${id} is lost`);
    }
    for (const { jobId } of before.failed) {
      if (this.keepsFailed && !failed.has(jobId)) this.violate(`I5: the failed job ${jobId} is lost`);
    }
  }

  /** I6: what is there before and after a step stands in the same order. */
  private checkOrder(before: SeenSchedules, after: SeenSchedules, { ends = [], removes }: Change): void {
    const lineOf = (seen: SeenSchedules) => [...seen.active, ...seen.waiting].map(({ jobId }) => jobId);
    const was = lineOf(before);
    const is = lineOf(after);
    const stays = (id: string) => was.includes(id) && is.includes(id) && !removes?.(id) && !ends.includes(id);
    const [old, now] = [was.filter(stays), is.filter(stays)];
    if (old.join() !== now.join()) this.violate(`I6: the order was ${old}, and is ${now}`);
  }

  /** A job that blocks its entity does so until an operator decides, or removes it. */
  private checkBlock(before: SeenSchedules, after: SeenSchedules, { unblocks = false }: Change): void {
    const { blockedBy } = before.status;
    if (unblocks || !blockedBy || !liveIds(after).includes(blockedBy.jobId)) return;
    if (after.status.blockedBy?.jobId !== blockedBy.jobId) this.violate(`I6: job ${blockedBy.jobId} blocks no more`);
  }
}
