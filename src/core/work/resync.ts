/**
 * Beginning anew after an answer that did not come: what is fetched goes back, what is settled is ended again, and every call
 * under way becomes stale (races 1, 25–28). Tries until the store answers; STALE means that the entity has a new owner.
 * Neighbour: `next-step.ts` calls it only when no handler runs.
 */
import { entityKey } from '../model/entity.js';
import { messageOf, StaleClaimError } from '../model/errors.js';
import { momentOf } from '../run/lease.js';
import type { StoreCalls } from './store-calls.js';
import type { WorkerState } from './worker-state.js';

/** Pauses between tries while the store is away. */
const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 1000;

export async function resync(state: WorkerState, requests: StoreCalls): Promise<void> {
  const { context, entity } = state;
  let told: string | undefined;
  for (let pauseMs = FIRST_RETRY_MS; state.failure; pauseMs = Math.min(2 * pauseMs, LAST_RETRY_MS)) {
    requests.forget();
    state.epoch = context.nextEpoch();
    const { claim } = state;
    if (claim) state.enterPhase('working');
    const sentAt = momentOf(context.clock);
    try {
      const answer = claim
        ? await context.store.resync(claim, state.epoch, state.jobs.settled)
        : await context.store.tryClaim(entity, state.epoch);
      state.failure = undefined;
      state.jobs.confirmedAll();
      if (typeof answer !== 'string') requests.onClaimed(answer, sentAt);
    } catch (error) {
      if (claim && (error instanceof StaleClaimError || state.phase === 'lost')) {
        state.failure = undefined;
        state.lose(claim);
        return;
      }
      if (state.phase === 'lost') return;
      const why = messageOf(error);
      if (why !== told) context.log.warn(`Beginning anew with ${entityKey(entity)} failed (${why}); trying again.`);
      told = why;
      await new Promise<void>(resolve => context.clock.after(pauseMs, resolve));
    }
  }
}
