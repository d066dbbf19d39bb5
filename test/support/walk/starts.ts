/**
 * Starts and ends of handlers against the invariants: at most one handler of an entity that is not fenced off, in the
 * order of the queue, within a lease that the pod knows to be valid.
 */
import type { Moment } from '../../../src/core/run/lease.js';
import { type End, type EntityChecker, isKept, type Violate } from './entity-checker.js';
import type { Snapshot } from './snapshot.js';

/** A handler that is running. */
export interface Running {
  readonly podId: string;
  readonly word: string;
  readonly n: number;
  readonly token: number;
}

/** The newest grant of a claim whose response has reached its pod, by the time of the request. */
export interface Grant {
  readonly token: number;
  readonly sentAt: Moment;
}

export interface Start extends Running {
  readonly attempt: number;
  /** How many attempts have failed, as the pod is told. */
  readonly made: number;
  /** Whether the pod is shutting down. */
  readonly isDraining: boolean;
  readonly grant: Grant | undefined;
  /** By the clocks of the pod. */
  readonly now: Moment;
  /** The true state in the store, and its time. */
  readonly seen: Snapshot;
  readonly serverNowMs: number;
  /** Handlers of the entity that are running, on any pod. */
  readonly beside: readonly Running[];
}

export function checkStart(checker: EntityChecker, start: Start, leaseMs: number, violate: Violate): void {
  const { podId, word, n, token, grant, now, beside } = start;
  const what = `${podId} starts job ${n} of ${word} under token ${token}`;
  const stint = checker.stints.get(token);
  if (stint?.podId !== podId) {
    violate(`I4: ${what}, which it was never given`);
    return;
  }
  if (start.isDraining) violate(`${what} while it shuts down`);
  if (stint.started.has(n) || stint.ended.has(n)) violate(`race 28: ${what} for the second time`);
  stint.started.add(n);
  if (grant?.token !== token) violate(`I2: ${what} without an answer that grants it`);
  else {
    const ageMs = Math.max(now.monotonicMs - grant.sentAt.monotonicMs, now.wallMs - grant.sentAt.wallMs);
    if (ageMs >= leaseMs) violate(`I2: ${what} ${ageMs} ms after its lease was granted`);
  }
  for (const other of beside) {
    if (other.podId === podId) violate(`I1: ${what} beside its own handler of job ${other.n}`);
    else if (other.token >= token && !stint.isCut)
      violate(`I1: ${what} beside job ${other.n} on ${other.podId} under token ${other.token}`);
  }
  for (const open of checker.openBefore(n)) {
    if (!stint.ended.has(open)) violate(`I6: ${what} before job ${open}`);
  }
  const tries = checker.triesOf(n);
  if (!stint.isCut && (start.made < tries.recorded || start.made > tries.ended))
    violate(`${what} after ${start.made} tries; ended ${tries.ended}, recorded ${tries.recorded}`);
  if (!stint.isCut) checkTruth(checker, start, what, violate);
}

/** The pod is right about its claim. It may be wrong only if an operator has deleted the claim. */
function checkTruth(
  checker: EntityChecker,
  { podId, n, token, seen, serverNowMs }: Start,
  what: string,
  violate: Violate,
) {
  const { owner } = seen;
  if (owner?.podId !== podId || seen.token !== token)
    violate(`I1: ${what}; the owner is ${owner?.podId} under ${seen.token}`);
  else if (owner.untilMs <= serverNowMs) violate(`I2: ${what} when its lease has passed`);
  if (checker.recorded.has(n)) violate(`I5: ${what}, which has ended`);
  else if (!seen.active.includes(n)) violate(`I3: ${what}, which it has not fetched`);
}

/** A pod ends a job: it is about to tell the store. */
export function checkEnd(
  checker: EntityChecker,
  { podId, word, n, token }: Running,
  { kind, made, attempts }: Omit<End, 'n'> & { readonly attempts: number },
  running: readonly Running[],
  maxStalled: number,
  violate: Violate,
): void {
  const what = `${podId} ends job ${n} of ${word}`;
  const stint = checker.stints.get(token);
  if (!stint) {
    violate(`I4: ${what} under token ${token}, which nobody was given`);
    return;
  }
  if (running.some(other => other.podId === podId && other.n === n)) violate(`${what} while its handler runs`);
  const isAbandoned = !stint.started.has(n);
  const mayFail = checker.skipped.has(n) || (checker.stalls.get(n) ?? 0) > maxStalled;
  const isForGood = kind === 'failed' || kind === 'blocked';
  if (isAbandoned && !(mayFail && isForGood))
    violate(`race 7: ${what} as ${kind}, without having run it; it stalled ${checker.stalls.get(n) ?? 0} times`);
  const hasTriesLeft = made + 1 < attempts;
  if (isForGood && !isAbandoned && hasTriesLeft) violate(`${what} as failed after ${made} of ${attempts} tries`);
  if (kind === 'retrying' && !hasTriesLeft) violate(`${what} to be tried again after ${made} of ${attempts} tries`);
  if (!isKept(kind)) stint.ended.set(n, kind);
  else {
    stint.started.delete(n);
    checker.triesOf(n).ended++;
  }
}
