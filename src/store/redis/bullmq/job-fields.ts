/**
 * Fields of a job's hash that may have been written outside this library. Those that this library and BullMQ calculate with are
 * checked here once, so that damage to a hash fails its job alone.
 * Neighbours: `read-job.ts` reads jobs, `lua/mend.lua` mends what BullMQ's scripts would fail over.
 */
import type { JobsOptions } from 'bullmq';
import type { JobOptions } from '../../../core/model/job.js';

/** A value that was read, and its fault in words. */
export interface Read<T> {
  readonly value: T;
  readonly fault?: string;
}

export type RedisJobOptions = JobsOptions & JobOptions;

const isNumber = (value: unknown) => typeof value === 'number';
const isRetention = (value: unknown) =>
  typeof value === 'boolean' || isNumber(value) || (isObject(value) && Object.values(value).every(isNumber));

/** Options that are calculated with: BullMQ's scripts rely on their types. */
const CHECKED: Readonly<Record<string, (value: unknown) => boolean>> = {
  attempts: isNumber,
  removeOnComplete: isRetention,
  removeOnFail: isRetention,
  stackTraceLimit: isNumber,
  repeat: isObject,
};

/** The latest options: jobs of a type mostly have the same. They are frozen, since jobs share them. */
let latest: { readonly text: string; readonly read: Read<Readonly<RedisJobOptions>> } | undefined;

/** The options of a job. A null option counts as missing. If one option has a fault, all are ignored. */
export function readOptions(text: string): Read<Readonly<RedisJobOptions>> {
  if (latest?.text !== text) {
    const { value, ...fault } = checkOptions(text);
    latest = { text, read: { value: Object.freeze(value), ...fault } };
  }
  return latest.read;
}

function checkOptions(text: string): Read<RedisJobOptions> {
  const options = parse(text);
  // guards: job-fields.checkOptions
  if (!isObject(options)) return { value: {}, fault: 'is no JSON object' };
  for (const [name, isValid] of Object.entries(CHECKED)) {
    const value = options[name];
    if (value === undefined || isValid(value)) continue;
    if (value !== null) return { value: {}, fault: `has an invalid "${name}"` };
    delete options[name];
  }
  return { value: options };
}

export function readCount(text: string): Read<number> {
  return /^\d{1,15}$/.test(text) ? { value: Number(text) } : { value: 0, fault: 'is no whole number' };
}

/** A time or a count for the operator to see: 0 if the text is no number. */
export function shownNumber(text: string | undefined): number {
  const value = Number(text);
  return Number.isFinite(value) ? value : 0;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
