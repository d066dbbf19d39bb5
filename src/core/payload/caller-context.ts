/**
 * The context of a caller: captured when a job is enqueued, and restored around its handler on the pod that runs it.
 *
 * Owns: which values may travel, how large they may be, and that a handler runs once even if the user's hook is faulty.
 * Neighbours: `envelope.ts` carries it with the job; `nest/tracing.ts` brings the trace of OpenTelemetry.
 */
import {
  type ContextValue,
  type ContextValues,
  type Envelope,
  NO_VALUES,
  type TraceFields,
} from '../model/envelope.js';
import { kindOfThrown } from '../model/error-text.js';
import { InvalidOptionError, messageOf } from '../model/errors.js';
import type { FetchedJob } from '../model/job.js';
import { ContextError } from '../model/payload-errors.js';

/**
 * Values that travel from the code that enqueues a job to its handler: of any AsyncLocalStorage, of nestjs-cls, or of your own.
 *
 * @example
 * ```ts
 * const storage = new AsyncLocalStorage<object>();
 * const context: ContextOptions = {
 *   keys: ['tenantId'],
 *   get: () => storage.getStore(),
 *   run: (values, callback) => storage.run(values, callback),
 * };
 * ```
 */
export interface ContextOptions {
  /** Keys that travel. Other values stay with the caller, and other values of a job are ignored. @default required */
  readonly keys: readonly string[];
  /**
   * Returns the context of the code that enqueues, an object with values by key, or undefined outside of one. Called at once, in that
   * code: once for an enqueue, a bulk or a schedule. A value is a string, a finite number or a boolean; `undefined` and `null` count as
   * absent. Half a surrogate pair in a string arrives as U+FFFD. All values together have at most 4096 bytes of JSON.
   * @default required
   */
  get(): object | undefined;
  /**
   * Calls `callback` once, in a context with these values and no others, and returns its result. Called for each attempt of a job, also
   * of one that has no values. The job ends when its handler and the promise that `run` returns have ended.
   * @default required
   */
  run<T>(values: ContextValues, callback: () => T): T;
}

/** Carries the trace of a caller to the handler of its job. */
export interface Tracer {
  /** The entries of the trace that is active now; undefined without one. */
  inject(): TraceFields | undefined;
  /** Runs in the trace of these entries; without entries in none. */
  within<T>(fields: TraceFields, run: () => T): T;
}

const MAX_BYTES = 4096;

/** @throws InvalidOptionError */
export function checkContextOptions(path: string, options: ContextOptions): void {
  if (typeof options !== 'object' || options === null) {
    throw new InvalidOptionError(`${path} must be { keys, get, run }.`);
  }
  const { keys } = options;
  // "__proto__" is no key of an object like others.
  const isKey = (key: unknown) => typeof key === 'string' && key !== '' && key !== '__proto__';
  if (!Array.isArray(keys) || keys.length === 0 || !keys.every(isKey)) {
    throw new InvalidOptionError(`${path}.keys must be an array of the keys that travel with a job, at least one.`);
  }
  for (const name of ['get', 'run'] as const) {
    if (typeof options[name] !== 'function') throw new InvalidOptionError(`${path}.${name} must be a function.`);
  }
}

export class Propagation {
  constructor(
    private readonly options: ContextOptions | undefined,
    private readonly tracer: Tracer | undefined,
  ) {}

  /**
   * The context of the code that runs now.
   * @throws ContextError for a value that can't travel: the job might do something else without it.
   */
  capture(): Envelope | undefined {
    const trace = this.tracer?.inject();
    const values = this.captureValues();
    return trace ? { ...values, trace } : values;
  }

  /** Like {@link capture}, without the trace: the runs of a schedule are no part of the trace in which it was set. */
  captureValues(): Envelope | undefined {
    const ctx = this.options && present(this.options);
    return ctx && { ctx };
  }

  /** The values of a job whose keys this pod declares. */
  valuesOf({ envelope: { ctx } }: FetchedJob): ContextValues {
    if (!this.options || typeof ctx !== 'object' || ctx === null) return NO_VALUES;
    // guards: caller-context.valuesOf
    return pick(this.options.keys, key => (isValue(ctx[key]) ? ctx[key] : undefined)) ?? NO_VALUES;
  }

  /** Runs the handler of jobs in their context; of several jobs, in the values that all of them share. */
  restore(jobs: readonly FetchedJob[], run: () => unknown): unknown {
    const { options, tracer } = this;
    // A new object: the hook may use it as a store and write to it.
    // guards: caller-context.restore
    const values = { ...common(jobs.map(job => this.valuesOf(job))) };
    const inValues = options ? () => runOnce(options, values, run) : run;
    return tracer ? tracer.within(common(jobs.map(traceOf)), inValues) : inValues();
  }
}

function present({ keys, get }: ContextOptions): ContextValues | undefined {
  let context: Record<string, unknown>;
  try {
    context = (get() ?? {}) as Record<string, unknown>;
  } catch (error) {
    throw new ContextError(`context.get failed, and nothing was enqueued: ${messageOf(error)}`, { cause: error });
  }
  // guards: caller-context.present
  const values = pick(keys, key => {
    const value = readFrom(context, key) ?? undefined;
    if (typeof value === 'string') return value.toWellFormed();
    if (value === undefined || isValue(value)) return value;
    throw new ContextError(
      `"${key}" of the context can't travel with a job: it is ${kindOf(value)}, and must be a string, a finite number or a boolean. Nothing was enqueued.`,
    );
  });
  const bytes = values ? Buffer.byteLength(JSON.stringify(values)) : 0;
  if (bytes > MAX_BYTES) {
    throw new ContextError(
      `The context of a job has ${bytes} bytes, more than ${MAX_BYTES}, and nothing was enqueued; let ids travel instead of what they stand for (context.keys: ${keys.join(', ')}).`,
    );
  }
  return values;
}

function readFrom(context: Record<string, unknown>, key: string): unknown {
  try {
    return context[key];
  } catch (error) {
    throw new ContextError(
      `"${key}" of the context can't be read: that throws (${kindOfThrown(error)}). Nothing was enqueued.`,
    );
  }
}

function pick(
  keys: readonly string[],
  read: (key: string) => ContextValue | undefined,
): Record<string, ContextValue> | undefined {
  let values: Record<string, ContextValue> | undefined;
  for (const key of keys) {
    const value = read(key);
    if (value === undefined) continue;
    values ??= {};
    values[key] = value;
  }
  return values;
}

function isValue(value: unknown): value is ContextValue {
  return typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value);
}

/** The kind of a value for an error, never the value itself. */
function kindOf(value: unknown): string {
  if (typeof value === 'number') return String(value);
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function traceOf({ envelope: { trace } }: FetchedJob): TraceFields {
  return typeof trace === 'object' && trace !== null ? trace : {};
}

/** The entries that all contexts share. */
function common<T>(records: readonly Readonly<Record<string, T>>[]): Readonly<Record<string, T>> {
  const [first = {}, ...others] = records;
  if (others.length === 0) return first;
  return Object.fromEntries(
    Object.entries(first).filter(([key, value]) => others.every(other => other[key] === value)),
  );
}

/**
 * The job ends when both its handler and the hook have ended. A hook that does not return the promise of its callback, or that calls it
 * twice, would otherwise run two jobs of an entity at once.
 */
async function runOnce(hook: ContextOptions, values: ContextValues, run: () => unknown): Promise<unknown> {
  const state: { handler?: Promise<unknown>; isOver: boolean } = { isOver: false };
  const callback = () => {
    // guards: caller-context.runOnce
    if (state.handler || state.isOver) {
      throw new ContextError('context.run called its callback a second time, or after it had ended; call it once.');
    }
    state.handler = (async () => run())();
    // It is awaited below, also if the hook does not await it.
    state.handler.catch(() => {});
    return state.handler;
  };
  const [end] = await Promise.allSettled([(async () => hook.run(values, callback))()]);
  state.isOver = true;
  if (!state.handler) {
    const why =
      end.status === 'rejected' ? `failed: ${messageOf(end.reason)}` : 'did not call its callback; call it once';
    throw new ContextError(`context.run ${why}. The handler did not run.`, {
      cause: end.status === 'rejected' ? end.reason : undefined,
    });
  }
  const result = await state.handler;
  if (end.status === 'rejected') throw end.reason;
  return result;
}
