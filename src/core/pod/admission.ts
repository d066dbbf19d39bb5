/**
 * Which entities this pod would rather not take: those beyond its share while others have less, and those whose next job
 * it has left for pods that know it.
 * Neighbour: `worker-manager.ts` asks here before it creates a worker, and knows how much room there is.
 */
import { type EntityRef, entityKey } from '../model/entity.js';
import type { TypeLoad } from '../ports/claims.js';
import type { Clock } from '../ports/clock.js';
import type { Log } from '../ports/log.js';

/** So many times the average a pod takes before it sends new ones to others … */
const HEADROOM = 1.25;
/** … and so few it takes in any case: it does not matter where they are. */
const ALWAYS = 8;
/** For so long a pod does not look at an entity that it has left: every other pod sweeps several times meanwhile. */
const LEFT_MS = 5000;

/** So many lacks are remembered, and logged once each. */
const MAX_REPORTED = 256;

/** What is known of the pods of a type: what they said last, and what has come here since. */
interface Share extends TypeLoad {
  /** How many entities this pod worked then. */
  readonly own: number;
  sentAway: number;
}

export class Admission {
  private readonly shares = new Map<string, Share>();
  /** Until when each entity is left to others, the oldest first. */
  private readonly left = new Map<string, number>();
  /** What was reported: at most {@link MAX_REPORTED}, since names may come from anybody who writes to the queue. */
  private readonly reported = new Set<string>();

  constructor(
    private readonly clock: Clock,
    private readonly log: Log,
  ) {}

  onLoad(type: string, load: TypeLoad, own: number): void {
    this.shares.set(type, { ...load, own, sentAway: 0 });
  }

  onSentAway(type: string): void {
    const share = this.shares.get(type);
    if (share) share.sentAway++;
  }

  /** Whether a new entity of the type belongs elsewhere. What others have left or lost is taken all the same (I7). */
  hasItsShare(type: string, own: number): boolean {
    const share = this.shares.get(type);
    if (!share || share.pods < 2) return false;
    const mean = (share.workers + share.sentAway + own - share.own) / share.pods;
    return own >= Math.max(ALWAYS, HEADROOM * mean);
  }

  /**
   * The next job of the entity needs what this pod lacks.
   * @param remedy what to do about it, as sentences with a space before each.
   */
  leave(entity: EntityRef, lack: string, graceMs: number, remedy = ''): void {
    const now = this.clock.monotonicMs();
    for (const [word, untilMs] of this.left) if (untilMs <= now) this.left.delete(word);
    this.left.set(entityKey(entity), now + LEFT_MS);
    const what = `${lack} of entity type "${entity.type}"`;
    // guards: admission.leave
    if (this.reported.has(what) || this.reported.size >= MAX_REPORTED) return;
    this.reported.add(what);
    const isLast = this.reported.size === MAX_REPORTED;
    this.log.warn(
      `No ${what}; it is left for pods that have one, holds up its entity meanwhile, and fails after ${graceMs} ms (unknownJobGraceMs).${remedy}${isLast ? ' What else this pod lacks is not logged.' : ''}`,
    );
  }

  hasLeft(word: string): boolean {
    const untilMs = this.left.get(word);
    if (untilMs === undefined) return false;
    // guards: admission.hasLeft
    if (untilMs > this.clock.monotonicMs()) return true;
    this.left.delete(word);
    return false;
  }
}
