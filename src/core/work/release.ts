/**
 * How a worker gives its entity up: handed over, released as idle, or left for pods that can run its next job.
 *
 * Owns: the calls that give up the claim, and what their answers mean.
 * Neighbours: `next-step.ts` says when; `worker-state.ts` notes why.
 */

import type { FetchedJob } from '../model/job.js';
import type { Claim, ReleaseMode } from '../ports/store.js';
import { tellOfWorker } from './lifecycle-events.js';
import type { WorkerRequests } from './store-calls.js';
import type { Tenure } from './worker-state.js';

export class Leaving {
  /** A job of a name, or a codec, unknown here that was left for others long enough: it is to fail. */
  private overdue: string | undefined;

  constructor(
    private readonly tenure: Tenure,
    private readonly requests: WorkerRequests,
  ) {}

  /**
   * The pod shuts down, others wait for its room, or the time of a run was over: the entity is claimed again, by any pod, as soon as no
   * handler runs that was not given up.
   */
  get isToHandOver(): boolean {
    const { leaving, claim, state, isSpent } = this.tenure;
    const isHandedOver = leaving === 'shutdown' || leaving === 'room' || isSpent;
    return isHandedOver && claim !== undefined && state !== 'releasing';
  }

  /** Every end is confirmed first, or made good: what is done must not be given back. */
  handOver(): boolean {
    if (!this.tenure.jobs.isAllConfirmed) return false;
    this.release(this.tenure.leaving === 'room' ? 'give-way' : 'hand-over');
    return true;
  }

  release(mode: ReleaseMode): void {
    const { tenure } = this;
    const { claim } = tenure;
    if (!claim) return;
    this.requests.forget();
    tenure.enterState('releasing');
    tenure.answers.expect(tenure.context.store.release(claim, mode), {
      use: released => {
        if (released) return this.onReleased(claim);
        tenure.enterState('working');
        tenure.woken = true;
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
  leave(claim: Claim, job: FetchedJob): boolean {
    const { tenure } = this;
    // As with a hand-over, what is done is confirmed first.
    if (tenure.jobs.isRunning || !tenure.jobs.isAllConfirmed) return false;
    this.requests.forget();
    tenure.enterState('releasing');
    tenure.leaving ??= 'unknown job';
    tenure.answers.expect(tenure.context.store.leave(claim, job, tenure.type.unknownJobGraceMs), {
      use: isLeft => {
        if (isLeft) {
          tenure.context.left(tenure, job);
          this.onReleased(claim);
        } else {
          this.overdue = job.id;
          tenure.failure ??= new Error('the next job was left for long enough');
        }
      },
    });
    return false;
  }

  private onReleased(claim: Claim): void {
    tellOfWorker(this.tenure.context.events, 'worker.released', claim);
    this.tenure.lease = undefined;
  }
}
