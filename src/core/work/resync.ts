/**
 * Beginning anew after an answer that did not come: what is fetched goes back, what is settled is ended again, and every call
 * under way becomes stale (races 1, 25–28). Tries until the store answers; STALE means that the entity has a new owner.
 * Neighbour: `next-step.ts` calls it only when no handler runs.
 */
import { entityWord } from '../model/entity.js';
import { messageOf, StaleClaimError } from '../model/errors.js';
import { momentOf } from '../run/lease.js';
import type { WorkerRequests } from './store-calls.js';
import type { Tenure } from './worker-state.js';

/** Pauses between tries while the store is away. */
const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 1000;

export async function beginAnew(tenure: Tenure, requests: WorkerRequests): Promise<void> {
  const { context, entity } = tenure;
  let told: string | undefined;
  for (let pauseMs = FIRST_RETRY_MS; tenure.failure; pauseMs = Math.min(2 * pauseMs, LAST_RETRY_MS)) {
    requests.forget();
    tenure.epoch = context.nextEpoch();
    const { claim } = tenure;
    if (claim) tenure.enterState('working');
    const sentAt = momentOf(context.clock);
    try {
      const answer = claim
        ? await context.store.resync(claim, tenure.epoch, tenure.jobs.settled)
        : await context.store.look(entity, tenure.epoch);
      tenure.failure = undefined;
      tenure.jobs.confirmedAll();
      if (typeof answer !== 'string') requests.onClaimed(answer, sentAt);
    } catch (error) {
      if (claim && (error instanceof StaleClaimError || tenure.state === 'lost')) {
        tenure.failure = undefined;
        tenure.lose(claim);
        return;
      }
      if (tenure.state === 'lost') return;
      const why = messageOf(error);
      if (why !== told) context.log.warn(`Beginning anew with ${entityWord(entity)} failed (${why}); trying again.`);
      told = why;
      await new Promise<void>(resolve => context.clock.after(pauseMs, resolve));
    }
  }
}
