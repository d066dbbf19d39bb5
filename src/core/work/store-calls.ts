/**
 * What a worker asks of the store while it works, and what each answer means: adds, looks, fetches, ends of jobs.
 *
 * Owns: that at most one look is under way, and the timer of a fetch that is to be asked for again.
 * Neighbours: `worker-state.ts` is what the answers change; `next-step.ts` says when something is asked for.
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
  /** A look is under way that may bring the claim; a second one would take from the first what it has fetched. */
  private isClaiming = false;
  private againTimer: Timer | undefined;
  /** The timer is one of the rate of its type: until then nothing can be missed. */
  isLimited = false;

  constructor(private readonly state: WorkerState) {}

  /** Adds a job of this pod, in the one call that may also bring the claim, or the job itself. */
  add(job: NewJob): Promise<IntakeResult> {
    const { store, clock } = this.state.context;
    const sentAt = momentOf(clock);
    return this.trackIntake(store.add(job, this.intakeHint()), sentAt);
  }

  /** The answer to an add of this pod that was sent at that moment, with a hint of this worker. */
  trackIntake(entered: Promise<IntakeResult>, sentAt: Moment): Promise<IntakeResult> {
    this.state.responses.track(entered, {
      use: answer => {
        if (answer.route === 'claimed') this.onGranted(answer.claimed, sentAt);
        else if (answer.route === 'local') this.onAdded(answer.fetched, sentAt);
        else if (answer.route === 'unknown-claim') this.onUnknownClaim(answer.why);
      },
      tolerates: isNotExecuted,
    });
    return entered;
  }

  private onUnknownClaim(why: string | undefined): void {
    const { state } = this;
    if (!state.claim && !this.isClaiming) this.tryClaim();
    else if (why !== undefined) state.fail(new Error(why));
  }

  /** What an enqueue of this pod asks for; never believed for safety: the store decides. */
  intakeHint(): IntakeHint {
    const { state } = this;
    // guards: store-calls.intakeHint
    state.lease?.reactivate();
    if (state.phase === 'lost' || state.phase === 'ended') return 'route-only';
    // However the release under way ends, what is enqueued after it claims again (race 4).
    if (state.phase === 'releasing') this.beginClaiming();
    return { epoch: state.epoch, mayClaim: state.claim === undefined, atOnce: state.jobs.plan.room };
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
      use: answer => {
        this.isClaiming = false;
        if (typeof answer !== 'string') this.onGranted(answer, sentAt);
      },
      tolerates: isNotExecuted,
    });
  }

  /** @param gathering where jobs that others add are waited for. */
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

  /** @param batchMax how many jobs the next batch may have, if the handler takes batches. */
  finish(claim: Claim, settlements: readonly Settlement[], batchMax?: number): void {
    const { jobs, responses, failure, isToRelease, context } = this.state;
    jobs.trackEnds(settlements);
    // An end before this one may not have been executed; this one must not overtake it, and goes with it.
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

  /** Nothing starts before the answer; what earlier calls bring until then is given back, too. */
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

  /** The response to what is under way is ignored. */
  forget(): void {
    this.state.forgetResponses();
    this.isClaiming = false;
  }

  /** Nothing is asked for again. */
  stop(): void {
    this.againTimer?.cancel();
  }

  /** A claim was granted, for the first time or again. */
  onClaimed(claimed: Claimed, sentAt: Moment): void {
    const { state } = this;
    const previous = state.claim;
    state.claimed(claimed.claim, sentAt);
    emitClaimed(state.context.events, previous, claimed);
    // guards: store-calls.onClaimed
    if (claimed.recovered > 0) state.jobs.plan.window.enterRecoveryMode(claimed.recovered);
    this.onFetched(claimed);
  }

  /**
   * A grant in addition to a claim that this pod holds: the claim was deleted between the two calls. What the first has brought may
   * be running, and the second has fetched it again: resync.
   */
  private onGranted(claimed: Claimed, sentAt: Moment): void {
    if (this.state.claim) this.state.fail(new Error('its claim was deleted, and granted again'));
    else this.onClaimed(claimed, sentAt);
  }

  private onAdded(fetched: Fetched, sentAt: Moment): void {
    this.state.jobs.plan.onAdded(fetched);
    this.onTaken(fetched, sentAt);
  }

  /** What an idle worker has asked for. */
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
    // Where one was, there may be one more for a handler that is free.
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

/** What was certainly not executed changed nothing here. */
function isNotExecuted(error: Error): boolean {
  return error instanceof NotExecutedError;
}
