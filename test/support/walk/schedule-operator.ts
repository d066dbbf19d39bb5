/** What an operator does to an entity with schedules. Neighbour: `schedule-actions.ts` chooses, and says what owners do. */

import type { Schedule } from '../../../src/core/model/schedule.js';
import { StoreRefusedError } from '../../../src/core/model/store-errors.js';
import type { ScheduleView, Unblocking } from '../../../src/core/ports/operator.js';
import { type Change, isRunOf, liveIds, runIdOf, type SeenSchedules } from './schedule-checker.js';
import type { ScheduleWalk } from './schedule-walk.js';

const IDS = ['s', 't'];
const TIMES = [
  { every: 7 },
  { every: 40 },
  { every: 60_000 },
  { pattern: '* * * * * *' },
  { pattern: '*/2 * * * * *' },
  { pattern: '0 0 1 1 *' },
];
export class ScheduleOperator {
  static readonly weights = {
    put: 14,
    unschedule: 4,
    drop: 4,
    pause: 3,
    resume: 6,
    unblock: 6,
    endHold: 5,
    ripen: 1,
    pass: 6,
    replay: 3,
  };

  constructor(private readonly walk: ScheduleWalk) {}

  async put(seen: SeenSchedules): Promise<Change> {
    const { walk } = this;
    const { random, checker } = walk;
    const schedule = { id: random.pick(IDS), ...random.pick(TIMES) };
    const priority = !walk.isStrict && random.chance(0.3) ? { priority: 3 } : {};
    walk.note('puts', JSON.stringify({ ...schedule, ...priority }));
    let nextAtMs: number;
    try {
      nextAtMs = await walk.anyStore.schedules.put(walk.nextJob({ attempts: 2, ...priority }), schedule);
    } catch (error) {
      // A run that an operator has moved before its time, and left, may have the id that the first one needs.
      const isTaken = error instanceof StoreRefusedError && liveIds(seen).some(id => checker.left.has(id));
      if (!isTaken) walk.violate(`I10: schedule ${schedule.id} was refused: ${error}`);
      return {};
    }
    checker.put.add(schedule.id);
    checker.forget(`repeat:${schedule.id}:${nextAtMs}`);
    const was = seen.schedules.find(({ id }) => id === schedule.id);
    if (!was) return {};
    const run = runIdOf(was);
    this.checkStaysDue(seen, was, { schedule, nextAtMs });
    // One that was given back, and has not started, waits.
    const waits = seen.waiting.some(({ jobId }) => jobId === run);
    return { removes: id => id === run && (waits || this.isToCome(seen, id)) };
  }

  /** I7: a run that is due, and that no pod has fetched, is not postponed by the same pattern. */
  private checkStaysDue(seen: SeenSchedules, was: ScheduleView, is: { schedule: Schedule; nextAtMs: number }): void {
    const run = runIdOf(was);
    const { pattern } = is.schedule;
    const isDue = was.nextAtMs <= seen.nowMs && liveIds(seen).includes(run) && !this.walk.checker.fetched.has(run);
    if (isDue && pattern !== undefined && pattern === was.pattern && is.nextAtMs !== was.nextAtMs)
      this.walk.violate(`I7: ${run} was due, and is put off to ${is.nextAtMs}`);
  }

  /** Whether it is delayed, and not for a retry. */
  private isToCome({ delayed }: SeenSchedules, id: string): boolean {
    return delayed.some(({ jobId }) => jobId === id) && !this.walk.checker.fetched.has(id);
  }

  async unschedule(seen: SeenSchedules): Promise<Change> {
    const { walk } = this;
    const { checker } = walk;
    const id = walk.random.pick(IDS);
    const wasThere = await walk.anyStore.schedules.remove(walk.entity, id);
    if (wasThere !== checker.put.delete(id)) walk.violate(`I10: removing schedule ${id} answers ${wasThere}`);
    for (const jobId of liveIds(seen)) if (isRunOf(id, jobId)) checker.left.add(jobId);
    return { removes: jobId => isRunOf(id, jobId) && this.isToCome(seen, jobId) };
  }

  async drop(seen: SeenSchedules): Promise<Change> {
    const { walk } = this;
    await walk.anyStore.control.drop(walk.entity);
    for (const { jobId } of seen.active) walk.checker.recalled.add(jobId);
    const present = seen.schedules.map(runIdOf);
    // No other pod knows which jobs an owner had started whose lease has passed.
    const { holder } = walk;
    const { active } = await walk.anyStore.control.status(walk.entity);
    const fetched = (holder && !holder.isLapsed) || active > 0 ? [] : seen.active;
    if (holder?.isLapsed && fetched.length > 0) walk.lost(holder);
    const waits = [...seen.waiting, ...seen.delayed, ...fetched].map(({ jobId }) => jobId);
    return { removes: id => waits.includes(id) && !present.includes(id) };
  }

  async pause(): Promise<Change> {
    await this.walk.anyStore.control.pause(this.walk.entity, true);
    return {};
  }

  async resume(): Promise<Change> {
    await this.walk.anyStore.control.pause(this.walk.entity, false);
    return {};
  }

  async unblock(seen: SeenSchedules): Promise<Change | undefined> {
    const { walk } = this;
    const jobId = seen.status.blockedBy?.jobId;
    if (jobId === undefined) return undefined;
    const how = walk.random.pick<Unblocking>(['retry', 'skip', 'drop']);
    const isPresent = seen.schedules.some(schedule => runIdOf(schedule) === jobId);
    walk.note('unblocks', jobId, how);
    try {
      if (!(await walk.anyStore.control.unblock(walk.entity, how))) walk.violate(`I10: ${jobId} was not unblocked`);
    } catch (error) {
      if (!(error instanceof StoreRefusedError && how === 'drop' && isPresent))
        walk.violate(`I10: ${jobId} was not unblocked: ${error}`);
      return {};
    }
    return { unblocks: true, removes: id => how === 'drop' && id === jobId };
  }

  async endHold({ status }: SeenSchedules): Promise<Change | undefined> {
    if (status.blockedBy) return undefined;
    await this.walk.stage.cluster.endHold(this.walk.entity);
    return {};
  }

  /** All delayed jobs become due; in memory that much time passes. */
  async ripen(): Promise<Change> {
    await this.walk.stage.cluster.ripenDelayed(this.walk.entity);
    this.walk.lapseAll();
    return {};
  }

  async pass(): Promise<Change> {
    const { cluster, pausesMs } = this.walk.stage;
    await cluster.timePasses(this.walk.random.pick(pausesMs));
    return {};
  }

  async replay(): Promise<Change | undefined> {
    const { deadLetters } = this.walk.anyStore;
    const [letter] = await deadLetters.list('account', 0, 1);
    if (!letter) return undefined;
    if ((await deadLetters.replay('account', letter.letterId)) === undefined)
      this.walk.violate(`I5: letter ${letter.letterId} was not replayed`);
    return {};
  }
}
