/** When a schedule with a pattern runs next, by BullMQ's own rule. Neighbours: both stores, which ask here. */
import { getNextMillis } from 'bullmq';
import { InvalidOptionError, messageOf } from '../core/model/errors.js';

interface Pattern {
  readonly pattern: string;
  readonly tz?: string | undefined;
}

const HOUR_MS = 3_600_000;
/** How far ahead of a change of the clocks a time is looked for. */
const MAX_HOURS = 6;

/**
 * The first time after `afterMs`, in ms since 1970; undefined when there is none.
 * @throws InvalidOptionError when the pattern, or its time zone, is none.
 */
export function nextByPattern({ pattern, tz }: Pattern, afterMs: number): number | undefined {
  try {
    // At a change by half an hour BullMQ's rule finds none, or one that has passed: it is asked again from behind the change.
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
 * As {@link nextByPattern}, of a schedule that begins.
 * @throws InvalidOptionError also when there is no such time.
 */
export function firstByPattern(pattern: Pattern, nowMs: number): number {
  const next = nextByPattern(pattern, nowMs);
  if (next === undefined)
    throw new InvalidOptionError(`The pattern ${JSON.stringify(pattern.pattern)} has no time to come.`);
  return next;
}
