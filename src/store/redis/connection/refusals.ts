/**
 * Errors after which it is certain that the server executed nothing, and that it, or another server behind the same address, may
 * execute the same call later.
 * Neighbours: `channel.ts` holds such calls; `connection.ts` replaces a connection that leads to a replica.
 */

/** Redis 6 puts the position in the script before the error of a command. */
const IN_SCRIPT = '^(?:.*@user_script: ?\\d+: -)?';
const refusal = (...codes: string[]) => new RegExp(`${IN_SCRIPT}(?:${codes.join('|')})\\b`);

const NO_SCRIPT = refusal('NOSCRIPT');
/** The server is no longer the primary. */
const FROM_REPLICA = refusal('READONLY', 'MASTERDOWN');
/** The server refuses each write until a script has written: if one write of a script was refused, all of them were. */
const NO_WRITES = refusal('READONLY', 'MASTERDOWN', 'NOREPLICAS');
/** The server refused the whole script. MOVED and ASK are not followed: this is no client of Redis Cluster. */
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
/** Whether an error of a script means that it was not executed, and may be later. */
export const isRefusal = (message: string) => NO_SCRIPT.test(message) || NOT_NOW.test(message);

/** Why nothing of a batch was written, if one of its calls tells: a replica's responses to the others may be out of date. */
export function refusalIn(responses: readonly unknown[]): string | undefined {
  for (const response of responses) {
    // guards: refusals.refusalIn
    const message = errorOf(response) ?? (Array.isArray(response) ? errorOf(response[0]) : undefined);
    if (message !== undefined && NO_WRITES.test(message)) return message;
  }
  return undefined;
}

/** The message of `{ err }`, in place of the response to a call, or to one job of a bulk. */
function errorOf(response: unknown): string | undefined {
  const err: unknown =
    typeof response === 'object' && response !== null ? (response as { err?: unknown }).err : undefined;
  return typeof err === 'string' ? err : undefined;
}
