/**
 * Reports slow runs, in the log and as events. Nothing else would report a handler that never settles.
 *
 * Owns: one timer for all jobs of the pod, and the log lines.
 * Neighbours: `runs.ts` decides which runs are slow. `lifecycle-events.ts` emits the events.
 */
import { entityKey } from '../model/entity.js';
import { quoted } from '../model/error-text.js';
import { type EventSink, NO_EVENTS } from '../model/events.js';
import type { Clock, Timer } from '../ports/clock.js';
import type { Log } from '../ports/log.js';
import { jobWord } from '../run/run-job.js';
import type { EntityWorker } from '../work/entity-worker.js';
import { emitSlowJob } from '../work/lifecycle-events.js';
import type { Run } from '../work/runs.js';

export interface SlowRunsParts {
  readonly manager: { all(): Iterable<EntityWorker> };
  readonly clock: Clock;
  readonly log: Log;
  readonly events?: EventSink;
}

/** Time between two reports. */
const REPORT_MS = 1000;
/** Maximum number of log lines of one report: thousands of handlers may hang for the same reason. */
const MAX_LINES = 20;

export class SlowRuns {
  private timer: Timer | undefined;

  constructor(private readonly parts: SlowRunsParts) {}

  start(): void {
    this.timer = this.parts.clock.after(REPORT_MS, () => {
      this.report();
      this.start();
    });
  }

  stop(): void {
    this.timer?.cancel();
  }

  private report(): void {
    const { manager, log } = this.parts;
    let lines = 0;
    for (const worker of manager.all()) {
      for (const run of worker.slowRuns()) {
        this.emit(worker, run);
        // guards: slow-runs.report
        if (++lines <= MAX_LINES) log.warn(this.lineOf(worker, run));
      }
    }
    if (lines > MAX_LINES) log.warn(`${lines - MAX_LINES} more runs are slow. The events job.slow name all of them.`);
  }

  private emit({ claim }: EntityWorker, run: Run): void {
    if (!claim) return;
    for (const job of run.jobs) emitSlowJob(this.parts.events ?? NO_EVENTS, claim, job, this.durationOf(run));
  }

  private lineOf({ entity, type }: EntityWorker, run: Run): string {
    const [first] = run.jobs;
    if (!first) return '';
    const what =
      run.jobs.length === 1
        ? jobWord(first, entity)
        : `A batch of ${run.jobs.length} jobs ${quoted(first.name)} of ${entityKey(entity)}`;
    const waits = type.isOrdered ? ', and the next jobs of its entity wait' : '';
    const advice =
      type.handlerTimeoutMs > 0 ? '' : ' A handler that never settles runs forever: set handlerTimeoutMs to bound it.';
    return `${what} has been running for ${Math.round(this.durationOf(run) / 1000)} s${waits}.${advice}`;
  }

  private durationOf({ startedAtMs }: Run): number {
    return this.parts.clock.monotonicMs() - startedAtMs;
  }
}
