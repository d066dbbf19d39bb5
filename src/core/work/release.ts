/**
 * How a worker gives its entity up: handed over, released as idle, or left for pods that can run its next job.
 *
 * Owns: the calls that give up the claim, and what their answers mean.
 * Neighbours: `next-step.ts` says when; `worker-state.ts` notes why.
 */

import type { Claim } from '../model/claim.js';
import type { FetchedJob } from '../model/job.js';
import type { ReleaseMode } from '../ports/claims.js';
import { emitWorkerEvent } from './lifecycle-events.js';
import type { StoreCalls } from './store-calls.js';
import type { WorkerState } from './worker-state.js';

export class Release {
  /** A job of a name, or a codec, unknown here that was left for others long enough: it is to fail. */
  private overdue: string | undefined;

  constructor(
    private readonly state: WorkerState,
    private readonly calls: StoreCalls,
  ) {}

  /**
   * The pod shuts down, others wait for its room, or the time of a run was over: the entity is claimed again, by any pod, as soon as no
   * handler runs that was not given up.
   */
  get isToHandOver(): boolean {
    const { releaseReason, claim, phase, isSpent } = this.state;
    // guards: release.isToHandOver
    const isHandedOver = releaseReason === 'shutdown' || releaseReason === 'room' || isSpent;
    return isHandedOver && claim !== undefined && phase !== 'releasing';
  }

  /** Every end is confirmed first, or made good: what is done must not be given back. */
  handOver(): boolean {
    // guards: release.handOver
    if (!this.state.jobs.ends.isEmpty) return false;
    this.release(this.state.releaseReason === 'room' ? 'give-way' : 'hand-over');
    return true;
  }

  release(mode: ReleaseMode): void {
    const { state } = this;
    const { claim } = state;
    if (!claim) return;
    this.calls.forget();
    state.release();
    state.responses.track(state.context.store.release(claim, mode), {
      use: released => {
        if (released) return this.onReleased(claim);
        state.keepClaim();
      },
    });
  }

  isOverdue(job: FetchedJob): boolean {
    return this.overdue === job.id;
  }

  /**
   * A rolling deploy: the next job has a name, or a codec, that only other pods know. It is left for them, and all behind it;
   * too long left, it fails here, so that an entity does not wait for ever (races 13, 32).
   */
  defer(claim: Claim, job: FetchedJob): boolean {
    const { state } = this;
    // As with a hand-over, what is done is confirmed first.
    if (state.jobs.isRunning || !state.jobs.ends.isEmpty) return false;
    this.calls.forget();
    state.release();
    state.askToRelease('unknown job');
    state.responses.track(state.context.store.defer(claim, job, state.type.unknownJobGraceMs), {
      use: isLeft => {
        if (isLeft) {
          state.context.deferred(state, job);
          this.onReleased(claim);
        } else {
          this.overdue = job.id;
          state.fail(new Error('the next job was left for long enough'));
        }
      },
    });
    return false;
  }

  private onReleased(claim: Claim): void {
    emitWorkerEvent(this.state.context.events, 'worker.released', claim);
    this.state.released();
  }
}
