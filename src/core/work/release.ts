/**
 * The ways in which a worker gives up its entity: it hands it over, releases it as idle, or defers it to pods that can run its next
 * job.
 *
 * Owns: the calls that give up the claim, and what their responses mean.
 * Neighbours: `next-step.ts` decides when to call, and `worker-state.ts` notes the reason.
 */

import type { Claim } from '../model/claim.js';
import type { FetchedJob } from '../model/job.js';
import type { ReleaseMode } from '../ports/claims.js';
import { emitWorkerEvent } from './lifecycle-events.js';
import type { StoreCalls } from './store-calls.js';
import type { WorkerState } from './worker-state.js';

export class Release {
  /** Id of a job that this pod can't run, and that has been deferred for longer than `unknownJobGraceMs`. It fails here. */
  private overdue: string | undefined;

  constructor(
    private readonly state: WorkerState,
    private readonly calls: StoreCalls,
  ) {}

  /**
   * Whether the worker must hand its entity over as soon as no handler runs: at a shutdown, to give way to other entities, or
   * because the token is spent (race 39).
   */
  get isToHandOver(): boolean {
    const { releaseReason, claim, phase, isSpent } = this.state;
    // guards: release.isToHandOver
    const isHandedOver = releaseReason === 'shutdown' || releaseReason === 'give way' || isSpent;
    return isHandedOver && claim !== undefined && phase !== 'releasing';
  }

  /**
   * Hands the entity over, once all ends are confirmed: the store must not give back jobs that have ended (I5).
   * @returns whether the store was asked to.
   */
  handOver(): boolean {
    // guards: release.handOver
    if (!this.state.jobs.ends.isEmpty) return false;
    this.release(this.state.releaseReason === 'give way' ? 'give-way' : 'hand-over');
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
   * Leaves the entity to other pods, since only they know the name or the codec of its next job, as in a rolling deploy
   * (races 13, 32). A job that has been deferred for too long fails here instead, so that its entity does not wait forever.
   */
  defer(claim: Claim, job: FetchedJob): boolean {
    const { state } = this;
    // As in a hand-over, all ends are confirmed first.
    if (state.jobs.isRunning || !state.jobs.ends.isEmpty) return false;
    this.calls.forget();
    state.release();
    state.askToRelease('unknown job');
    state.responses.track(state.context.store.defer(claim, job, state.type.unknownJobGraceMs), {
      use: isDeferred => {
        if (isDeferred) {
          state.context.deferred(state, job);
          this.onReleased(claim);
        } else {
          this.overdue = job.id;
          state.fail(new Error('the next job has been deferred for longer than unknownJobGraceMs'));
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
