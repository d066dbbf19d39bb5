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
import { type JobExecution, runJob } from './job-execution.js';
import { Lease, type Moment, momentOf } from './lease.js';
import type { EntityTypeConfig } from './options.js';
import { type Expectation, OwedAnswers } from './owed-answers.js';
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
    this.wakeLoop?.();
  });
  private failure: Error | undefined;
  /** A look is under way that may bring the claim; a second one would take from the first what it has fetched. */
  private looking = false;
  /** Something may be waiting that no owed answer will bring. */
  private woken = false;
  private draining = false;
  private idleSinceMs = 0;
  private againTimer: Timer | undefined;
  private looping = false;
  private wakeLoop: (() => void) | undefined;
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
    this.expect(entered, {
      use: answer => {
        if (answer.route === 'claimed') this.onClaimed(answer.claimed, sentAt);
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
    this.expect(this.context.store.look(this.entity, this.epoch), {
      use: answer => {
        this.looking = false;
        if (typeof answer !== 'string') this.onClaimed(answer, sentAt);
      },
      tolerates: isNotExecuted,
    });
  }

  /** Something may be waiting: a wake-up, or a sweep. */
  wake(): void {
    this.woken = true;
    this.wakeLoop?.();
  }

  /** The store says that the queue of this idle worker has something to do, so something was missed: begin anew (race 37). */
  kick(): void {
    if (this.currentState !== 'idle' || this.answers.count > 0) return;
    this.failure = new Error('its queue has jobs that no wake-up told of');
    this.wakeLoop?.();
  }

  renewal(): Renewal | undefined {
    if (!this.claim || this.currentState === 'lost' || this.currentState === 'ended') return undefined;
    return { claim: this.claim, idle: this.currentState === 'idle', runningJobId: this.running?.id };
  }

  /** The renewal of `claim`, sent at `sentAt`, was granted. */
  renewed(claim: Claim, sentAt: Moment): void {
    if (claim !== this.claim) return;
    this.lease?.renew(sentAt);
    this.wakeLoop?.();
  }

  /** The store says that `claim` is not the current one. An answer about an earlier claim of ours says nothing. */
  lose(claim: Claim): void {
    if (claim !== this.claim || this.currentState === 'releasing' || this.currentState === 'ended') return;
    this.setState('lost');
    this.ready = [];
    this.lease?.lose(
      new StaleClaimError(`This pod has lost ${entityWord(this.entity)}: stop, and write nothing more.`),
    );
    if (this.running) {
      this.context.log.warn(
        `Lost ${entityWord(this.entity)} while job ${this.running.id} runs; its end will not count, and the new owner runs it again.`,
      );
    }
    this.wakeLoop?.();
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
    this.run();
  }

  get isRunning(): boolean {
    return this.running !== undefined;
  }

  /** Starts no further job; resolves when the running one has ended and the entity is handed over. */
  drain(): Promise<void> {
    this.draining = true;
    this.run();
    return new Promise(resolve => {
      if (this.currentState === 'ended') resolve();
      else this.onEnd.push(resolve);
    });
  }

  // ── the loop ────────────────────────────────────────────────────────────────────────────────────────────────────

  private async loop(): Promise<void> {
    while (this.currentState !== 'ended') {
      if (this.currentState === 'lost') this.end();
      else if (this.failure) await this.beginAnew();
      else if (this.draining && this.claim && this.currentState !== 'releasing') await this.handOver();
      else if (this.ready.length > 0) await this.runNext();
      else if (this.answers.count > 0) await this.signal();
      else if (!this.claim) this.end();
      else if (this.woken) this.fetch();
      else await this.rest();
    }
  }

  private signal(): Promise<void> {
    return new Promise(resolve => {
      this.wakeLoop = () => {
        this.wakeLoop = undefined;
        resolve();
      };
    });
  }

  private rest(): Promise<void> {
    if (this.currentState !== 'idle') {
      this.window.reset();
      this.idleSinceMs = this.context.clock.monotonicMs();
      this.setState('idle');
    }
    return this.signal();
  }

  private async runNext(): Promise<void> {
    const { lease } = this;
    if (!lease?.isValid()) {
      this.context.requestRenewal();
      await this.signal();
      return;
    }
    const job = this.ready.shift();
    if (!job) return;
    this.setState('working');
    this.running = job;
    const startedAtMs = this.context.clock.monotonicMs();
    const settlement = await runJob(this.context.execution, job, {
      entity: this.entity,
      fencingToken: lease.claim.token,
      get signal() {
        return lease.signal;
      },
    });
    this.running = undefined;
    if (this.state === 'lost') return;
    this.window.onJobEnd(this.context.clock.monotonicMs() - startedAtMs);
    this.finish(lease.claim, settlement);
  }

  private finish(claim: Claim, settlement: Settlement): void {
    const { id } = settlement.job;
    this.unconfirmed.set(id, settlement);
    const fetches = this.draining ? 0 : this.window.wanted(this.ready.length, this.answers.fetches);
    this.expect(this.context.store.finish(claim, settlement, fetches), {
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
    this.expect(this.context.store.take(this.claim), { fetches: 1, use: fetched => this.onFetched(fetched) });
  }

  // ── answers ─────────────────────────────────────────────────────────────────────────────────────────────────────

  private expect<T>(answer: Promise<T>, expectation: Expectation<T>): void {
    this.answers.expect(answer, expectation);
    this.run();
  }

  private run(): void {
    if (this.looping) this.wakeLoop?.();
    else {
      this.looping = true;
      this.loop().catch(error => this.onCrash(error));
    }
  }

  /** Nothing in the loop throws; if something does after all, the entity must not stand still under a claim of ours. */
  private onCrash(error: unknown): void {
    this.context.log.error(`The worker of ${entityWord(this.entity)} failed, and begins anew: ${stackOf(error)}`);
    this.running = undefined;
    this.failure ??= new Error(messageOf(error));
    this.context.clock.after(LAST_RETRY_MS, () => {
      this.looping = false;
      this.run();
    });
  }

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

  private onClaimed(claimed: Claimed, sentAt: Moment): void {
    this.lease = new Lease(claimed.claim, this.context.clock, this.context.leaseMs, sentAt);
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
  private handOver(): Promise<void> | void {
    if (this.unconfirmed.size > 0) return this.signal();
    this.release('hand-over');
  }

  private release(mode: 'idle' | 'hand-over'): void {
    if (!this.claim) return;
    const { claim } = this;
    this.forgetAnswers();
    this.setState('releasing');
    this.expect(this.context.store.release(claim, mode), {
      use: released => {
        if (released) {
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

  private setState(state: WorkerState): void {
    this.currentState = state;
  }
}

/** What was certainly not executed changed nothing here. */
function isNotExecuted(error: Error): boolean {
  return error instanceof NotExecutedError;
}
