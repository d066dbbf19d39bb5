/**
 * The runs of one entity on this pod, with the time at which each started. A run is a single job or a batch.
 *
 * Owns: which run counts as long or slow.
 * Neighbours: `local-queue.ts` begins and ends runs. `slow-runs.ts` reports slow ones.
 */
import type { FetchedJob } from '../model/job.js';
import type { LongRun } from '../ports/claims.js';
import type { Clock } from '../ports/clock.js';

/** The jobs of one call of a handler. */
export interface Run {
  readonly jobs: readonly FetchedJob[];
  readonly startedAtMs: number;
  /** When the run is next reported as slow, in ms of the monotonic clock. */
  slowAtMs: number;
}

/** From this duration on, the status of the entity shows the run. */
const LONG_RUN_MS = 1000;
const MAX_LONG_RUNS = 16;
/** Longest time between two reports of one slow run. */
const MAX_PAUSE_MS = 3_600_000;

export class Runs {
  private readonly byId = new Map<string, Run>();
  private runs = 0;

  /** @param slowMs duration in ms from which a run is reported as slow. 0 turns the reports off. */
  constructor(
    private readonly clock: Clock,
    private readonly slowMs: number,
  ) {}

  /** Number of running handlers. */
  get count(): number {
    return this.runs;
  }

  /** Number of running jobs. A batch has several. */
  get jobCount(): number {
    return this.byId.size;
  }

  get ids(): readonly string[] {
    return [...this.byId.keys()];
  }

  begin(jobs: readonly FetchedJob[]): Run {
    const startedAtMs = this.clock.monotonicMs();
    const slowAtMs = this.slowMs > 0 ? startedAtMs + this.slowMs : Number.POSITIVE_INFINITY;
    const run: Run = { jobs, startedAtMs, slowAtMs };
    for (const { id } of jobs) this.byId.set(id, run);
    this.runs++;
    return run;
  }

  end({ jobs }: Run): void {
    for (const { id } of jobs) this.byId.delete(id);
    this.runs--;
  }

  /** All running jobs, the longest-running first. */
  get jobs(): readonly FetchedJob[] {
    return [...new Set(this.byId.values())].flatMap(({ jobs }) => jobs);
  }

  get hasLong(): boolean {
    const [first] = this.byId.values();
    return first !== undefined && this.clock.monotonicMs() - first.startedAtMs >= LONG_RUN_MS;
  }

  /** The jobs of long runs, the longest-running first, with their start by the wall clock. At most {@link MAX_LONG_RUNS}. */
  get long(): readonly LongRun[] {
    const nowMs = this.clock.monotonicMs();
    const long: LongRun[] = [];
    for (const [jobId, { startedAtMs }] of this.byId) {
      const forMs = nowMs - startedAtMs;
      if (long.length === MAX_LONG_RUNS || forMs < LONG_RUN_MS) break;
      long.push({ jobId, startedAtMs: Math.round(this.clock.wallMs() - forMs) });
    }
    return long;
  }

  /** The runs to report now. A run is reported after `slowMs`, and again each time its duration has doubled. */
  takeSlow(): readonly Run[] {
    const nowMs = this.clock.monotonicMs();
    const slow = new Set<Run>();
    for (const run of this.byId.values()) if (run.slowAtMs <= nowMs) slow.add(run);
    // guards: runs.takeSlow
    for (const run of slow) run.slowAtMs = nowMs + Math.min(nowMs - run.startedAtMs, MAX_PAUSE_MS);
    return [...slow];
  }
}
