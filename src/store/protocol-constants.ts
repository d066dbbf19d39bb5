/** Numbers and texts of the protocol that both stores need. Neighbour: `redis/lua/core-constants.ts` gives them to the Lua. */

/** How long one call waits for wake-ups, in seconds: what a half-open socket swallows is missed no longer (race 14). */
// guards: protocol-constants.WAKE_UP_WAIT_SECONDS
export const WAKE_UP_WAIT_SECONDS = 5;

/** How long one call waits for replies, in seconds: after a half-open socket, the mailbox is read again no later. */
export const REPLY_WAIT_SECONDS = 5;

/** A worker that has only a hold releases its claim if the hold lasts longer than this, in ms. The next inspection is as long before its end. */
export const HOLD_LEAD_MS = 2000;

/** An entity whose inspection is due within this time, in ms, counts as scheduled: the search leaves it alone. */
export const SCHEDULED_SOON_MS = 10_000;

/** Why a job fails that its pods have not survived too often. BullMQ's own words. */
export const STALLED_TOO_OFTEN = 'job stalled more than allowable limit';
