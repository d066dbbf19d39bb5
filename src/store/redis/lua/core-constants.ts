/**
 * What the Lua takes from the core, and from the constants of both stores: `CORE.SOME_NAME` in a .lua file is replaced by the text
 * here, when this module loads.
 * Neighbours: `scripts/lua.mjs` writes `generated.ts`, which fills these in; `../../protocol-constants.ts` has those of both stores.
 */
import { MAX_FETCH_BYTES } from '../../../core/model/bounds.js';
import { MAX_MAILBOX_BYTES, MAX_UNREAD, SHORT_TEXT, withoutText } from '../../../core/model/mailbox.js';
import { SILENCE_OF_LEASE } from '../../../core/run/lease.js';
import { HOLD_LEAD_MS, SCHEDULED_SOON_MS, STALLED_TOO_OFTEN } from '../../protocol-constants.js';

export const CORE = {
  MAX_FETCH_BYTES,
  MAX_MAILBOX_BYTES,
  MAX_UNREAD,
  SHORT_TEXT,
  SILENCE_OF_LEASE,
  HOLD_LEAD_MS,
  SCHEDULED_SOON_MS,
  STALLED_TOO_OFTEN: `'${STALLED_TOO_OFTEN}'`,
  /** `kind, text` of a reply whose text has no room in the mailbox. */
  COMPLETED_WITHOUT_TEXT: kindAndText('completed'),
  FAILED_WITHOUT_TEXT: kindAndText('failed'),
};

function kindAndText(ofKind: 'completed' | 'failed'): string {
  const { kind, text } = withoutText(ofKind);
  return `'${kind}', [==[${text}]==]`;
}
