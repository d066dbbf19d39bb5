/** Schedules in memory. Neighbour: `../job-end.ts` ends the jobs that they make. */
import type { EntityRef } from '../../../core/model/entity.js';
import { NO_ENVELOPE } from '../../../core/model/envelope.js';
import type { NewJob } from '../../../core/model/job.js';
import type { Schedule } from '../../../core/model/schedule.js';
import type { Codecs } from '../../../core/payload/codec.js';
import { showPayload } from '../../../core/payload/payload.js';
import type { Schedules, ScheduleView } from '../../../core/ports/operator.js';
import { firstByPattern, nextByPattern } from '../../schedule-times.js';
import type { NewJobs } from '../new-jobs.js';
import type { MemoryServer } from '../server.js';
import type { StoredEntity, StoredJob, StoredSchedule } from '../state.js';

export class MemorySchedules implements Schedules {
  constructor(
    private readonly server: MemoryServer,
    private readonly podId: string,
    private readonly parts: { readonly newJobs: NewJobs; readonly codecs: Codecs },
  ) {}

  async put(job: NewJob, schedule: Schedule): Promise<number> {
    const entity = this.server.entity(job.entity);
    const { id, every, pattern, tz } = schedule;
    const now = this.server.clock.wallMs();
    const before = entity.schedules.get(id);
    const isReplaced = before !== undefined && this.removeNext(entity, before);
    const next = { ...schedule, template: job, nextAtMs: now, runs: before?.runs ?? 0 };
    const isDue = isReplaced && before.pattern === pattern && before.tz === tz && before.nextAtMs <= now;
    if (pattern !== undefined) next.nextAtMs = isDue ? before.nextAtMs : firstByPattern({ pattern, tz }, now);
    else if (before?.every === every && before)
      next.nextAtMs = isReplaced ? before.nextAtMs : (following(before, now) ?? now);
    // guards: schedules.put
    next.nextAtMs = this.firstFree(entity, next, next.nextAtMs) ?? now;
    this.add(entity, next);
    this.server.inspections.inspectNow(entity, this.podId);
    return next.nextAtMs;
  }

  async list(ref: EntityRef, from: number, limit: number): Promise<ScheduleView[]> {
    const all = [...(this.server.find(ref)?.schedules.values() ?? [])].sort((a, b) => a.nextAtMs - b.nextAtMs);
    return all.slice(from, from + limit).map(({ template, ...schedule }) => ({
      ...schedule,
      jobName: template.name,
      data: showPayload(this.parts.codecs, template.envelope ?? NO_ENVELOPE, JSON.parse(template.data)),
    }));
  }

  async remove(ref: EntityRef, id: string): Promise<boolean> {
    const entity = this.server.find(ref);
    const schedule = entity?.schedules.get(id);
    if (!entity || !schedule) return false;
    entity.delayed = entity.delayed.filter(({ job }) => job.id !== jobIdOf(schedule) || job.attempt > 0);
    entity.schedules.delete(id);
    this.server.inspections.inspectNow(entity, this.podId);
    return true;
  }

  /** A job has ended: if a schedule waits for it, the next job of the schedule is added. */
  advance(entity: StoredEntity, { id: jobId, scheduleId }: StoredJob): void {
    const schedule = entity.schedules.get(scheduleId ?? '');
    if (!schedule || jobIdOf(schedule) !== jobId) return;
    const nextAtMs = this.firstFree(entity, schedule, following(schedule, this.server.clock.wallMs()));
    if (nextAtMs === undefined) entity.schedules.delete(schedule.id);
    else this.add(entity, { ...schedule, nextAtMs, runs: schedule.runs + 1 });
  }

  /** The first time, `atMs` or later, without a run: that of an earlier `put` may have started, or be kept. */
  private firstFree(entity: StoredEntity, schedule: StoredSchedule, atMs: number | undefined): number | undefined {
    if (atMs === undefined) return undefined;
    const next = { ...schedule, nextAtMs: atMs };
    if (!this.parts.newJobs.isKnown(entity, jobIdOf(next))) return atMs;
    return this.firstFree(entity, next, following(next, this.server.clock.wallMs()));
  }

  private add(entity: StoredEntity, schedule: StoredSchedule): void {
    entity.schedules.set(schedule.id, schedule);
    const job = { ...this.parts.newJobs.stored(jobIdOf(schedule), schedule.template), scheduleId: schedule.id };
    const delayMs = schedule.nextAtMs - this.server.clock.wallMs();
    if (delayMs > 0) entity.delayed.push({ job, atMs: this.server.now() + delayMs });
    else entity.wait.push(job);
  }

  /** Removes the next job if it has not started. @returns whether it did. */
  private removeNext(entity: StoredEntity, schedule: StoredSchedule): boolean {
    const isIt = (job: StoredJob) => job.id === jobIdOf(schedule) && job.attempt === 0;
    const jobs = [...entity.wait, ...entity.delayed.map(({ job }) => job)].filter(isIt);
    this.server.removal.remove(entity, jobs);
    return jobs.length > 0;
  }
}

function jobIdOf({ id, nextAtMs }: StoredSchedule): string {
  return `repeat:${id}:${nextAtMs}`;
}

/** Runs that were missed meanwhile are skipped. */
function following({ every, pattern = '', tz, nextAtMs }: StoredSchedule, now: number): number | undefined {
  if (every === undefined) return nextByPattern({ pattern, tz }, Math.max(now, nextAtMs));
  const next = nextAtMs + every;
  return next >= now ? next : next + Math.ceil((now - next) / every) * every;
}
