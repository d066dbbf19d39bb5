/**
 * Error replies after which it is certain that the server executed nothing, and that it, or another server behind the same
 * address, may execute the same call later.
 *
 * Neighbours: `channel.ts` holds such calls; `connection.ts` replaces a connection that leads to a replica.
 */

/** Redis 6 puts the position in the script before the error of a command. */
const IN_SCRIPT = '^(?:.*@user_script: ?\\d+: -)?';
const refusal = (...codes: string[]) => new RegExp(`${IN_SCRIPT}(?:${codes.join('|')})\\b`);

const NO_SCRIPT = refusal('NOSCRIPT');
/** The server was the primary, and is not any more. */
const FROM_REPLICA = refusal('READONLY', 'MASTERDOWN');
/** The server refuses each write until a script has written: if one write of a script was refused, all of them were. */
const NO_WRITES = refusal('READONLY', 'MASTERDOWN', 'NOREPLICAS');
/** The server refused the script as a whole. MOVED and ASK are not followed: this is no client of Redis Cluster. */
const NOT_NOW = refusal(
  'LOADING',
  'BUSY',
  'READONLY',
  'MASTERDOWN',
  'NOREPLICAS',
  'CLUSTERDOWN',
  'TRYAGAIN',
  'MOVED',
  'ASK',
);

export const isUnknownScript = (message: string) => NO_SCRIPT.test(message);
export const isFromReplica = (message: string) => FROM_REPLICA.test(message);
/** Whether an error in place of the reply to a script says that it was not executed, and may be later. */
export const isRefusal = (message: string) => NO_SCRIPT.test(message) || NOT_NOW.test(message);

/** Why nothing of a batch was written, if one of its calls says so: what a replica answers to the others may be out of date. */
export function refusalIn(replies: readonly unknown[]): string | undefined {
  for (const reply of replies) {
    // guards: refusals.refusalIn
    const message = errorOf(reply) ?? (Array.isArray(reply) ? errorOf(reply[0]) : undefined);
    if (message !== undefined && NO_WRITES.test(message)) return message;
  }
  return undefined;
}

/** The message of `{ err }`, which stands in the place of the reply to a call, or to one job of a bulk. */
function errorOf(reply: unknown): string | undefined {
  const err: unknown = typeof reply === 'object' && reply !== null ? (reply as { err?: unknown }).err : undefined;
  return typeof err === 'string' ? err : undefined;
}
