/**
 * The worker of one entity on this pod: runs its jobs strictly one after the other, in order; or, where a type gives up
 * order, several at once under the one claim.
 *
 * Owns: the claim and its lease, and what is done next.
 * Neighbours: `worker-manager.ts` decides that it exists, `heartbeat.ts` renews its claim, `job-line.ts` keeps and runs
 * its jobs, `owed-answers.ts` keeps the answers in order; the store decides everything else.
 *
 * States: `claiming` (an answer that may bring the claim is owed) → `working` ⇄ `idle` → `releasing` → `ended`;
 * from each of them `lost` → `ended`. `lost` waits for the handlers that are running; while it does, no job of the entity
 * may start on this pod (I1).
 *
 * A failure is looked at only when no handler runs, so a resync never finds one.
 */
import { type EntityRef, entityWord } from './entity.js';
import { messageOf, NotExecutedError, StaleClaimError, stackOf } from './errors.js';
import type { EventSink } from './events.js';
import { type JobExecution, lackFor } from './job-execution.js';
import { JobLine } from './job-line.js';
import { Lease, type Moment, momentOf } from './lease.js';
import { tellOfClaim, tellOfEnd, tellOfWorker } from './news.js';
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
  ReleaseMode,
  Renewal,
  Settlement,
  Timer,
} from './ports.js';

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
  /** The next job has a name, or a codec, that this pod does not know; it was left for one that does. */
  left(worker: EntityWorker, job: FetchedJob): void;
  /** The worker has ended; the entity is no longer worked here. */
  ended(worker: EntityWorker): void;
}

/** Pauses between tries to begin anew while the store is away. */
const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 1000;
const LONG_RUN_MS = 1000;

export class EntityWorker {
  private currentState: WorkerState = 'claiming';
  private epoch: number;
  private lease: Lease | undefined;
  private readonly jobs: JobLine;
  /** A job of a name, or a codec, unknown here that was left for others long enough: it is to fail. */
  private overdue: string | undefined;
  private readonly answers = new OwedAnswers(failure => {
    this.failure ??= failure;
    this.advance();
  });
  private failure: Error | undefined;
  /** A person has paused the queue: what is fetched goes back. */
  private recalled = false;
  /** A look is under way that may bring the claim; a second one would take from the first what it has fetched. */
  private looking = false;
  /** Something may be waiting that no owed answer will bring. */
  private woken = false;
  /** Why it gives the entity up: the pod shuts down, others wait for its room, or the next job is for other pods. */
  private leaving: 'shutdown' | 'room' | 'unknown job' | undefined;
  private readonly createdAtMs: number;
  private idleSinceMs = 0;
  private againTimer: Timer | undefined;
  /** The timer is one of the rate of its type: until then nothing can be missed. */
  private isLimited = false;
  private beginningAnew = false;
  private advancing = false;
  private onEnd: (() => void)[] = [];

  constructor(
    readonly entity: EntityRef,
    readonly type: EntityTypeConfig,
    private readonly context: WorkerContext,
  ) {
    this.epoch = context.nextEpoch();
    this.createdAtMs = context.clock.monotonicMs();
    this.jobs = new JobLine(type, context);
  }

  get state(): WorkerState {
    return this.currentState;
  }

  get handlers(): number {
    return this.jobs.handlers;
  }

  get claim(): Claim | undefined {
    return this.lease?.claim;
  }

  /** Adds a job of this pod, in the one call that may also bring the claim, or the job itself. */
  enter(job: NewJob): Promise<Entered> {
    const sentAt = momentOf(this.context.clock);
    return this.expectEntered(this.context.store.enter(job, this.enterHint()), sentAt);
  }

  /** The answer to an add of this pod that was sent at that moment, with a hint of this worker. */
  expectEntered(entered: Promise<Entered>, sentAt: Moment): Promise<Entered> {
    this.answers.expect(entered, {
      use: answer => {
        if (answer.route === 'claimed') this.onGranted(answer.claimed, sentAt);
        else if (answer.route === 'mine') this.onTaken(answer.fetched, sentAt);
        else if (answer.route === 'unknown-claim' && !this.claim && !this.looking) this.look();
      },
      tolerates: isNotExecuted,
    });
    return entered;
  }

  /** What an enqueue of this pod asks for; never believed for safety: the store decides. */
  enterHint(): EnterHint {
    this.lease?.rouse();
    if (this.currentState === 'lost' || this.currentState === 'ended') return 'route-only';
    // Whatever becomes of the release under way, what is enqueued after it claims anew (race 4).
    if (this.currentState === 'releasing') this.beginClaiming();
    return { epoch: this.epoch, mayClaim: this.claim === undefined, atOnce: this.jobs.limit };
  }

  /** Looks at the entity: claims it if it has work and nobody owns it. */
  look(): void {
    this.epoch = this.context.nextEpoch();
    this.looking = true;
    this.woken = false;
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
    if (this.currentState !== 'idle' || this.answers.count > 0 || this.isLimited) return;
    this.failure = new Error('its queue has jobs that no wake-up told of');
    this.advance();
  }

  /** A person has paused the queue: what is fetched and has not started goes back. */
  recall(): void {
    this.recalled = true;
    this.wake();
  }

  /** For how long it has been idle. */
  get idleForMs(): number {
    return this.context.clock.monotonicMs() - this.idleSinceMs;
  }

  /** For how long the entity has been worked here. */
  get heldForMs(): number {
    return this.context.clock.monotonicMs() - this.createdAtMs;
  }

  renewal(): Renewal | undefined {
    const { lease } = this;
    if (!lease || this.currentState === 'lost' || this.currentState === 'ended') return undefined;
    // While an answer is owed it may be roused at any moment: that renewal must not let it rest.
    const idle = this.currentState === 'idle' && this.answers.count === 0;
    return lease.isToRenew(idle) ? { claim: lease.claim, idle, runningJobIds: this.jobs.runningIds } : undefined;
  }

  /** Its claim rests: it has no renewal of its own at the moment. */
  get isResting(): boolean {
    return this.lease?.isResting ?? false;
  }

  /** Its claim is renewed with the next beat, also if it rests. */
  rouse(): void {
    this.lease?.rouse();
  }

  /** The renewal of `claim`, sent at `sentAt`, was granted, perhaps as one that rests. */
  renewed(claim: Claim, sentAt: Moment, isToRest: boolean): void {
    if (claim !== this.claim) return;
    this.lease?.renew(sentAt);
    if (isToRest) this.lease?.rests();
    // A handler is free, and a wake-up may have been lost; an idle worker is told by the renewal itself.
    if (this.isRunning && this.jobs.hasFreeHandler) this.woken = true;
    this.advance();
  }

  /** The store says that `claim` is not the current one. An answer about an earlier claim of ours says nothing. */
  lose(claim: Claim): void {
    if (claim !== this.claim || this.currentState === 'releasing' || this.currentState === 'ended') return;
    this.setState('lost');
    tellOfWorker(this.context.events, 'worker.lost', this.claim);
    this.jobs.clear();
    this.lease?.stop(
      new StaleClaimError(`This pod has lost ${entityWord(this.entity)}: stop, and write nothing more.`),
    );
    for (const id of this.jobs.runningIds) {
      this.context.log.warn(
        `Lost ${entityWord(this.entity)} while job ${id} runs; its end will not count, and the new owner runs it again.`,
      );
    }
    this.advance();
  }

  /**
   * Gives the claim up if the worker has been idle for that long. A job at hand that waits for a valid lease is no idleness.
   * @returns whether the store was asked to.
   */
  releaseIfIdleFor(ms: number): boolean {
    const isIdle = this.currentState === 'idle' && this.answers.count === 0 && !this.jobs.next;
    if (!isIdle || this.idleForMs < ms) return false;
    this.release('idle');
    return true;
  }

  /** Leaves the entity as it is, once the running handler has ended: the store is gone. */
  abandon(): void {
    if (this.currentState === 'ended') return;
    this.setState('lost');
    this.failure = undefined;
    this.advance();
  }

  get isRunning(): boolean {
    return this.jobs.isRunning;
  }

  /** Tells the running handlers to stop. The claim stays: nobody may run their jobs beside them (race 12). */
  stopHandlers(reason: Error): void {
    if (this.isRunning) this.lease?.stop(reason);
  }

  /** From now on that many handlers may run at once. */
  scale(handlers: number): void {
    this.jobs.handlers = handlers;
    this.woken = true;
    this.advance();
  }

  /** Starts no further job; resolves when the running ones have ended and the entity is handed over. */
  drain(): Promise<void> {
    this.leaving = 'shutdown';
    this.advance();
    return new Promise(resolve => {
      if (this.currentState === 'ended') resolve();
      else this.onEnd.push(resolve);
    });
  }

  /** Hands the entity over as soon as no handler runs, since others wait for its room. */
  giveWay(): void {
    this.leaving ??= 'room';
    this.advance();
  }

  /** It was asked to give way and could not, as a handler runs for long: it goes on. */
  stay(): void {
    if (this.leaving === 'room') this.leaving = undefined;
    this.advance();
  }

  /** A handler runs for long: it can't give way soon. */
  get runsForLong(): boolean {
    return this.jobs.longestRunMs >= LONG_RUN_MS;
  }

  /** What is enqueued for it now is for the next owner. */
  get isLeaving(): boolean {
    return this.leaving !== undefined;
  }

  // ── what comes next ─────────────────────────────────────────────────────────────────────────────────────────────

  /** Does what can be done now; called after whatever has changed. No promise of its own: a job costs few of them. */
  private advance(): void {
    if (this.advancing) return;
    this.advancing = true;
    this.guarded(() => {
      while (!this.beginningAnew && this.step());
    });
    this.advancing = false;
  }

  private guarded(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.onCrash(error);
    }
  }

  /** @returns whether there may be more to do at once. */
  private step(): boolean {
    if (this.currentState === 'ended') return false;
    const { jobs } = this;
    if (this.currentState === 'lost' || this.failure || this.isToHandOver) return !jobs.isRunning && this.stop();
    if (this.recalled && this.claim && this.currentState !== 'releasing') this.giveBack(this.claim);
    if (jobs.next && jobs.hasFreeHandler) return this.startNext(jobs.next);
    if (this.woken && this.canFetch) this.fetch();
    else if (this.answers.count > 0 || jobs.isRunning) return false;
    else if (this.claim) this.rest();
    // A wake-up while the look was under way may be of a job that it did not see.
    else if (this.woken && !this.isLeaving) this.look();
    else this.end();
    return false;
  }

  /** What waits until no handler runs. */
  private stop(): boolean {
    if (this.currentState === 'lost') this.end();
    else if (this.failure) void this.beginAnew();
    else return this.handOver();
    return false;
  }

  private get isToHandOver(): boolean {
    const { leaving } = this;
    const isHandedOver = leaving === 'shutdown' || leaving === 'room';
    return isHandedOver && this.claim !== undefined && this.currentState !== 'releasing';
  }

  /** One after the other: only when nothing is owed that may bring a job. Several at once: while there are free handlers. */
  private get canFetch(): boolean {
    if (!this.claim || this.currentState === 'releasing') return false;
    return (this.answers.count === 0 || !this.type.isOrdered) && this.jobs.lacks(this.answers.fetches);
  }

  /** Nothing here throws; if something does after all, the entity must not stand still under a claim of ours. */
  private onCrash(error: unknown): void {
    this.context.log.error(`The worker of ${entityWord(this.entity)} failed, and begins anew: ${stackOf(error)}`);
    this.failure ??= new Error(messageOf(error));
    this.beginningAnew = true;
    this.context.clock.after(LAST_RETRY_MS, () => {
      this.beginningAnew = false;
      this.advance();
    });
  }

  private rest(): void {
    if (this.currentState === 'idle') return;
    this.jobs.rest();
    this.idleSinceMs = this.context.clock.monotonicMs();
    this.setState('idle');
    tellOfWorker(this.context.events, 'worker.idle', this.claim);
  }

  private startNext(job: FetchedJob): boolean {
    const { lease, context } = this;
    if (!lease?.isValid()) {
      context.requestRenewal();
      return false;
    }
    const isLacking = lackFor(context.execution, this.entity, job) !== undefined;
    if (isLacking && this.overdue !== job.id) return this.leave(lease.claim, job);
    this.setState('working');
    this.jobs.start(job, lease, {
      ended: (settlement, durationMs) => this.guarded(() => this.onJobEnd(lease.claim, settlement, durationMs)),
      crashed: error => this.onCrash(error),
    });
    return true;
  }

  private onJobEnd(claim: Claim, settlement: Settlement, durationMs: number): void {
    // Where the entity is lost, this end does not count.
    if (this.currentState !== 'lost') {
      tellOfEnd(this.context.events, claim, settlement, durationMs);
      this.finish(claim, settlement);
    }
    this.advance();
  }

  private finish(claim: Claim, settlement: Settlement): void {
    const { jobs, answers } = this;
    jobs.expectConfirmation(settlement);
    // An end before this one may not have been executed; this one must not overtake it, and goes with it.
    if (this.failure) return;
    const fetches = this.isLeaving ? 0 : jobs.wanted(answers.fetches);
    answers.expect(this.context.store.finish(claim, settlement, fetches), {
      fetches,
      use: fetched => {
        jobs.confirmed(settlement, fetched.jobs.length);
        this.onFetched(fetched);
      },
    });
  }

  /** Nothing starts before the answer; what earlier calls bring until then is given back, too. */
  private giveBack(claim: Claim): void {
    const { jobs } = this;
    this.recalled = false;
    jobs.halt();
    const kept = jobs.keptIds;
    this.answers.expect(this.context.store.giveBack(claim, kept), {
      use: () => {
        jobs.goOn(kept);
        this.woken = true;
      },
    });
  }

  private fetch(): void {
    if (!this.claim) return;
    this.woken = false;
    const sentAt = momentOf(this.context.clock);
    this.lease?.rouse();
    this.answers.expect(this.context.store.take(this.claim), {
      fetches: 1,
      use: fetched => this.onTaken(fetched, sentAt),
    });
  }

  // ── answers ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** What an idle worker has asked for. */
  private onTaken(fetched: Fetched, sentAt: Moment): void {
    if (fetched.isRoused) this.lease?.renew(sentAt);
    this.onFetched(fetched);
  }

  private onFetched(fetched: Fetched): void {
    this.jobs.add(fetched.jobs);
    if (fetched.isRecalled && !this.jobs.isHalted) this.recalled = true;
    // Where one was, there may be one more for a handler that is free.
    if (fetched.jobs.length > 0 && !this.type.isOrdered) this.woken = true;
    this.againTimer?.cancel();
    this.againTimer = undefined;
    this.isLimited = false;
    if (fetched.againInMs !== undefined) {
      this.isLimited = fetched.isLimited ?? false;
      this.againTimer = this.context.clock.after(fetched.againInMs, () => {
        this.againTimer = undefined;
        this.isLimited = false;
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
    tellOfClaim(this.context.events, previous, claimed);
    if (claimed.recovered > 0) this.jobs.beCareful(claimed.recovered);
    if (this.leaving === 'unknown job') this.leaving = undefined;
    this.setState('working');
    // A grant gives back whatever was fetched before it.
    this.jobs.clear();
    this.onFetched(claimed);
  }

  // ── beginning anew, and the end ─────────────────────────────────────────────────────────────────────────────────

  /**
   * After an answer that did not come: what is fetched goes back, what is settled is ended again, and every call under
   * way becomes stale (races 1, 25–28). Tries until the store answers; STALE means that the entity has a new owner.
   */
  private async beginAnew(): Promise<void> {
    this.beginningAnew = true;
    await this.retryUntilAnswered();
    this.beginningAnew = false;
    this.advance();
  }

  private async retryUntilAnswered(): Promise<void> {
    for (let pauseMs = FIRST_RETRY_MS; this.failure; pauseMs = Math.min(2 * pauseMs, LAST_RETRY_MS)) {
      this.forgetAnswers();
      this.epoch = this.context.nextEpoch();
      const { claim } = this;
      if (claim) this.setState('working');
      const sentAt = momentOf(this.context.clock);
      try {
        const answer = claim
          ? await this.context.store.resync(claim, this.epoch, this.jobs.settled)
          : await this.context.store.look(this.entity, this.epoch);
        this.failure = undefined;
        this.jobs.confirmedAll();
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
    this.jobs.clear();
    this.woken = false;
  }

  /** Every end is confirmed first, or made good: what is done must not be given back. */
  private handOver(): boolean {
    if (!this.jobs.isAllConfirmed) return false;
    this.release(this.leaving === 'room' ? 'give-way' : 'hand-over');
    return true;
  }

  private release(mode: ReleaseMode): void {
    if (!this.claim) return;
    const { claim } = this;
    this.forgetAnswers();
    this.setState('releasing');
    this.answers.expect(this.context.store.release(claim, mode), {
      use: released => {
        if (released) return this.onReleased(claim);
        this.setState('working');
        this.woken = true;
      },
    });
  }

  private onReleased(claim: Claim): void {
    tellOfWorker(this.context.events, 'worker.released', claim);
    this.lease = undefined;
  }

  /**
   * A rolling deploy: the next job has a name, or a codec, that only other pods know. It is left for them, and all behind it; too long
   * left, it fails here, so that an entity does not wait for ever (races 13, 32).
   */
  private leave(claim: Claim, job: FetchedJob): boolean {
    // As with a hand-over, what is done is confirmed first.
    if (this.jobs.isRunning || !this.jobs.isAllConfirmed) return false;
    this.forgetAnswers();
    this.setState('releasing');
    this.leaving ??= 'unknown job';
    this.answers.expect(this.context.store.leave(claim, job, this.type.unknownJobGraceMs), {
      use: isLeft => {
        if (isLeft) {
          this.context.left(this, job);
          this.onReleased(claim);
        } else {
          this.overdue = job.id;
          this.failure ??= new Error('the next job was left for long enough');
        }
      },
    });
    return false;
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

  private setState(state: WorkerState): void {
    this.currentState = state;
  }
}

/** What was certainly not executed changed nothing here. */
function isNotExecuted(error: Error): boolean {
  return error instanceof NotExecutedError;
}
