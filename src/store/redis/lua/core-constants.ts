/**
 * What the Lua takes from the core: `CORE.SOME_NAME` in a .lua file is replaced by the text here, when this module loads.
 * Neighbour: `scripts/lua.mjs` writes `generated.ts`, which fills these in.
 */
import { MAX_FETCH_BYTES } from '../../../core/model/bounds.js';
import { MAX_MAILBOX_BYTES, MAX_UNREAD, SHORT_TEXT, withoutText } from '../../../core/model/mailbox.js';
import { SILENCE_OF_LEASE } from '../../../core/run/lease.js';

export const CORE = {
  MAX_FETCH_BYTES,
  MAX_MAILBOX_BYTES,
  MAX_UNREAD,
  SHORT_TEXT,
  SILENCE_OF_LEASE,
  /** `kind, text` of a reply whose text has no room in the mailbox. */
  COMPLETED_WITHOUT_TEXT: kindAndText('completed'),
  FAILED_WITHOUT_TEXT: kindAndText('failed'),
};

function kindAndText(ofKind: 'completed' | 'failed'): string {
  const { kind, text } = withoutText(ofKind);
  return `'${kind}', [==[${text}]==]`;
}
