/**
 * Retention of ended jobs in memory: as many, and for as long, as their options say.
 * Neighbours: `job-end.ts` ends jobs; `inspection-schedule.ts` gives up idle entities.
 */
import type { JobOptions } from '../../core/model/job.js';

type Kind = 'failed' | 'completed';

/** How a job ended, and when by the store's clock. */
export interface Outcome {
  readonly kind: Kind;
  readonly value: string;
  readonly atMs: number;
}

interface Ended {
  readonly options: JobOptions;
  outcome?: Outcome;
}

/** The lists of kept jobs, the latest last. */
type Kept<J> = Record<Kind, J[]>;

interface Bounds {
  readonly count: number;
  readonly ageMs: number;
}

/** A job has ended: keeps it if its options say so, and removes those beyond the bounds. */
export function keepEnded<J extends Ended>(kept: Kept<J>, job: J, outcome: Outcome): void {
  job.outcome = outcome;
  const { count, ageMs } = boundsOf(job, outcome.kind);
  if (count === 0) return;
  const oldestMs = outcome.atMs - ageMs;
  const others = kept[outcome.kind].filter(({ outcome }) => (outcome?.atMs ?? 0) > oldestMs);
  kept[outcome.kind] = [...others, job].slice(-count);
}

/** Removes expired jobs. @returns when the next one expires, in ms; undefined if none does. */
export function expireEnded<J extends Ended>(kept: Kept<J>, nowMs: number): number | undefined {
  let nextMs = Number.POSITIVE_INFINITY;
  for (const kind of ['failed', 'completed'] as const) {
    kept[kind] = kept[kind].filter(job => keptUntilMs(job, kind) > nowMs);
    for (const job of kept[kind]) nextMs = Math.min(nextMs, keptUntilMs(job, kind));
  }
  return Number.isFinite(nextMs) ? nextMs : undefined;
}

function keptUntilMs(job: Ended, kind: Kind): number {
  return (job.outcome?.atMs ?? 0) + boundsOf(job, kind).ageMs;
}

/** BullMQ's rule: a boolean, a number, or { count?, age? } with the age in seconds. */
function boundsOf({ options }: Ended, kind: Kind): Bounds {
  const keep = options[kind === 'failed' ? 'removeOnFail' : 'removeOnComplete'];
  if (keep === true) return { count: 0, ageMs: 0 };
  if (typeof keep === 'number') return { count: keep, ageMs: Number.POSITIVE_INFINITY };
  const { count = Number.POSITIVE_INFINITY, age = Number.POSITIVE_INFINITY } = (keep || {}) as {
    count?: number;
    age?: number;
  };
  return { count, ageMs: age * 1000 };
}
