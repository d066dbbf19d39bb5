/**
 * Commands that Redis refuses for this pod: its user lacks the right (ACL), the command is renamed, or a key has another type.
 * The loops that wait for wake-ups and replies try again every half a second, and nothing else would tell why they get none.
 *
 * Owns: the log line, once per command until Redis runs it again. Neighbours: `wake-ups.ts` and `replies.ts` send these commands;
 * `outcome.ts` and `renewals.ts` add the remedy to the refusal of a script.
 */
import { messageOf } from '../../../core/model/errors.js';
import type { Log } from '../../../core/ports/log.js';

const NO_WAKE_UPS =
  'this pod is not called by others: entities wait for its next sweep (workerDefaults.stalledInterval)';
const LATE_RESULTS = 'results of enqueueAndWait come seconds late';

/** The commands that are sent outside of scripts, and the effect of a refusal of each. */
const EFFECTS = {
  BZPOPMIN: NO_WAKE_UPS,
  ZPOPMIN: NO_WAKE_UPS,
  XREAD: LATE_RESULTS,
  XDEL: LATE_RESULTS,
} as const;

export type DirectCommand = keyof typeof EFFECTS;

/** The list of the rights that a user needs. */
const LISTED = 'docs/operating.md, Access control';

/** Refusals that last. LOADING, READONLY and UNBLOCKED do not. */
const LASTING = /^(?:NOPERM|WRONGTYPE|ERR)\b/;
/** The errors of Redis 6 and later, outside of scripts and in them. */
const DENIED = /NOPERM|ACL failure in script|can't run this command or subcommand/;

/** What to do about an error of Redis, as the end of a sentence; '' unless its user lacks a right. */
export function remedyOf(message: string): string {
  return DENIED.test(message) ? `; give its user the rights in ${LISTED}` : '';
}

export class Rights {
  private readonly refused = new Set<DirectCommand>();

  constructor(
    private readonly log: Log,
    private readonly keyPrefix: string,
  ) {}

  /** Passes the response on, and logs what an error means. */
  async heed<T>(command: DirectCommand, response: Promise<T>): Promise<T> {
    try {
      const value = await response;
      this.onRun(command);
      return value;
    } catch (error) {
      this.onError(command, error);
      throw error;
    }
  }

  private onRun(command: DirectCommand): void {
    if (this.refused.delete(command)) this.log.info(`Redis runs ${command} again.`);
  }

  private onError(command: DirectCommand, error: unknown): void {
    const message = messageOf(error);
    // guards: rights.onError
    if (!LASTING.test(message) || this.refused.has(command)) return;
    this.refused.add(command);
    const remedy = DENIED.test(message)
      ? ` Give its user +${command.toLowerCase()} on ~${this.keyPrefix}:* (ACL SETUSER; ${LISTED}).`
      : '';
    this.log.warn(`Redis refuses ${command} (${message}); ${EFFECTS[command]}.${remedy} Trying again.`);
  }
}
