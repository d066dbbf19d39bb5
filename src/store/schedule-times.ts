/** The next run of a schedule with a pattern, by BullMQ's own rule. Neighbours: `operator/schedules.ts` of both stores. */
import { getNextMillis } from 'bullmq';
import { InvalidOptionError, messageOf } from '../core/model/errors.js';

interface Pattern {
  readonly pattern: string;
  readonly tz?: string | undefined;
}

const HOUR_MS = 3_600_000;
/** How far past a change of the clocks the next time is searched. */
const MAX_HOURS = 6;

/**
 * The first time after `afterMs`, in ms since 1970; undefined if there is none.
 * @throws InvalidOptionError if the pattern or its time zone is invalid.
 */
export function nextByPattern({ pattern, tz }: Pattern, afterMs: number): number | undefined {
  try {
    // At a change by half an hour, BullMQ's rule finds none, or one that has passed. It is asked again, for times after the change.
    // guards: schedule-times.nextByPattern
    for (let hours = 0; hours <= MAX_HOURS; hours++) {
      const next = getNextMillis(afterMs + hours * HOUR_MS, { pattern, ...(tz !== undefined && { tz }) });
      if (next !== undefined && next > afterMs) return next;
    }
    return undefined;
  } catch (error) {
    throw new InvalidOptionError(
      `The pattern ${JSON.stringify(pattern)}${tz === undefined ? '' : ` in the time zone ${JSON.stringify(tz)}`} makes no schedule: ${messageOf(error)}.`,
    );
  }
}

/**
 * As {@link nextByPattern}, for a schedule that starts.
 * @throws InvalidOptionError also if there is no such time.
 */
export function firstByPattern(pattern: Pattern, nowMs: number): number {
  const next = nextByPattern(pattern, nowMs);
  if (next === undefined)
    throw new InvalidOptionError(`The pattern ${JSON.stringify(pattern.pattern)} has no time to come.`);
  return next;
}
