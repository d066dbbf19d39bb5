/**
 * Bounds of a mailbox, which both stores keep: its reader may be dead, and its replies take memory until they expire.
 *
 * A pod has at most {@link MAX_WAITING_CALLS} calls, so a mailbox has room for the replies to all of them, and to as many abandoned ones.
 * A text is written in full while all unread replies would take at most {@link MAX_MAILBOX_BYTES} if each were as long as this one. So
 * a mailbox needs no count of its bytes, and has at most that times `1 + ln(entries)`: 0.4 GB.
 * Neighbours: `lua/reply-mailbox.lua` and `replies.ts` write replies.
 */
import { type Reply, thrownAs } from './reply.js';

/** Maximum number of calls of a pod that wait for replies at once. */
export const MAX_WAITING_CALLS = 50_000;
/** Maximum number of entries in a mailbox. A further one is dropped. */
export const MAX_UNREAD = 2 * MAX_WAITING_CALLS;
export const MAX_MAILBOX_BYTES = 32 * 1024 * 1024;
/** Length up to which a text is always written in full. */
export const SHORT_TEXT = 256;

const TEXT_LEFT_OUT =
  'the mailbox of the waiting pod had no room for its text (32 MiB for unread replies): too many large replies at once, or a blocked event loop; answer with less, such as an id.';

/** Whether a text has no room in a mailbox with so many entries. */
export function isTooLong(bytes: number, entries: number): boolean {
  // guards: mailbox.isTooLong
  return bytes > SHORT_TEXT && bytes * (entries + 1) > MAX_MAILBOX_BYTES;
}

/** The reply in place of one whose text has no room. */
export function withoutText(kind: Reply['kind']): { readonly kind: Reply['kind']; readonly text: string } {
  if (kind === 'failed') return { kind, text: JSON.stringify(thrownAs(`The job has failed, and ${TEXT_LEFT_OUT}`)) };
  return { kind: 'withheld', text: TEXT_LEFT_OUT };
}
