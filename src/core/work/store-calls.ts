/**
 * What a worker asks of the store while it works, and what each answer means: adds, looks, fetches, ends of jobs.
 *
 * Owns: that at most one look is under way, and the timer of a fetch that is to be asked for again.
 * Neighbours: `worker-state.ts` is what the answers change; `next-step.ts` says when something is asked for.
 */
import { NotExecutedError } from '../model/errors.js';
import type { NewJob, Settlement } from '../model/job.js';
import type { Claim, Claimed, Entered, EnterHint, Fetched, Gathering, Timer } from '../ports/store.js';
import { type Moment, momentOf } from '../run/lease.js';
import { tellOfClaim } from './lifecycle-events.js';
import type { Tenure } from './worker-state.js';

export class WorkerRequests {
  /** A look is under way that may bring the claim; a second one would take from the first what it has fetched. */
  private looking = false;
  private againTimer: Timer | undefined;
  /** The timer is one of the rate of its type: until then nothing can be missed. */
  isLimited = false;

  constructor(private readonly tenure: Tenure) {}

  /** Adds a job of this pod, in the one call that may also bring the claim, or the job itself. */
  enter(job: NewJob): Promise<Entered> {
    const { store, clock } = this.tenure.context;
    const sentAt = momentOf(clock);
    return this.expectEntered(store.enter(job, this.enterHint()), sentAt);
  }

  /** The answer to an add of this pod that was sent at that moment, with a hint of this worker. */
  expectEntered(entered: Promise<Entered>, sentAt: Moment): Promise<Entered> {
    this.tenure.answers.expect(entered, {
      use: answer => {
        if (answer.route === 'claimed') this.onGranted(answer.claimed, sentAt);
        else if (answer.route === 'mine') this.onAdded(answer.fetched, sentAt);
        else if (answer.route === 'unknown-claim') this.onUnknownClaim(answer.why);
      },
      tolerates: isNotExecuted,
    });
    return entered;
  }

  private onUnknownClaim(why: string | undefined): void {
    const { tenure } = this;
    if (!tenure.claim && !this.looking) this.look();
    else if (why !== undefined) tenure.failure ??= new Error(why);
  }

  /** What an enqueue of this pod asks for; never believed for safety: the store decides. */
  enterHint(): EnterHint {
    const { tenure } = this;
    tenure.lease?.rouse();
    if (tenure.state === 'lost' || tenure.state === 'ended') return 'route-only';
    // Whatever becomes of the release under way, what is enqueued after it claims anew (race 4).
    if (tenure.state === 'releasing') this.beginClaiming();
    return { epoch: tenure.epoch, mayClaim: tenure.claim === undefined, atOnce: tenure.jobs.room };
  }

  /** Looks at the entity: claims it if it has work and nobody owns it. */
  look(): void {
    const { tenure } = this;
    const { store, clock, nextEpoch } = tenure.context;
    tenure.epoch = nextEpoch();
    this.looking = true;
    tenure.woken = false;
    const sentAt = momentOf(clock);
    tenure.answers.expect(store.look(tenure.entity, tenure.epoch), {
      use: answer => {
        this.looking = false;
        if (typeof answer !== 'string') this.onGranted(answer, sentAt);
      },
      tolerates: isNotExecuted,
    });
  }

  /** @param gathering where jobs that others add are waited for. */
  take(count = 1, gathering?: Gathering): void {
    const { claim, lease, answers, context } = this.tenure;
    if (!claim) return;
    this.tenure.woken = false;
    const sentAt = momentOf(context.clock);
    lease?.rouse();
    answers.expect(context.store.take(claim, count, gathering), {
      fetches: count,
      use: fetched => {
        this.tenure.jobs.onFetched(count, fetched.jobs.length);
        this.onTaken(fetched, sentAt);
      },
    });
  }

  finish(claim: Claim, settlement: Settlement): void {
    const { jobs, answers, failure, isLeaving, context } = this.tenure;
    jobs.expectConfirmations([settlement]);
    // An end before this one may not have been executed; this one must not overtake it, and goes with it.
    if (failure) return;
    const fetches = isLeaving ? 0 : jobs.wanted(answers.fetches);
    this.expectConfirmed([settlement], fetches, context.store.finish(claim, settlement, fetches));
  }

  /** As {@link finish}, of the jobs of a batch. @param max how many the next one may have. */
  finishAll(claim: Claim, settlements: readonly Settlement[], max: number): void {
    const { jobs, answers, failure, isLeaving, context } = this.tenure;
    jobs.expectConfirmations(settlements);
    if (failure) return;
    const fetches = isLeaving ? 0 : jobs.wantedAfterBatch(answers.fetches, max);
    this.expectConfirmed(settlements, fetches, context.store.finishAll(claim, settlements, fetches));
  }

  private expectConfirmed(settlements: readonly Settlement[], fetches: number, answer: Promise<Fetched>): void {
    const { jobs, answers } = this.tenure;
    answers.expect(answer, {
      fetches,
      use: fetched => {
        jobs.confirmed(settlements, fetched.jobs.length);
        jobs.onFetched(fetches, fetched.jobs.length);
        this.onFetched(fetched);
      },
    });
  }

  /** Nothing starts before the answer; what earlier calls bring until then is given back, too. */
  giveBack(claim: Claim): void {
    const { tenure } = this;
    const { jobs } = tenure;
    tenure.recalled = false;
    jobs.halt();
    const kept = jobs.keptIds;
    tenure.answers.expect(tenure.context.store.giveBack(claim, kept), {
      use: () => {
        jobs.goOn(kept);
        tenure.woken = true;
      },
    });
  }

  /** What is under way is nobody's from now on. */
  forget(): void {
    this.tenure.forgetAnswers();
    this.looking = false;
  }

  /** Nothing is asked for again. */
  stop(): void {
    this.againTimer?.cancel();
  }

  /** A claim was granted, for the first time or anew. */
  onClaimed(claimed: Claimed, sentAt: Moment): void {
    const { tenure } = this;
    const previous = tenure.claim;
    tenure.beginLease(claimed.claim, sentAt);
    tellOfClaim(tenure.context.events, previous, claimed);
    if (claimed.recovered > 0) tenure.jobs.beCareful(claimed.recovered);
    if (tenure.leaving === 'unknown job') tenure.leaving = undefined;
    tenure.enterState('working');
    // A grant gives back whatever was fetched before it.
    tenure.jobs.clear();
    this.onFetched(claimed);
  }

  /**
   * A grant beside a claim that we hold: somebody deleted the claim between the two calls. What the first has brought may
   * be running, and the second has fetched it again: begin anew.
   */
  private onGranted(claimed: Claimed, sentAt: Moment): void {
    if (this.tenure.claim) this.tenure.failure ??= new Error('its claim was deleted, and granted anew');
    else this.onClaimed(claimed, sentAt);
  }

  private onAdded(fetched: Fetched, sentAt: Moment): void {
    this.tenure.jobs.onAdded(fetched);
    this.onTaken(fetched, sentAt);
  }

  /** What an idle worker has asked for. */
  private onTaken(fetched: Fetched, sentAt: Moment): void {
    if (fetched.isRoused) this.tenure.lease?.renew(sentAt);
    this.onFetched(fetched);
  }

  private onFetched(fetched: Fetched): void {
    const { tenure } = this;
    tenure.jobs.add(fetched.jobs);
    if (fetched.isPartial) tenure.jobs.moreMayWait();
    if (fetched.isRecalled && !tenure.jobs.isHalted) tenure.recalled = true;
    // Where one was, there may be one more for a handler that is free.
    if (fetched.jobs.length > 0 && !tenure.type.isOrdered) tenure.woken = true;
    this.againTimer?.cancel();
    this.againTimer = undefined;
    this.isLimited = false;
    if (fetched.againInMs !== undefined) {
      this.isLimited = fetched.isLimited ?? false;
      this.againTimer = tenure.context.clock.after(fetched.againInMs, () => {
        this.againTimer = undefined;
        this.isLimited = false;
        tenure.woken = true;
        tenure.advance();
      });
    }
  }

  private beginClaiming(): void {
    const { tenure } = this;
    this.forget();
    tenure.lease = undefined;
    tenure.epoch = tenure.context.nextEpoch();
    tenure.enterState('claiming');
  }
}

/** What was certainly not executed changed nothing here. */
function isNotExecuted(error: Error): boolean {
  return error instanceof NotExecutedError;
}
