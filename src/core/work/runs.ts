/**
 * What runs of one entity on this pod, and since when: jobs by themselves, or batches.
 *
 * Owns when a run is told of that takes long. Neighbours: `local-queue.ts` begins and ends runs, `slow-runs.ts` tells.
 */
import type { FetchedJob } from '../model/job.js';

/** Jobs that run as one. */
export interface Run {
  readonly jobs: readonly FetchedJob[];
  readonly startedAtMs: number;
  /** When it is told of next. */
  slowAtMs: number;
}

/** A run that takes long is told of again after no more than that. */
const MAX_PAUSE_MS = 3_600_000;

export class Runs {
  private readonly byId = new Map<string, Run>();

  /** @param slowMs how long a run may take before it is told of; 0 for ever. */
  constructor(private readonly slowMs: number) {}

  get size(): number {
    return this.byId.size;
  }

  get ids(): readonly string[] {
    return [...this.byId.keys()];
  }

  begin(jobs: readonly FetchedJob[], nowMs: number): void {
    const slowAtMs = this.slowMs > 0 ? nowMs + this.slowMs : Number.POSITIVE_INFINITY;
    const run: Run = { jobs, startedAtMs: nowMs, slowAtMs };
    for (const { id } of jobs) this.byId.set(id, run);
  }

  end(jobs: readonly FetchedJob[]): void {
    for (const { id } of jobs) this.byId.delete(id);
  }

  /** All jobs that run, those first that began first. */
  get jobs(): readonly FetchedJob[] {
    return [...new Set(this.byId.values())].flatMap(({ jobs }) => jobs);
  }

  /** For how long the run has taken that began first. */
  longestMs(nowMs: number): number {
    const [first] = this.byId.values();
    return first === undefined ? 0 : nowMs - first.startedAtMs;
  }

  /** Those to be told of now: after `slowMs`, and each time they have taken twice as long. */
  slow(nowMs: number): readonly Run[] {
    const slow = new Set<Run>();
    for (const run of this.byId.values()) if (run.slowAtMs <= nowMs) slow.add(run);
    for (const run of slow) run.slowAtMs = nowMs + Math.min(nowMs - run.startedAtMs, MAX_PAUSE_MS);
    return [...slow];
  }

  /** The jobs that have run for so long, those first that began first, and at most so many. */
  longerThan(ms: number, nowMs: number, max: number): readonly { readonly jobId: string; readonly forMs: number }[] {
    const long: { jobId: string; forMs: number }[] = [];
    for (const [jobId, { startedAtMs }] of this.byId) {
      if (long.length === max || nowMs - startedAtMs < ms) break;
      long.push({ jobId, forMs: nowMs - startedAtMs });
    }
    return long;
  }
}
