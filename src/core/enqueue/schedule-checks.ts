/** Jobs that come again and again: what a user may ask for. Neighbour: `operator.ts` says what a store does with it. */
import { didYouMean } from '../model/did-you-mean.js';
import { type EntityRef, entityKey, MAX_ID_LENGTH } from '../model/entity.js';
import { quoted } from '../model/error-text.js';
import { InvalidOptionError, UnsupportedError } from '../model/errors.js';
import type { Schedule } from '../model/schedule.js';
import { StoreRefusedError } from '../model/store-errors.js';

const KNOWN = ['id', 'every', 'pattern', 'tz'];
/** A hundred years. */
const MAX_MS = 100 * 365 * 24 * 3600 * 1000;

/** Each run is a job of its own, whose id and time the schedule gives. */
const OF_ONE_JOB = ['jobId', 'delay', 'timestamp', 'deduplication', 'idempotencyKey', 'idempotencyTtlMs'];

/** @throws InvalidOptionError; whether a pattern makes sense is the store's to tell. */
export function checkSchedule(
  schedule: Schedule,
  options: Readonly<Record<string, unknown>> | undefined,
  culprit: string,
): void {
  if (typeof schedule !== 'object' || schedule === null) {
    throw new InvalidOptionError(`${culprit} needs a schedule: { id, every } or { id, pattern, tz? }.`);
  }
  const { id, every, pattern, tz } = schedule;
  const unknown = Object.keys(schedule).find(name => !KNOWN.includes(name));
  if (unknown !== undefined) {
    throw new InvalidOptionError(
      `${culprit} has a schedule with the unknown ${quoted(unknown)}.${didYouMean(unknown, KNOWN)}`,
    );
  }
  if (typeof id !== 'string' || id === '' || id.includes(':')) {
    throw new InvalidOptionError(`${culprit} has a schedule whose id is no non-empty string without ":".`);
  }
  if (id.length > MAX_ID_LENGTH) {
    throw new InvalidOptionError(
      `${culprit} has a schedule whose id has ${id.length} characters; at most ${MAX_ID_LENGTH} are allowed.`,
    );
  }
  // guards: schedule-checks.checkSchedule
  if (!id.isWellFormed()) {
    throw new InvalidOptionError(
      `${culprit} has a schedule whose id has half a surrogate pair; it can't be told from others.`,
    );
  }
  if ((every === undefined) === (pattern === undefined)) {
    throw new InvalidOptionError(`${culprit} has schedule "${id}", which needs either "every" or "pattern".`);
  }
  if (every !== undefined && !(Number.isInteger(every) && every >= 1 && every <= MAX_MS)) {
    throw new InvalidOptionError(
      `${culprit} has schedule "${id}", whose "every" is no whole number of milliseconds from 1 to ${MAX_MS}.`,
    );
  }
  if (pattern !== undefined && (typeof pattern !== 'string' || pattern === '')) {
    throw new InvalidOptionError(`${culprit} has schedule "${id}", whose "pattern" is no non-empty string.`);
  }
  if (tz !== undefined && (typeof tz !== 'string' || every !== undefined)) {
    throw new InvalidOptionError(`${culprit} has schedule "${id}", whose "tz" must be a string, beside a "pattern".`);
  }
  const refused = OF_ONE_JOB.find(name => options?.[name] !== undefined);
  if (refused !== undefined) {
    throw new UnsupportedError(
      `${culprit} has the job option "${refused}", which a schedule gives to each of its jobs.`,
    );
  }
}

/** The refusal to remove a job that blocks its entity. */
export function presentRun(entity: EntityRef): StoreRefusedError {
  return new StoreRefusedError(
    `The job that blocks ${entityKey(entity)} is the present run of a schedule, which can't be removed: skipBlocked() ends it, unschedule() the schedule.`,
  );
}
