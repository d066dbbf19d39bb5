/**
 * Durations among the options: their ranges, their two names, and values in a wrong unit.
 *
 * Some options do not name their unit (`lockDuration`) or use seconds (`heartbeatTTL`). Each has an alias that ends in `Ms`, and from here
 * on only the alias is read. A value of the first name that makes sense only in the wrong unit is refused. The alias takes any value.
 * Neighbours: `checks.ts` and `resolve.ts` call this; `options.ts` documents each option.
 */
import { InvalidOptionError } from '../model/errors.js';
import { MAX_TIMER_MS } from '../ports/clock.js';

interface Duration {
  readonly name: string;
  /** The alias, in milliseconds. */
  readonly inMs: string;
  /** Milliseconds in the unit of `name`. */
  readonly unitMs: 1 | 1000;
  /** Minimum: smaller values were probably meant in seconds. */
  readonly min?: number;
  /** Maximum: larger values were probably meant in milliseconds. Infinity is allowed. */
  readonly max?: number;
  /** Whether any number above 0 is allowed, also Infinity, since no timer waits for it. */
  readonly isUnbounded?: boolean;
}

const LOCK_DURATION: Duration = { name: 'lockDuration', inMs: 'lockDurationMs', unitMs: 1, min: 1000 };

/** Durations of `workerDefaults` and `workerConfig`. */
export const WORKER_DURATIONS: readonly Duration[] = [
  LOCK_DURATION,
  { name: 'heartbeatTTL', inMs: 'heartbeatTtlMs', unitMs: 1000, max: 600 },
  { name: 'stalledInterval', inMs: 'stalledIntervalMs', unitMs: 1, min: 100 },
];

/** Durations of an entity type, without its `workerConfig`. */
export const ENTITY_DURATIONS: readonly Duration[] = [
  { name: 'idleTimeoutSeconds', inMs: 'idleTimeoutMs', unitMs: 1000, max: 3600, isUnbounded: true },
];

/** Durations of the module itself. */
export const MODULE_DURATIONS: readonly Duration[] = [
  { name: 'cronInterval', inMs: 'cronIntervalMs', unitMs: 1, min: 100 },
];

/** Both names of a duration whose names have different units. */
export function aliasInMs(name: string): Pick<Duration, 'name' | 'inMs'> | undefined {
  const all = [...WORKER_DURATIONS, ...ENTITY_DURATIONS, ...MODULE_DURATIONS];
  return all.find(duration => duration.unitMs !== 1 && (duration.name === name || duration.inMs === name));
}

/**
 * Checks the durations among options, and converts each to its alias in milliseconds.
 * @throws InvalidOptionError for a value out of range, one in a wrong unit, or both names of an option.
 */
export function withDurationsInMs<T extends object>(path: string, options: T, durations: readonly Duration[]): T {
  // The check of the other options refuses a value that is no object.
  if (typeof options !== 'object' || options === null) return options;
  const result = { ...options } as Record<string, unknown>;
  for (const duration of durations) {
    const { name, inMs, unitMs } = duration;
    const { [name]: value, [inMs]: explicit } = result;
    delete result[name];
    delete result[inMs];
    if (value !== undefined && explicit !== undefined) {
      throw new InvalidOptionError(`${path}.${name} and ${path}.${inMs} are the same option. Remove one.`);
    }
    if (explicit !== undefined) result[inMs] = inRange(`${path}.${inMs}`, explicit, { ...duration, unitMs: 1 });
    if (value === undefined) continue;
    const ms = inRange(`${path}.${name}`, value, duration) * unitMs;
    // guards: durations.withDurationsInMs
    checkUnit(path, duration, ms);
    result[inMs] = Number.isFinite(ms) ? Math.max(1, Math.round(ms)) : ms;
  }
  return result as T;
}

/** Like {@link withDurationsInMs}, for one entity type and its `workerConfig`. */
export function entityWithDurationsInMs<T extends { workerConfig?: object }>(path: string, entity: T): T {
  const result = withDurationsInMs(path, entity, ENTITY_DURATIONS);
  if (result.workerConfig === undefined) return result;
  return { ...result, workerConfig: withDurationsInMs(`${path}.workerConfig`, result.workerConfig, [LOCK_DURATION]) };
}

function inRange(path: string, value: unknown, { unitMs, isUnbounded }: Duration): number {
  if (!isUnbounded) return milliseconds(path, value, unitMs);
  if (typeof value === 'number' && value > 0) return value;
  throw new InvalidOptionError(`${path} must be a number above 0.`);
}

function checkUnit(path: string, { name, inMs, unitMs, min = 0, max = Infinity }: Duration, ms: number): void {
  const value = ms / unitMs;
  if ((value >= min && value <= max) || value === Infinity) return;
  const [unit, meant] = unitMs === 1 ? ['milliseconds', value * 1000] : ['seconds', value / 1000];
  throw new InvalidOptionError(
    `${path}.${name} is in ${unit}: ${value} is ${inWords(ms)}. Write ${meant}, or, if you mean ${inWords(ms)}, ${inMs}: ${ms}.`,
  );
}

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

function inWords(ms: number): string {
  const [unitMs, unit] =
    ms >= HOUR_MS ? [HOUR_MS, 'hours'] : ms >= MINUTE_MS ? [MINUTE_MS, 'minutes'] : [1000, 'seconds'];
  return `${Number((ms / unitMs).toPrecision(2))} ${unit}`;
}

/**
 * Checks a duration for a timer: whole milliseconds, or seconds with fractions (`unitMs` 1000).
 * @throws InvalidOptionError
 */
export function milliseconds(path: string, value: unknown, unitMs = 1): number {
  const longest = Math.floor(MAX_TIMER_MS / unitMs);
  const isWhole = unitMs !== 1 || Number.isInteger(value);
  if (typeof value === 'number' && value > 0 && value <= longest && isWhole) return value;
  const unit = unitMs === 1 ? 'whole number of milliseconds' : 'number of seconds';
  throw new InvalidOptionError(`${path} must be a ${unit} above 0, at most ${longest}.`);
}

/** Like {@link milliseconds}, but allows 0, which switches the feature off. */
export function zeroOrMilliseconds(path: string, value: unknown): number {
  return value === 0 ? 0 : milliseconds(path, value);
}
