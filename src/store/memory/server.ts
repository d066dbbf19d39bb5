/**
 * The state that all memory stores of one "cluster" share: what Redis is to the Redis store.
 * Owns the data and the rules of claims; neighbour `memory-store.ts` is one pod's view of it.
 */
import { type EntityRef, entityKey, parseEntityKey } from '../../core/model/entity.js';
import type { ChildResult, JobOptions } from '../../core/model/job.js';
import type { Clock } from '../../core/ports/clock.js';
import type { DeadLetter } from '../../core/ports/operator.js';
import { SILENCE_OF_LEASE } from '../../core/run/lease.js';
import { expireEnded } from './retention.js';
import type { Mailbox, Recall, StoredEntity, StoredJob, StoredSchedule } from './state.js';

const STALLED_TOO_OFTEN = 'job stalled more than allowable limit';

/** When an entity is due that waits for the end of a pause of its type. */
const PARKED_MS = Number.MAX_SAFE_INTEGER;

export class MemoryServer {
  readonly entities = new Map<string, StoredEntity>();
  /** When to look at an entity that is not drained, in ms, by its word. */
  readonly due = new Map<string, number>();
  readonly wakeUps = new Map<string, { words: Set<string>; notify: (() => void) | undefined }>();
  readonly mailboxes = new Map<string, Mailbox>();
  /** Entities for which a worker is asked, by their words. */
  readonly requests = new Set<string>();
  /** When each pod last said that it serves a type, and how many entities it works, by type. */
  readonly pods = new Map<string, Map<string, { readonly seenAtMs: number; readonly workers: number }>>();
  /** What pods say of the types that they work, and until when it holds, by type. */
  readonly hosts = new Map<string, Map<string, number>>();
  /** Until when each pod counts as heard: claims that rest live as long. */
  readonly alive = new Map<string, number>();
  /** Since when the last silence of all pods ended, and when the next one begins. */
  heard: { readonly sinceMs: number; readonly untilMs: number } | undefined;
  readonly pausedTypes = new Set<string>();
  /** By type, the oldest first. */
  readonly letters = new Map<string, DeadLetter[]>();
  private readonly deduplications = new Map<string, { readonly jobId: string; readonly untilMs: number }>();
  discoveredAtMs = Number.NEGATIVE_INFINITY;
  private ids = 0;
  private lastToken = 0;

  constructor(
    readonly clock: Clock,
    readonly leaseMs: number,
  ) {}

  nextId(): string {
    return String(++this.ids);
  }

  mailbox(podId: string): Mailbox {
    const mailbox = this.mailboxes.get(podId) ?? { entries: [], notify: undefined };
    this.mailboxes.set(podId, mailbox);
    return mailbox;
  }

  /** One series for all entities: it grows for each of them, and need not be remembered for each (I4, I8). */
  private nextToken(): number {
    this.lastToken = Math.max(this.lastToken + 1, Math.floor(this.clock.wallMs() * 1000));
    return this.lastToken;
  }

  now(): number {
    return this.clock.monotonicMs();
  }

  /** The id of the job that is known under that deduplication, of which nothing else may be left. */
  deduplicated(ref: EntityRef, options: JobOptions): string | undefined {
    if (options['deduplication'] === undefined) return undefined;
    const known = this.deduplications.get(keyOf(ref, options));
    return known && known.untilMs > this.now() ? known.jobId : undefined;
  }

  remember(ref: EntityRef, options: JobOptions, jobId: string): void {
    const { id, ttl, extend } = (options['deduplication'] ?? {}) as { id?: string; ttl?: number; extend?: boolean };
    if (id === undefined) return;
    const before = this.deduplications.get(keyOf(ref, options));
    const isKept = before !== undefined && before.untilMs > this.now() && ttl !== undefined && !extend;
    const newMs = ttl === undefined ? Number.POSITIVE_INFINITY : this.now() + ttl;
    const untilMs = isKept ? before.untilMs : newMs;
    this.deduplications.set(keyOf(ref, options), { jobId, untilMs });
    for (const [key, { untilMs }] of this.deduplications) if (untilMs <= this.now()) this.deduplications.delete(key);
  }

  /** A job has ended: where its deduplication has no time of its own, it ends with it. */
  forgetDeduplication(ref: EntityRef, options: JobOptions): void {
    const key = keyOf(ref, options);
    if (this.deduplications.get(key)?.untilMs === Number.POSITIVE_INFINITY) this.deduplications.delete(key);
  }

  find(ref: EntityRef): StoredEntity | undefined {
    return this.entities.get(entityKey(ref));
  }

  /** The entity; a new one if there is none. */
  entity(ref: EntityRef): StoredEntity {
    const word = entityKey(ref);
    let entity = this.entities.get(word);
    if (!entity) {
      const schedules = new Map<string, StoredSchedule>();
      const jobs = { wait: [], active: [], delayed: [], failed: [], completed: [], parents: [] };
      entity = { ref, schedules, ...jobs, paused: false, token: 0 };
      this.entities.set(word, entity);
    }
    return entity;
  }

  isOwnedByOther(entity: StoredEntity, podId: string): boolean {
    const owner = this.liveOwner(entity);
    return owner !== undefined && owner.podId !== podId;
  }

  liveOwner(entity: StoredEntity): StoredEntity['owner'] {
    return this.liveUntil(entity) === undefined ? undefined : entity.owner;
  }

  /** Until when a claim holds if its owner is not heard any more. */
  liveUntil({ owner }: StoredEntity): number | undefined {
    if (!owner) return undefined;
    const isHeard = !owner.rests || (this.alive.get(owner.podId) ?? 0) > this.now();
    if (owner.untilMs > this.now() && isHeard) return owner.untilMs;
    const graceUntilMs = this.heardSince() + this.leaseMs;
    // guards: server.liveUntil
    return graceUntilMs > this.now() ? graceUntilMs : undefined;
  }

  /** When the last silence of all pods ended; now, if it lasts. For a lease from then on no claim lapses. */
  private heardSince(): number {
    const now = this.now();
    return this.heard && this.heard.untilMs > now ? Math.min(this.heard.sinceMs, now) : now;
  }

  /** A pod renews its claims. @returns whether it was heard within a lease before. */
  hear(podId: string): boolean {
    const now = this.now();
    const wasHeard = (this.alive.get(podId) ?? 0) > now;
    this.alive.set(podId, now + this.leaseMs);
    this.heard = { sinceMs: this.heardSince(), untilMs: now + this.leaseMs * SILENCE_OF_LEASE };
    return wasHeard;
  }

  /** A pod is heard that has lost an entity: it was not killed by the job that is suspected of it. */
  clearSuspicion(entity: StoredEntity, podId: string): void {
    const { suspect } = entity;
    // guards: server.clearSuspicion
    if (!suspect?.pods.includes(podId)) return;
    entity.suspect = { ...suspect, pods: suspect.pods.filter(id => id !== podId) };
    const job = [...entity.wait, ...entity.active].find(({ id }) => id === suspect.jobId);
    if (!job || job.stalled < 1) return;
    job.stalled--;
    if (job.mustFail === STALLED_TOO_OFTEN) job.mustFail = undefined;
  }

  /** The owner has something to do: a claim that rested lasts a lease from now on. @returns whether it did. */
  reactivate(entity: StoredEntity): boolean {
    const { owner } = entity;
    if (!owner?.rests) return false;
    owner.rests = false;
    owner.untilMs = this.now() + this.leaseMs;
    this.due.set(entityKey(entity.ref), owner.untilMs);
    return true;
  }

  /** Whether its owner waits for more jobs than it has fetched. */
  isGathering({ owner, active }: StoredEntity): boolean {
    const { upTo = 0, untilMs = 0 } = owner?.gathering ?? {};
    return active.length < upTo && this.now() < untilMs;
  }

  isPaused({ paused, ref }: StoredEntity): boolean {
    return paused || this.pausedTypes.has(ref.type);
  }

  /** Whether only a person can give an entity with work something to do: it is paused, or blocked. */
  isParked(entity: StoredEntity): boolean {
    return this.isPaused(entity) || (entity.active.length === 0 && this.blockerOf(entity) !== undefined);
  }

  /** Nobody looks at it until that person has (race 16). The end of the pause of a type enters all that have this time. */
  park({ ref, paused }: StoredEntity): void {
    if (this.pausedTypes.has(ref.type) && !paused) this.due.set(entityKey(ref), PARKED_MS);
    else this.due.delete(entityKey(ref));
  }

  promote(entity: StoredEntity): void {
    const now = this.now();
    const ripe = entity.delayed.filter(({ atMs }) => atMs <= now).sort((a, b) => a.atMs - b.atMs);
    entity.wait.push(...ripe.map(({ job }) => job));
    entity.delayed = entity.delayed.filter(({ atMs }) => atMs > now);
  }

  hasWork(entity: StoredEntity): boolean {
    this.promote(entity);
    return entity.wait.length > 0 || entity.active.length > 0;
  }

  /** For how long the head of the queue waits for its next try. A hold of a job that is not the head any more is void. */
  heldForMs(entity: StoredEntity): number | undefined {
    const { hold } = entity;
    const [head] = entity.wait;
    if (!hold || hold.untilMs <= this.now()) return undefined;
    if (head?.id !== hold.jobId || head.attemptsMade !== hold.attemptsMade) return undefined;
    return hold.untilMs - this.now();
  }

  /** The job that has used up its tries and blocks the entity until a person decides: its hold has no end. */
  blockerOf(entity: StoredEntity): StoredJob | undefined {
    return this.heldForMs(entity) === Number.POSITIVE_INFINITY ? entity.wait[0] : undefined;
  }

  /** Whether a job that waits further back blocks the entity: somebody has put others before it. */
  isBlockedBehind({ hold, wait }: StoredEntity): boolean {
    return hold?.untilMs === Number.POSITIVE_INFINITY && wait.some(({ id }) => id === hold.jobId);
  }

  /** A drained entity leaves nothing (I8) but what a person has set, or is to see. */
  forget(entity: StoredEntity): void {
    const jobs = [entity.wait, entity.active, entity.delayed, entity.failed, entity.completed, entity.parents];
    if (jobs.some(({ length }) => length > 0) || entity.paused || entity.owner) return;
    this.entities.delete(entityKey(entity.ref));
  }

  /** Gives the claim to a pod; all that was fetched goes back in its order. Only a holder that knows its token keeps it. */
  grant(entity: StoredEntity, podId: string, epoch: number, maxStalled: number, keepsToken: boolean): number {
    const takeover = entity.owner?.podId !== podId;
    if (!keepsToken) entity.token = this.nextToken();
    // Nobody knows what of it had started; what a person has dropped does not start.
    // guards: server.grant
    if (entity.owner?.recall === 'drop') this.drop(entity, entity.active);
    const back = entity.active;
    this.giveBack(entity);
    if (takeover && back.length === 1 && back[0]) this.suspect(entity, back[0], maxStalled);
    entity.owner = { podId, epoch, untilMs: this.now() + this.leaseMs };
    this.due.set(entityKey(entity.ref), entity.owner.untilMs);
    return takeover ? back.length : 0;
  }

  private suspect(entity: StoredEntity, job: StoredJob, maxStalled: number): void {
    const pods = entity.suspect?.jobId === job.id ? entity.suspect.pods : [];
    if (entity.owner) entity.suspect = { jobId: job.id, pods: [...pods, entity.owner.podId] };
    job.stalled++;
    if (job.stalled > maxStalled) job.mustFail = STALLED_TOO_OFTEN;
  }

  giveBack(entity: StoredEntity): void {
    entity.wait.unshift(...entity.active);
    entity.active = [];
  }

  /** Fetching what has not started was no attempt. If a person has emptied the queue since, it is removed. */
  giveBackUnstarted(entity: StoredEntity, kept: readonly string[] = []): void {
    const stay = entity.active.filter(({ id }) => kept.includes(id));
    entity.active = entity.active.filter(({ id }) => !kept.includes(id));
    for (const job of entity.active) job.attempt--;
    this.refund(entity, entity.active);
    if (entity.owner?.recall === 'drop') this.drop(entity, entity.active);
    this.giveBack(entity);
    entity.active = stay;
  }

  /**
   * All that waits is dropped, and what the owner has fetched when it has told what of that had started: until then the answer is yes.
   * Where its lease has passed, all that it had fetched goes now.
   */
  isDropping(entity: StoredEntity): boolean {
    if (this.liveOwner(entity)) {
      this.recall(entity, 'drop');
      return entity.owner?.recall === 'drop' && entity.active.length > 0;
    }
    if (entity.active.length === 0) return false;
    this.drop(entity, entity.active);
    this.giveBack(entity);
    entity.owner = undefined;
    return false;
  }

  /** What has not started has used up no start of the rate of its type. */
  private refund({ spent }: StoredEntity, jobs: readonly StoredJob[]): void {
    if (!spent || spent.untilMs <= this.now()) return;
    spent.count -= jobs.filter(({ fetchedAtMs = 0, mustFail }) => !mustFail && fetchedAtMs >= spent.sinceMs).length;
  }

  /** Removes jobs of a queue, but the present ones of its schedules. */
  drop(entity: StoredEntity, jobs: readonly StoredJob[]): void {
    const isPresent = ({ id, scheduleId = '' }: StoredJob) =>
      id === `repeat:${scheduleId}:${entity.schedules.get(scheduleId)?.nextAtMs}`;
    this.remove(
      entity,
      jobs.filter(job => !isPresent(job)),
    );
  }

  /** Removes jobs of a queue, wherever in it they are. */
  remove(entity: StoredEntity, jobs: readonly StoredJob[]): void {
    const removed = new Set(jobs);
    for (const { options } of jobs)
      if (options['deduplication']) this.deduplications.delete(keyOf(entity.ref, options));
    entity.wait = entity.wait.filter(job => !removed.has(job));
    entity.delayed = entity.delayed.filter(({ job }) => !removed.has(job));
    entity.active = entity.active.filter(job => !removed.has(job));
    entity.parents = entity.parents.filter(job => !removed.has(job));
    for (const job of jobs) this.tellParent(job, { kind: 'failed', reason: 'it was removed' });
  }

  /** A job has ended for good, or is gone. A parent whose last child it was joins the end of its queue (I7, race 10). */
  tellParent({ id, parent }: StoredJob, outcome: ChildResult['outcome']): void {
    if (!parent?.job.children || parent.job.children.get(id) !== undefined) return;
    const { ref, job } = parent;
    const { children } = parent.job;
    children.set(id, outcome);
    const entity = this.find(ref);
    if (!entity?.parents.includes(job) || [...children.values()].includes(undefined)) return;
    entity.parents = entity.parents.filter(other => other !== job);
    this.failWithChild(job);
    this.put(entity, job);
    this.lookNow(entity);
  }

  /** It fails with the first child that it may not do without. */
  private failWithChild(job: StoredJob): void {
    for (const { jobId, name, type, id, failsParent } of job.envelope.children ?? []) {
      const result = job.children?.get(jobId);
      if (!failsParent || result?.kind !== 'failed') continue;
      job.mustFail = `Child ${jobId} ("${name}") of ${type} "${id}" failed: ${result.reason}`;
      job.hasFailedChild = true;
      return;
    }
  }

  /** A job takes its place: behind all that waits, or among those for later. */
  put(entity: StoredEntity, job: StoredJob): void {
    const delayMs = Number(job.options['delay'] ?? 0);
    if (delayMs > 0) {
      entity.delayed.push({ job, atMs: this.now() + delayMs });
      return;
    }
    const before = entity.wait.findIndex(other => rankOf(other) > rankOf(job));
    entity.wait.splice(before < 0 ? entity.wait.length : before, 0, job);
  }

  /** Sees to it that somebody looks at an entity that may have something to do from now on: another pod than this one, if it can. */
  lookNow(entity: StoredEntity, podId = ''): void {
    const liveUntil = this.liveUntil(entity);
    if (liveUntil !== undefined) {
      // While it was paused, it was due for nobody.
      this.lowerDue(entity, liveUntil);
      this.callOwner(entity);
      return;
    }
    if (!this.hasWork(entity)) {
      // Its lease has passed, and it may come back: only a look gives its claim up.
      // guards: server.lookNow
      if (entity.owner) this.lowerDue(entity, this.now());
      else this.settle(entity);
      this.forget(entity);
      return;
    }
    this.due.set(entityKey(entity.ref), this.now());
    if (!this.callAnother(podId, entity)) this.requestWorker(entity.ref);
  }

  /** Gives up the claim of an entity that has nothing to run now. It is due again when a job is, or when one that is kept is to go (I8). */
  settle(entity: StoredEntity): void {
    entity.owner = undefined;
    entity.hold = undefined;
    const expiresMs = expireEnded(entity, this.now()) ?? Number.POSITIVE_INFINITY;
    const next = Math.min(expiresMs, ...entity.delayed.map(({ atMs }) => atMs));
    if (Number.isFinite(next)) this.due.set(entityKey(entity.ref), next);
    else this.due.delete(entityKey(entity.ref));
  }

  lowerDue(entity: StoredEntity, atMs: number): void {
    const word = entityKey(entity.ref);
    this.due.set(word, Math.min(this.due.get(word) ?? Number.POSITIVE_INFINITY, atMs));
  }

  wake(podId: string, entity: StoredEntity): void {
    this.tell(podId, entityKey(entity.ref));
  }

  /**
   * Tells the owner of work. The word may be lost, and the owner dead, or without a worker: a claim that rests lasts no longer
   * than a lease from now on (I7).
   */
  callOwner(entity: StoredEntity): void {
    const { owner } = entity;
    if (!owner) return;
    this.wake(owner.podId, entity);
    if (!owner.rests) return;
    owner.untilMs = Math.min(owner.untilMs, this.now() + this.leaseMs);
    this.lowerDue(entity, owner.untilMs);
  }

  /**
   * A person has paused the queue, or emptied it: its owner is to give back what it has fetched. The word is the quick way; the mark tells
   * with the next end of a job, whatever becomes of the word. No word begins with `$`.
   */
  recall({ ref, owner, active }: StoredEntity, why: Recall): void {
    if (!owner || active.length === 0) return;
    owner.recall = owner.recall === 'drop' ? 'drop' : why;
    this.tell(owner.podId, `$${entityKey(ref)}`);
  }

  private tell(podId: string, word: string): void {
    let sleeper = this.wakeUps.get(podId);
    if (!sleeper) {
      sleeper = { words: new Set(), notify: undefined };
      this.wakeUps.set(podId, sleeper);
    }
    sleeper.words.add(word);
    sleeper.notify?.();
  }

  /** Calls another pod that has room for the type, for one entity the same each time. @returns whether there is one. */
  callAnother(podId: string, entity: StoredEntity): boolean {
    const others = this.livePods(entity.ref.type).flatMap(([other]) => (other === podId ? [] : [other]));
    const hash = [...entity.ref.id].reduce((sum, letter) => (31 * sum + letter.charCodeAt(0)) % 65_521, 7);
    const other = others[hash % others.length];
    if (other !== undefined) this.wake(other, entity);
    return other !== undefined;
  }

  requestWorker(ref: EntityRef): void {
    this.requests.add(entityKey(ref));
    for (const { notify } of this.wakeUps.values()) notify?.();
  }

  /** Takes the requests for workers of these types. */
  takeRequests(types: readonly string[]): EntityRef[] {
    const refs = [...this.requests].map(parseEntityKey).filter(({ type }) => types.includes(type));
    for (const ref of refs) this.requests.delete(entityKey(ref));
    return refs;
  }

  livePods(type: string) {
    const oldest = this.now() - this.leaseMs;
    return [...(this.pods.get(type) ?? [])].filter(([, { seenAtMs }]) => seenAtMs >= oldest);
  }
}

/** BullMQ's order: jobs without a priority, then those with one, the lowest first. */
function rankOf({ options }: StoredJob): number {
  return Number(options['priority'] ?? 0);
}

function keyOf(ref: EntityRef, { deduplication }: JobOptions): string {
  return `${entityKey(ref)} ${(deduplication as { id?: string } | undefined)?.id}`;
}
