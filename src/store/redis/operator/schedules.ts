/**
 * Schedules on Redis. Neighbours: `lua/schedules.lua` says what each step does; `core/ports/operator.ts` what it means.
 */

import type { EntityRef } from '../../../core/model/entity.js';
import { writeEnvelope } from '../../../core/model/envelope.js';
import { messageOf } from '../../../core/model/errors.js';
import type { JobOptions, NewJob } from '../../../core/model/job.js';
import type { Schedule } from '../../../core/model/schedule.js';
import { StoreRefusedError } from '../../../core/model/store-errors.js';
import type { Codecs } from '../../../core/payload/codec.js';
import type { Schedules, ScheduleView } from '../../../core/ports/operator.js';
import { firstByPattern } from '../../schedule-times.js';
import { toText } from '../bullmq/encode.js';
import { shownNumber } from '../bullmq/job-fields.js';
import type { StoreContext } from '../context.js';
import { readPayload, readRows, sharedQueue } from '../decode.js';
import { encode, type WireEnd } from '../lua/generated-wire.js';
import type { RedisJob } from '../read-job.js';

/** What BullMQ writes into a job of a schedule. */
interface Repeat {
  readonly every?: number;
  readonly pattern?: string;
  readonly tz?: string;
  readonly count?: number;
  readonly limit?: number;
  readonly endDate?: number;
}

export class RedisSchedules implements Schedules {
  constructor(private readonly context: StoreContext) {}

  async put(job: NewJob, { id, every, pattern, tz }: Schedule): Promise<number> {
    const { keySpace, clock, bull, channel } = this.context;
    const keys = keySpace.of(job.entity);
    const template = bull.encodeAdd(job, keys).options;
    const opts = { ...JSON.parse(template), repeat: { every, pattern, tz, count: 1 } };
    const what = { name: job.name, every, pattern, tz };
    const { data } = job;
    const texts = { what: toText(what), template, opts: toText(opts), data, envelope: writeEnvelope(job.envelope) };
    for (let afterMs = clock.wallMs(); ; ) {
      const next = pattern === undefined ? 'interval' : firstByPattern({ pattern, tz }, afterMs);
      const args = encode.schedule({ ...keys, scheduleId: id, nextRun: next, ...texts });
      const [response, detail] = await channel.call('schedule', args, response => response.map(String));
      if (response === 'OK') return Number(detail);
      if (response === 'SHARED') throw sharedQueue(keys.base, job.entity, detail);
      if (response !== 'PAST') {
        throw new StoreRefusedError(
          `BullMQ refused schedule "${id}" (code ${detail}): its next run is there already, and runs or has ended.`,
        );
      }
      // This clock is behind that of Redis, or a run of that time has started.
      afterMs = Math.max(Number(next), Number(detail));
    }
  }

  list(entity: EntityRef, from: number, limit: number): Promise<ScheduleView[]> {
    const { base } = this.context.keySpace.of(entity);
    return this.context.channel.call('schedules', encode.schedules({ base, from, limit }), response =>
      readRows(response, 9, row => readSchedule(this.context.config.codecs, row)),
    );
  }

  remove(entity: EntityRef, id: string): Promise<boolean> {
    const keys = this.context.keySpace.of(entity);
    return this.context.channel.call('unschedule', encode.unschedule({ ...keys, scheduleId: id }), ([was, whose]) => {
      if (was === 'SHARED') throw sharedQueue(keys.base, entity, whose);
      return was === '1';
    });
  }

  /** When the schedule of a job that ends runs next. */
  nextOf({ scheduleId, options }: RedisJob): WireEnd['nextRun'] {
    if (scheduleId === undefined) return '';
    const { every, pattern, tz, count = 1, limit, endDate } = ((options as JobOptions)['repeat'] ?? {}) as Repeat;
    const now = this.context.clock.wallMs();
    if ((limit !== undefined && count >= limit) || (endDate !== undefined && now > endDate)) return 'over';
    if (every !== undefined) return 'interval';
    const after = Math.max(now, Number((options as JobOptions)['prevMillis'] ?? 0));
    try {
      return firstByPattern({ pattern: String(pattern), tz }, after);
    } catch (error) {
      // The hash was edited outside this library.
      this.context.log.warn(`Schedule "${scheduleId.slice(0, 300)}" ends: ${messageOf(error).slice(0, 300)}`);
      return 'over';
    }
  }
}

/** Reads `id, next, name, data, every, pattern, tz, runs so far, envelope`. */
function readSchedule(codecs: Codecs, row: readonly string[]): ScheduleView {
  const [id = '', next, jobName = '', data = '', every, pattern, tz, count, envelope = ''] = row;
  return {
    id,
    jobName,
    data: data === '' ? {} : readPayload(codecs, data, envelope),
    ...(every !== '' && { every: shownNumber(every) }),
    ...(pattern !== '' && { pattern: String(pattern) }),
    ...(tz !== '' && { tz: String(tz) }),
    nextAtMs: Number(next),
    runs: Math.max(0, shownNumber(count) - 1),
  };
}
