/**
 * The resync of a worker with the store, after a response that did not come or cannot be true (races 1, 25–28). Fetched jobs go
 * back, unconfirmed ends are sent again, and all calls under way become stale.
 *
 * Owns: the repetition until the store responds. The response STALE means that the entity has a new owner.
 * Neighbours: `next-step.ts` calls it only when no handler runs (race 2), and `unconfirmed-ends.ts` keeps the ends.
 */
import { entityKey } from '../model/entity.js';
import { messageOf } from '../model/errors.js';
import { StaleClaimError } from '../model/job-errors.js';
import { momentOf } from '../run/lease.js';
import type { StoreCalls } from './store-calls.js';
import type { WorkerState } from './worker-state.js';

/** Shortest and longest pause between two attempts while the store does not respond. */
const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 1000;

export async function resync(state: WorkerState, calls: StoreCalls): Promise<void> {
  const { context, entity } = state;
  let loggedReason: string | undefined;
  for (let pauseMs = FIRST_RETRY_MS; mustResync(state); pauseMs = Math.min(2 * pauseMs, LAST_RETRY_MS)) {
    calls.forget();
    state.resync();
    const { claim } = state;
    const sentAt = momentOf(context.clock);
    try {
      // guards: resync.resync
      const response = claim
        ? await context.store.resync(claim, state.epoch, state.jobs.ends.all)
        : await context.store.tryClaim(entity, state.epoch);
      if (isLost(state)) return;
      state.resynced();
      state.jobs.ends.clear();
      if (typeof response !== 'string') calls.onClaimed(response, sentAt);
    } catch (error) {
      if (isLost(state)) return;
      if (claim && error instanceof StaleClaimError) {
        state.resynced();
        state.lose(claim);
        return;
      }
      const reason = messageOf(error);
      if (reason !== loggedReason) {
        context.log.warn(
          `Resync of ${entityKey(entity)} failed; retrying. This pod runs no job of the entity until Redis responds. Reason: ${reason}`,
        );
      }
      loggedReason = reason;
      await new Promise<void>(resolve => context.clock.after(pauseMs, resolve));
    }
  }
}

const isLost = ({ phase }: WorkerState) => phase === 'lost';
const mustResync = (state: WorkerState) => state.failure !== undefined && !isLost(state);
