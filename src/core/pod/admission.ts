/**
 * Decides which entities this pod leaves to other pods: new ones beyond its share, and those that it has deferred.
 *
 * Owns: the share of this pod for each type, and which entities it has deferred recently.
 * Neighbours: `worker-manager.ts` asks this file before it creates a worker. `capacity.ts` decides which workers give way, and
 * `work/release.ts` defers an entity.
 */
import { type EntityRef, entityKey } from '../model/entity.js';
import type { TypeLoad } from '../ports/claims.js';
import type { Clock } from '../ports/clock.js';
import type { Log } from '../ports/log.js';

/** The share of a pod, as a multiple of the mean number of entities of the pods. */
const SHARE_OF_MEAN = 1.25;
/** Number of entities that a pod takes in any case: for so few, balance does not matter. */
const MIN_SHARE = 8;
/** How long a pod does not inspect an entity that it has deferred. Every other pod sweeps several times in that time. */
const DEFERRED_MS = 5000;

/** Maximum number of missing handlers and codecs that are remembered, and logged once each. */
const MAX_REPORTED = 256;

/** The load of the pods of a type at the last renewal, and the changes on this pod since then. */
interface Share extends TypeLoad {
  /** Number of entities that this pod worked at the last renewal. */
  readonly own: number;
  /** Number of unowned entities that this pod has left to others since. */
  sentAway: number;
}

export class Admission {
  private readonly shares = new Map<string, Share>();
  /** Until when each entity is deferred, by its key, the oldest first. */
  private readonly deferred = new Map<string, number>();
  /** The log lines so far. They are bounded, since any program that writes to a queue can invent names. */
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

  /** Whether this pod leaves new entities of the type to other pods. It still takes entities that have lost their owner (I7). */
  hasItsShare(type: string, own: number): boolean {
    const share = this.shares.get(type);
    if (!share || share.pods < 2) return false;
    const mean = (share.workers + share.sentAway + own - share.own) / share.pods;
    return own >= Math.max(MIN_SHARE, SHARE_OF_MEAN * mean);
  }

  /**
   * This pod has deferred the entity, since it lacks the handler or the codec of its next job. The first time, it logs that.
   * @param missing the handler or the codec, and the job.
   * @param graceMs `unknownJobGraceMs` of the type.
   * @param remedy advice, as sentences with a space before each.
   */
  defer(entity: EntityRef, missing: string, graceMs: number, remedy = ''): void {
    const now = this.clock.monotonicMs();
    for (const [key, untilMs] of this.deferred) if (untilMs <= now) this.deferred.delete(key);
    this.deferred.set(entityKey(entity), now + DEFERRED_MS);
    const what = `${missing} of entity type "${entity.type}"`;
    // guards: admission.defer
    if (this.reported.has(what) || this.reported.size >= MAX_REPORTED) return;
    this.reported.add(what);
    const isLast = this.reported.size === MAX_REPORTED;
    this.log.warn(
      `No ${what}. The job waits for a pod that has one, and its entity waits with it. After ${graceMs} ms (unknownJobGraceMs) the job fails.${remedy}${isLast ? ' Further missing handlers and codecs of this pod are not logged.' : ''}`,
    );
  }

  /** Whether this pod has deferred the entity and must not inspect it yet. @param key the entity's key. */
  isDeferred(key: string): boolean {
    const untilMs = this.deferred.get(key);
    if (untilMs === undefined) return false;
    // guards: admission.isDeferred
    if (untilMs > this.clock.monotonicMs()) return true;
    this.deferred.delete(key);
    return false;
  }
}
