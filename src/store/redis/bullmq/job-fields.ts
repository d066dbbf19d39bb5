/**
 * Fields of a job's hash that others may have written: by hand, or by another program. What this library and BullMQ calculate with is
 * checked here once, so that a job whose hash is damaged fails, and nothing else.
 * Neighbours: `decode.ts` reads jobs, `lua/mend.lua` mends what BullMQ's scripts would fail over.
 */
import type { JobsOptions } from 'bullmq';
import type { JobOptions } from '../../../core/model/job.js';

/** What was read, and what is wrong with it, in words. */
export interface Read<T> {
  readonly value: T;
  readonly fault?: string;
}

export type RedisJobOptions = JobsOptions & JobOptions;

const isNumber = (value: unknown) => typeof value === 'number';
const isRetention = (value: unknown) =>
  typeof value === 'boolean' || isNumber(value) || (isObject(value) && Object.values(value).every(isNumber));

/** Options that are calculated with; BullMQ's scripts take each for what its types say. */
const CHECKED: Readonly<Record<string, (value: unknown) => boolean>> = {
  attempts: isNumber,
  removeOnComplete: isRetention,
  removeOnFail: isRetention,
  stackTraceLimit: isNumber,
  repeat: isObject,
};

/** Jobs of a type mostly have the same options, so the latest ones are kept. They are frozen, since jobs share them. */
let latest: { readonly text: string; readonly read: Read<Readonly<RedisJobOptions>> } | undefined;

/** The options of a job. Those that are null are none; of options with a fault nothing is believed. */
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

/** A time or a count for a person to see: 0 where something else stands there. */
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
