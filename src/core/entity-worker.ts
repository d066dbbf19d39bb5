/**
 * The worker of one entity on this pod: runs its jobs strictly one after the other, in order.
 *
 * Owns: the claim and its lease, the jobs that are fetched and not started, the ends that are sent and not confirmed.
 * Neighbours: `worker-manager.ts` decides that it exists, `heartbeat.ts` renews its claim, `window.ts` says how far it
 * fetches ahead, `owed-answers.ts` keeps the answers in order; the store decides everything else.
 *
 * States: `claiming` (an answer that may bring the claim is owed) → `working` ⇄ `idle` → `releasing` → `ended`;
 * from each of them `lost` → `ended`. `lost` waits for the handler that is running; while it does, no job of the entity
 * may start on this pod (I1).
 *
 * A failure is looked at only when no handler runs, so a resync never finds one.
 */
import { type EntityRef, entityWord } from './entity.js';
import { messageOf, NotExecutedError, StaleClaimError, stackOf } from './errors.js';
import { type EventSink, ofEntity } from './events.js';
import { type JobExecution, runJob } from './job-execution.js';
import { Lease, type Moment, momentOf } from './lease.js';
import type { EntityTypeConfig } from './options.js';
import { OwedAnswers } from './owed-answers.js';
import type {
  Claim,
  Claimed,
  Clock,
  Entered,
  EnterHint,
  EntityStore,
  Fetched,
  FetchedJob,
  Log,
  NewJob,
  Renewal,
  Settlement,
  Timer,
} from './ports.js';
import { PrefetchWindow } from './window.js';

export type WorkerState = 'claiming' | 'working' | 'idle' | 'releasing' | 'lost' | 'ended';

/** What a worker needs of its surroundings. */
export interface WorkerContext {
  readonly store: EntityStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly leaseMs: number;
  readonly execution: JobExecution;
  readonly events: EventSink;
  /** A number that this pod has not used before. */
  nextEpoch(): number;
  /** Asks for a renewal now: the lease of a worker with work has run out. */
  requestRenewal(): void;
  /** The worker has ended; the entity is no longer worked here. */
  ended(worker: EntityWorker): void;
}

/** Pauses between tries to begin anew while the store is away. */
const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 1000;

export class EntityWorker {
  private currentState: WorkerState = 'claiming';
  private epoch: number;
  private lease: Lease | undefined;
  private readonly window: PrefetchWindow;
  private ready: FetchedJob[] = [];
  private running: FetchedJob | undefined;
  private readonly unconfirmed = new Map<string, Settlement>();
  private readonly answers = new OwedAnswers(failure => {
    this.failure ??= failure;
    this.advance();
  });
  private failure: Error | undefined;
  /** A look is under way that may bring the claim; a second one would take from the first what it has fetched. */
  private looking = false;
  /** Something may be waiting that no owed answer will bring. */
  private woken = false;
  private draining = false;
  private idleSinceMs = 0;
  private againTimer: Timer | undefined;
  /** A handler runs, or the worker begins anew. */
  private busy = false;
  private advancing = false;
  private onEnd: (() => void)[] = [];

  constructor(
    readonly entity: EntityRef,
    type: EntityTypeConfig,
    private readonly context: WorkerContext,
  ) {
    this.epoch = context.nextEpoch();
    this.window = new PrefetchWindow(type.prefetch);
  }

  get state(): WorkerState {
    return this.currentState;
  }

  private get claim(): Claim | undefined {
    return this.lease?.claim;
  }

  /** Adds a job of this pod, in the one call that may also bring the claim, or the job itself. */
  enter(job: NewJob): Promise<Entered> {
    const sentAt = momentOf(this.context.clock);
    const entered = this.context.store.enter(job, this.enterHint());
    this.answers.expect(entered, {
      use: answer => {
        if (answer.route === 'claimed') this.onGranted(answer.claimed, sentAt);
        else if (answer.route === 'mine') this.onFetched(answer.fetched);
        else if (answer.route === 'unknown-claim' && !this.claim && !this.looking) this.look();
      },
      tolerates: isNotExecuted,
    });
    return entered;
  }

  /** What an enqueue of this pod asks for; never believed for safety: the store decides. */
  private enterHint(): EnterHint {
    if (this.currentState === 'lost' || this.currentState === 'ended') return 'route-only';
    // Whatever becomes of the release under way, what is enqueued after it claims anew (race 4).
    if (this.currentState === 'releasing') this.beginClaiming();
    return { epoch: this.epoch, mayClaim: this.claim === undefined && !this.draining };
  }

  /** Looks at the entity: claims it if it has work and nobody owns it. */
  look(): void {
    this.epoch = this.context.nextEpoch();
    this.looking = true;
    const sentAt = momentOf(this.context.clock);
    this.answers.expect(this.context.store.look(this.entity, this.epoch), {
      use: answer => {
        this.looking = false;
        if (typeof answer !== 'string') this.onGranted(answer, sentAt);
      },
      tolerates: isNotExecuted,
    });
  }

  /** Something may be waiting: a wake-up, or a sweep. */
  wake(): void {
    this.woken = true;
    this.advance();
  }

  /** The store says that the queue of this idle worker has something to do, so something was missed: begin anew (race 37). */
  kick(): void {
    if (this.currentState !== 'idle' || this.answers.count > 0) return;
    this.failure = new Error('its queue has jobs that no wake-up told of');
    this.advance();
  }

  renewal(): Renewal | undefined {
    if (!this.claim || this.currentState === 'lost' || this.currentState === 'ended') return undefined;
    return { claim: this.claim, idle: this.currentState === 'idle', runningJobId: this.running?.id };
  }

  /** The renewal of `claim`, sent at `sentAt`, was granted. */
  renewed(claim: Claim, sentAt: Moment): void {
    if (claim !== this.claim) return;
    this.lease?.renew(sentAt);
    this.advance();
  }

  /** The store says that `claim` is not the current one. An answer about an earlier claim of ours says nothing. */
  lose(claim: Claim): void {
    if (claim !== this.claim || this.currentState === 'releasing' || this.currentState === 'ended') return;
    this.setState('lost');
    this.tell('worker.lost');
    this.ready = [];
    this.lease?.stop(
      new StaleClaimError(`This pod has lost ${entityWord(this.entity)}: stop, and write nothing more.`),
    );
    if (this.running) {
      this.context.log.warn(
        `Lost ${entityWord(this.entity)} while job ${this.running.id} runs; its end will not count, and the new owner runs it again.`,
      );
    }
    this.advance();
  }

  /** Gives the claim up if the worker has been idle for that long. A job at hand that waits for a valid lease is no idleness. */
  releaseIfIdleFor(ms: number): void {
    if (
      this.currentState === 'idle' &&
      this.answers.count === 0 &&
      this.ready.length === 0 &&
      this.context.clock.monotonicMs() - this.idleSinceMs >= ms
    )
      this.release('idle');
  }

  /** Leaves the entity as it is, once the running handler has ended: the store is gone. */
  abandon(): void {
    if (this.currentState === 'ended') return;
    this.setState('lost');
    this.failure = undefined;
    this.advance();
  }

  get isRunning(): boolean {
    return this.running !== undefined;
  }

  /** Tells the running handler to stop. The claim stays: nobody may run the job beside it (race 12). */
  stopHandler(reason: Error): void {
    if (this.running) this.lease?.stop(reason);
  }

  /** Starts no further job; resolves when the running one has ended and the entity is handed over. */
  drain(): Promise<void> {
    this.draining = true;
    this.advance();
    return new Promise(resolve => {
      if (this.currentState === 'ended') resolve();
      else this.onEnd.push(resolve);
    });
  }

  // ── what comes next ─────────────────────────────────────────────────────────────────────────────────────────────

  /** Does what can be done now; called after whatever has changed. No promise of its own: a job costs few of them. */
  private advance(): void {
    if (this.advancing) return;
    this.advancing = true;
    this.guarded(() => {
      while (!this.busy && this.step());
    });
    this.advancing = false;
  }

  /** @returns whether there may be more to do at once. */
  private step(): boolean {
    if (this.currentState === 'ended') return false;
    if (this.currentState === 'lost') this.end();
    else if (this.failure) this.during(this.beginAnew());
    else if (this.draining && this.claim && this.currentState !== 'releasing') return this.handOver();
    else if (this.ready.length > 0) this.startNext();
    else if (this.answers.count > 0) return false;
    else if (!this.claim) this.end();
    else if (this.woken) this.fetch();
    else this.rest();
    return false;
  }

  private during<T>(work: Promise<T>, then?: (value: T) => void): void {
    this.busy = true;
    work.then(
      value => {
        this.busy = false;
        this.guarded(() => then?.(value));
        this.advance();
      },
      error => this.onCrash(error),
    );
  }

  private guarded(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.onCrash(error);
    }
  }

  /** Nothing here throws; if something does after all, the entity must not stand still under a claim of ours. */
  private onCrash(error: unknown): void {
    this.context.log.error(`The worker of ${entityWord(this.entity)} failed, and begins anew: ${stackOf(error)}`);
    this.running = undefined;
    this.failure ??= new Error(messageOf(error));
    this.busy = true;
    this.context.clock.after(LAST_RETRY_MS, () => {
      this.busy = false;
      this.advance();
    });
  }

  private rest(): void {
    if (this.currentState === 'idle') return;
    this.window.reset();
    this.idleSinceMs = this.context.clock.monotonicMs();
    this.setState('idle');
    this.tell('worker.idle');
  }

  private startNext(): void {
    const { lease } = this;
    if (!lease?.isValid()) {
      this.context.requestRenewal();
      return;
    }
    const job = this.ready.shift();
    if (!job) return;
    this.setState('working');
    this.running = job;
    this.tellOfJob('job.started', job);
    const startedAtMs = this.context.clock.monotonicMs();
    this.during(runJob(this.context.execution, job, lease), settlement => {
      this.running = undefined;
      // Where the entity is lost, this end does not count.
      if (this.currentState === 'lost') return;
      const durationMs = this.context.clock.monotonicMs() - startedAtMs;
      this.tellOfEnd(settlement, durationMs);
      this.window.onJobEnd(durationMs);
      this.finish(lease.claim, settlement);
    });
  }

  private finish(claim: Claim, settlement: Settlement): void {
    const { id } = settlement.job;
    this.unconfirmed.set(id, settlement);
    // An end before this one may not have been executed; this one must not overtake it, and goes with it.
    if (this.failure) return;
    const fetches = this.draining ? 0 : this.window.wanted(this.ready.length, this.answers.fetches);
    this.answers.expect(this.context.store.finish(claim, settlement, fetches), {
      fetches,
      use: fetched => {
        this.unconfirmed.delete(id);
        if (fetched.jobs.length > 0) this.window.onSuccessor();
        this.onFetched(fetched);
      },
    });
  }

  private fetch(): void {
    if (!this.claim) return;
    this.woken = false;
    this.answers.expect(this.context.store.take(this.claim), { fetches: 1, use: fetched => this.onFetched(fetched) });
  }

  // ── answers ─────────────────────────────────────────────────────────────────────────────────────────────────────

  private onFetched(fetched: Fetched): void {
    this.ready.push(...fetched.jobs);
    this.againTimer?.cancel();
    this.againTimer = undefined;
    if (fetched.againInMs !== undefined) {
      this.againTimer = this.context.clock.after(fetched.againInMs, () => {
        this.againTimer = undefined;
        this.wake();
      });
    }
  }

  /**
   * A grant beside a claim that we hold: somebody deleted the claim between the two calls. What the first has brought may
   * be running, and the second has fetched it again: begin anew.
   */
  private onGranted(claimed: Claimed, sentAt: Moment): void {
    if (this.claim) this.failure ??= new Error('its claim was deleted, and granted anew');
    else this.onClaimed(claimed, sentAt);
  }

  private onClaimed(claimed: Claimed, sentAt: Moment): void {
    const previous = this.claim;
    this.lease = new Lease(claimed.claim, this.context.clock, this.context.leaseMs, sentAt);
    this.tellOfClaim(previous, claimed);
    if (claimed.recovered > 0) this.window.beCareful(claimed.recovered);
    this.setState('working');
    // A grant gives back whatever was fetched before it.
    this.ready = [];
    this.onFetched(claimed);
  }

  // ── beginning anew, and the end ─────────────────────────────────────────────────────────────────────────────────

  /**
   * After an answer that did not come: what is fetched goes back, what is settled is ended again, and every call under
   * way becomes stale (races 1, 25–28). Tries until the store answers; STALE means that the entity has a new owner.
   */
  private async beginAnew(): Promise<void> {
    for (let pauseMs = FIRST_RETRY_MS; this.failure; pauseMs = Math.min(2 * pauseMs, LAST_RETRY_MS)) {
      this.forgetAnswers();
      this.epoch = this.context.nextEpoch();
      const { claim } = this;
      if (claim) this.setState('working');
      const sentAt = momentOf(this.context.clock);
      const settled = [...this.unconfirmed.values()];
      try {
        const answer = claim
          ? await this.context.store.resync(claim, this.epoch, settled)
          : await this.context.store.look(this.entity, this.epoch);
        this.failure = undefined;
        this.unconfirmed.clear();
        if (typeof answer !== 'string') this.onClaimed(answer, sentAt);
      } catch (error) {
        if (claim && (error instanceof StaleClaimError || this.state === 'lost')) {
          this.failure = undefined;
          this.lose(claim);
          return;
        }
        if (this.state === 'lost') return;
        this.context.log.warn(
          `Beginning anew with ${entityWord(this.entity)} failed (${messageOf(error)}); trying again.`,
        );
        await new Promise<void>(resolve => this.context.clock.after(pauseMs, resolve));
      }
    }
  }

  private forgetAnswers(): void {
    this.answers.forget();
    this.looking = false;
    this.ready = [];
    this.woken = false;
  }

  /** Every end is confirmed first, or made good: what is done must not be given back. */
  private handOver(): boolean {
    if (this.unconfirmed.size > 0) return false;
    this.release('hand-over');
    return true;
  }

  private release(mode: 'idle' | 'hand-over'): void {
    if (!this.claim) return;
    const { claim } = this;
    this.forgetAnswers();
    this.setState('releasing');
    this.answers.expect(this.context.store.release(claim, mode), {
      use: released => {
        if (released) {
          this.tell('worker.released');
          this.lease = undefined;
          return;
        }
        this.setState('working');
        this.woken = true;
      },
    });
  }

  private beginClaiming(): void {
    this.forgetAnswers();
    this.lease = undefined;
    this.epoch = this.context.nextEpoch();
    this.setState('claiming');
  }

  private end(): void {
    this.setState('ended');
    this.againTimer?.cancel();
    this.context.ended(this);
    for (const callback of this.onEnd) callback();
  }

  // ── what is told ────────────────────────────────────────────────────────────────────────────────────────────────

  private tell(type: 'worker.lost' | 'worker.idle' | 'worker.released'): void {
    const { events } = this.context;
    if (events.observed && this.claim) events.emit({ type, ...ofEntity(this.entity, this.claim.token) });
  }

  /** Beginning anew under the same token is nobody's news. */
  private tellOfClaim(previous: Claim | undefined, { claim, recovered, jobs }: Claimed): void {
    const { events } = this.context;
    if (!events.observed || previous?.token === claim.token) return;
    const of = ofEntity(this.entity, claim.token);
    if (recovered > 0) events.emit({ type: 'worker.takeover', recovered, ...of });
    else events.emit({ type: 'worker.claimed', ...of });
    if (recovered === 1 && jobs[0]) this.tellOfJob('job.stalled', jobs[0]);
  }

  private tellOfJob(type: 'job.started' | 'job.stalled', job: FetchedJob): void {
    const { events } = this.context;
    if (events.observed && this.claim) events.emit({ type, ...ofJob(this.claim, job) });
  }

  private tellOfEnd({ job, outcome }: Settlement, durationMs: number): void {
    const { events } = this.context;
    if (!events.observed || !this.claim) return;
    const of = { ...ofJob(this.claim, job), durationMs };
    if (outcome.kind === 'completed') events.emit({ type: 'job.completed', ...of });
    else events.emit({ type: 'job.failed', reason: outcome.reason, ...of });
  }

  private setState(state: WorkerState): void {
    this.currentState = state;
  }
}

function ofJob({ entity, token }: Claim, { id, name, attempt }: FetchedJob) {
  return { ...ofEntity(entity, token), jobId: id, jobName: name, attempt };
}

/** What was certainly not executed changed nothing here. */
function isNotExecuted(error: Error): boolean {
  return error instanceof NotExecutedError;
}
