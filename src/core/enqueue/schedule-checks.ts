/** The checks of a schedule that the user passes. Neighbour: `ports/operator.ts` says what a store does with a schedule. */
import { didYouMean } from '../model/did-you-mean.js';
import { type EntityRef, entityKey, MAX_ID_LENGTH } from '../model/entity.js';
import { quoted } from '../model/error-text.js';
import { InvalidOptionError, UnsupportedError } from '../model/errors.js';
import type { Schedule } from '../model/schedule.js';
import { StoreRefusedError } from '../model/store-errors.js';

const KNOWN = ['id', 'every', 'pattern', 'tz'];
/** A hundred years. */
const MAX_MS = 100 * 365 * 24 * 3600 * 1000;

/** Options that a schedule sets itself: each run is a job of its own, with an id and a time from the schedule. */
const OF_ONE_JOB = ['jobId', 'delay', 'timestamp', 'deduplication', 'idempotencyKey', 'idempotencyTtlMs'];

/** Checks all but the meaning of a cron pattern and of a time zone, which the store checks. @throws InvalidOptionError */
export function checkSchedule(
  schedule: Schedule,
  options: Readonly<Record<string, unknown>> | undefined,
  culprit: string,
): void {
  if (typeof schedule !== 'object' || schedule === null) {
    throw new InvalidOptionError(`${culprit} must be { id, every } or { id, pattern, tz? }.`);
  }
  const { id, every, pattern, tz } = schedule;
  const unknown = Object.keys(schedule).find(name => !KNOWN.includes(name));
  if (unknown !== undefined) {
    throw new InvalidOptionError(`${culprit} has the unknown option ${quoted(unknown)}.${didYouMean(unknown, KNOWN)}`);
  }
  if (typeof id !== 'string' || id === '' || id.includes(':')) {
    throw new InvalidOptionError(`${culprit} has an invalid id: it must be a non-empty string without ":".`);
  }
  if (id.length > MAX_ID_LENGTH) {
    throw new InvalidOptionError(
      `${culprit} has an id of ${id.length} characters; at most ${MAX_ID_LENGTH} are allowed.`,
    );
  }
  // guards: schedule-checks.checkSchedule
  if (!id.isWellFormed()) {
    throw new InvalidOptionError(
      `${culprit} has an id with half a surrogate pair, so that Redis can't tell it from other ids.`,
    );
  }
  if ((every === undefined) === (pattern === undefined)) {
    throw new InvalidOptionError(`${culprit} has the id "${id}" and needs either "every" or "pattern".`);
  }
  if (every !== undefined && !(Number.isInteger(every) && every >= 1 && every <= MAX_MS)) {
    throw new InvalidOptionError(
      `${culprit} has the id "${id}" and an invalid "every": it must be a whole number of milliseconds from 1 to ${MAX_MS}.`,
    );
  }
  if (pattern !== undefined && (typeof pattern !== 'string' || pattern === '')) {
    throw new InvalidOptionError(
      `${culprit} has the id "${id}" and an invalid "pattern": it must be a non-empty string.`,
    );
  }
  if (tz !== undefined && (typeof tz !== 'string' || every !== undefined)) {
    throw new InvalidOptionError(
      `${culprit} has the id "${id}" and an invalid "tz": it must be a string, and it needs a "pattern".`,
    );
  }
  const refused = OF_ONE_JOB.find(name => options?.[name] !== undefined);
  if (refused !== undefined) {
    throw new UnsupportedError(
      `${culprit} has the job option "${refused}", which the schedule itself sets for each of its jobs. Remove the option.`,
    );
  }
}

/** The refusal to remove a job that blocks its entity. */
export function presentRun(entity: EntityRef): StoreRefusedError {
  return new StoreRefusedError(
    `The job that blocks ${entityKey(entity)} is the current run of a schedule, which can't be removed. Nothing was changed; end the run with skipBlocked(), or the schedule with unschedule().`,
  );
}
