/**
 * The calls of a worker to the store while it works, and what each response means: adds, claims, fetches and ends of jobs.
 *
 * Owns: the rule that at most one `tryClaim` is under way, and the timer after which the worker fetches again.
 * Neighbours: `next-step.ts` decides when to call, `worker-state.ts` keeps what a response has changed, and `pending-responses.ts`
 * keeps the responses in order. `release.ts` and `resync.ts` make the calls that give up or restore the claim.
 */

import type { Claim } from '../model/claim.js';
import { NotExecutedError } from '../model/errors.js';
import type { NewJob, Settlement } from '../model/job.js';
import type { Claimed } from '../ports/claims.js';
import type { Timer } from '../ports/clock.js';
import type { IntakeHint, IntakeResult } from '../ports/intake.js';
import type { Fetched, Gathering } from '../ports/work.js';
import { type Moment, momentOf } from '../run/lease.js';
import { emitClaimed } from './lifecycle-events.js';
import type { WorkerState } from './worker-state.js';

export class StoreCalls {
  /** A `tryClaim` is under way. A second one would give back the jobs that the first one has fetched. */
  private isClaiming = false;
  private againTimer: Timer | undefined;
  /** Whether the timer waits for the rate limit of the type. Until then no job can start, so the worker cannot miss one. */
  isLimited = false;

  constructor(private readonly state: WorkerState) {}

  /** Adds a job of this pod. The same call may grant the claim and fetch the job. */
  add(job: NewJob): Promise<IntakeResult> {
    const { store, clock } = this.state.context;
    const sentAt = momentOf(clock);
    return this.trackIntake(store.add(job, this.intakeHint()), sentAt);
  }

  /** Tracks the response to an add of this pod that was sent at `sentAt` with a hint of this worker. */
  trackIntake(response: Promise<IntakeResult>, sentAt: Moment): Promise<IntakeResult> {
    this.state.responses.track(response, {
      use: result => {
        if (result.route === 'claimed') this.onGranted(result.claimed, sentAt);
        else if (result.route === 'local') this.onAdded(result.fetched, sentAt);
        else if (result.route === 'unknown-claim') this.onUnknownClaim(result.why);
      },
      tolerates: isNotExecuted,
    });
    return response;
  }

  private onUnknownClaim(why: string | undefined): void {
    const { state } = this;
    if (!state.claim && !this.isClaiming) this.tryClaim();
    else if (why !== undefined) state.fail(new Error(why));
  }

  /** The request that an enqueue of this pod sends along with its job. It is a hint: the store decides. */
  intakeHint(): IntakeHint {
    const { state } = this;
    // guards: store-calls.intakeHint
    state.lease?.reactivate();
    if (state.phase === 'lost' || state.phase === 'ended') return 'route-only';
    // However the pending release ends, a job that is enqueued after it may claim again (race 4).
    if (state.phase === 'releasing') this.beginClaiming();
    return { epoch: state.epoch, mayClaim: state.claim === undefined, atOnce: state.jobs.plan.fetchBelow };
  }

  /** Claims the entity if it has work and no owner. */
  tryClaim(): void {
    const { state } = this;
    const { store, clock } = state.context;
    const epoch = state.newEpoch();
    this.isClaiming = true;
    state.clearWork();
    const sentAt = momentOf(clock);
    state.responses.track(store.tryClaim(state.entity, epoch), {
      use: result => {
        this.isClaiming = false;
        if (typeof result !== 'string') this.onGranted(result, sentAt);
      },
      tolerates: isNotExecuted,
    });
  }

  /**
   * Fetches jobs.
   * @param count maximum number of jobs. @default 1
   * @param gathering tells other pods that the worker waits for the jobs that they add.
   */
  take(count = 1, gathering?: Gathering): void {
    const { claim, lease, responses, context } = this.state;
    if (!claim) return;
    this.state.clearWork();
    const sentAt = momentOf(context.clock);
    // guards: store-calls.take
    lease?.reactivate();
    responses.track(context.store.take(claim, count, gathering), {
      fetches: count,
      use: fetched => {
        this.state.jobs.plan.onFetched(count, fetched.jobs.length);
        this.onTaken(fetched, sentAt);
      },
    });
  }

  /**
   * Sends the ends of one run, and fetches the next jobs in the same call.
   * @param batchMax maximum size of a batch, if the handler takes batches.
   */
  finish(claim: Claim, settlements: readonly Settlement[], batchMax?: number): void {
    const { jobs, responses, failure, isToRelease, context } = this.state;
    jobs.trackEnds(settlements);
    // An earlier end may not have been executed, and this one must not overtake it (I6). The resync sends both.
    // guards: store-calls.finish
    if (failure) return;
    const fetches = isToRelease ? 0 : jobs.plan.wanted(responses.fetches, batchMax);
    responses.track(context.store.finish(claim, settlements, fetches), {
      fetches,
      use: fetched => {
        jobs.confirmed(settlements, fetched.jobs.length);
        jobs.plan.onFetched(fetches, fetched.jobs.length);
        this.onFetched(fetched);
      },
    });
  }

  /** Gives back the jobs that have not started. No job starts before the response; jobs that arrive until then go back, too. */
  giveBack(claim: Claim): void {
    const { state } = this;
    const { jobs } = state;
    state.clearRecall();
    jobs.raiseBarrier();
    const kept = jobs.keptIds;
    state.responses.track(state.context.store.giveBack(claim, kept), {
      use: () => {
        jobs.lowerBarrier(kept);
        state.noteWork();
      },
    });
  }

  /** Ignores the responses to all calls that are under way. */
  forget(): void {
    this.state.forgetResponses();
    this.isClaiming = false;
  }

  /** Cancels the next fetch: the worker ends. */
  stop(): void {
    this.againTimer?.cancel();
  }

  /** The store has granted the claim, or confirmed it after a resync. */
  onClaimed(claimed: Claimed, sentAt: Moment): void {
    const { state } = this;
    const previous = state.claim;
    state.claimed(claimed.claim, sentAt);
    // guards: store-calls.onClaimed
    if (claimed.recovered > 0) state.jobs.plan.window.enterRecoveryMode(claimed.recovered);
    this.onFetched(claimed);
    // Last: a listener may shut the pod down, which gives the jobs back.
    emitClaimed(state.context.events, previous, claimed);
  }

  /**
   * The store has granted a claim. If this pod holds one already, that claim was deleted between the two calls. The second grant has
   * then fetched again what the first one brought and what may be running, so the worker resyncs.
   */
  private onGranted(claimed: Claimed, sentAt: Moment): void {
    if (this.state.claim) this.state.fail(new Error('the claim was deleted in Redis, and granted again'));
    else this.onClaimed(claimed, sentAt);
  }

  private onAdded(fetched: Fetched, sentAt: Moment): void {
    this.state.jobs.plan.onAdded(fetched);
    this.onTaken(fetched, sentAt);
  }

  /** A fetch of an idle worker also renews its lease if it has reactivated the claim. */
  private onTaken(fetched: Fetched, sentAt: Moment): void {
    // guards: store-calls.onTaken
    if (fetched.isReactivated) this.state.lease?.renew(sentAt);
    this.onFetched(fetched);
  }

  private onFetched(fetched: Fetched): void {
    const { state } = this;
    state.jobs.add(fetched.jobs);
    // guards: store-calls.onFetched
    if (fetched.isPartial) state.jobs.plan.moreMayWait();
    if (fetched.isRecalled && !state.jobs.isBarred) state.recall();
    // If this response brought a job, the queue may have another one for a free handler.
    if (fetched.jobs.length > 0 && !state.type.isOrdered) state.noteWork();
    this.againTimer?.cancel();
    this.againTimer = undefined;
    this.isLimited = false;
    if (fetched.againInMs !== undefined) {
      this.isLimited = fetched.isLimited ?? false;
      this.againTimer = state.context.clock.after(fetched.againInMs, () => {
        this.againTimer = undefined;
        this.isLimited = false;
        state.noteWork();
        state.advance();
      });
    }
  }

  private beginClaiming(): void {
    const { state } = this;
    this.forget();
    state.claimAgain();
  }
}

/** A call that was certainly not executed has changed nothing, so the worker need not resync. */
function isNotExecuted(error: Error): boolean {
  return error instanceof NotExecutedError;
}
