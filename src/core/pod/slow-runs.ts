/**
 * Tells of handlers that run for long, in the log and as events: nothing else does of one that never settles.
 *
 * Owns the one timer of the pod for it; a job costs none. Neighbours: `runs.ts` says which are to be told of, `lifecycle-events.ts` makes events.
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

/** How often is looked. */
const LOOK_MS = 1000;
/** Lines of one look; what hangs may hang in thousands of entities at once. */
const MAX_LINES = 20;

export class SlowRuns {
  private timer: Timer | undefined;

  constructor(private readonly parts: SlowRunsParts) {}

  start(): void {
    this.timer = this.parts.clock.after(LOOK_MS, () => {
      this.look();
      this.start();
    });
  }

  stop(): void {
    this.timer?.cancel();
  }

  private look(): void {
    const { manager, log } = this.parts;
    let lines = 0;
    for (const worker of manager.all()) {
      for (const run of worker.slowRuns()) {
        this.tell(worker, run);
        // guards: slow-runs.look
        if (++lines <= MAX_LINES) log.warn(this.lineOf(worker, run));
      }
    }
    if (lines > MAX_LINES) log.warn(`${lines - MAX_LINES} more handlers run for long; each is an event job.slow.`);
  }

  private tell({ claim }: EntityWorker, run: Run): void {
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
    const waits = type.isOrdered ? '; its entity waits' : '';
    const advice = type.handlerTimeoutMs > 0 ? '' : ' It may never settle: see handlerTimeoutMs.';
    return `${what} runs for ${Math.round(this.durationOf(run) / 1000)} s${waits}.${advice}`;
  }

  private durationOf({ startedAtMs }: Run): number {
    return this.parts.clock.monotonicMs() - startedAtMs;
  }
}
