/** Checks the invariants against the records of pods. */
import type { Run } from './processes.js';

/** The violations in a record. If the invariants hold, every list but `fencedZombies` is empty. */
export interface Verdict {
  /** Two runs of an entity at once, and the fence does not tell the older one. */
  readonly overlaps: string[];
  /** A run that was still going on when a successor with a newer token started. It cannot be prevented; a fence refuses its writes. */
  readonly fencedZombies: string[];
  readonly disorder: string[];
  readonly missing: string[];
  /** Runs of a job that had already ended, although no fault had kept that end from Redis. */
  readonly wrongReruns: string[];
  /** Starts under a token that is older than one seen before. */
  readonly fallingTokens: string[];
  readonly reruns: number;
  readonly longestSilenceMs: number;
  readonly pods: string[];
}

export const CLEAN = { overlaps: [], disorder: [], missing: [], wrongReruns: [], fallingTokens: [] };

/** From when until when a fault was on, by the clock that pods record with. */
export interface FaultWindow {
  readonly from: bigint;
  readonly to: bigint;
}

export interface Circumstances {
  /** Adds with an unknown outcome, as `entityId#n`: they may be missing, and their place is not known. */
  readonly unsure?: ReadonlySet<string>;
  /** While one was on, ends may not have reached Redis. */
  readonly windows?: readonly FaultWindow[];
}

/** An end that is this young when its pod is killed, or cut off, may not have reached Redis yet. */
const IN_FLIGHT_NS = 100_000_000n;

export function judge(
  runs: readonly Run[],
  deaths: ReadonlyMap<string, bigint>,
  expected: ReadonlyMap<string, number>,
  { unsure = new Set(), windows = [] }: Circumstances = {},
): Verdict {
  const overlaps: string[] = [];
  const fencedZombies = new Set<string>();
  const disorder: string[] = [];
  const missing: string[] = [];
  const wrongReruns: string[] = [];
  const fallingTokens: string[] = [];
  let reruns = 0;
  let longest = 0n;
  const endOf = (run: Run) => run.end ?? deaths.get(run.pod);
  const mayRunAgain = (earlier: Run, again: Run): boolean => {
    const end = endOf(earlier);
    const death = deaths.get(earlier.pod);
    if (end === undefined) return earlier.token < again.token;
    if (death !== undefined && (earlier.end === undefined || earlier.end >= death - IN_FLIGHT_NS)) return true;
    if (earlier.token < again.token && end > again.start) return true;
    return windows.some(({ from, to }) => end >= from - IN_FLIGHT_NS && earlier.start <= to + IN_FLIGHT_NS);
  };
  for (const [entityId, count] of expected) {
    const last = new Map<number, Run>();
    const seen: number[] = [];
    let going: Run[] = [];
    let before: Run | undefined;
    let newest = 0n;
    for (const run of runs.filter(each => each.entityId === entityId)) {
      const name = `${entityId}#${run.n} on ${run.pod}`;
      going = going.filter(other => (endOf(other) ?? run.start + 1n) > run.start);
      for (const other of going) {
        if (other.token < run.token) fencedZombies.add(`${entityId}#${other.n} on ${other.pod}`);
        else overlaps.push(`${name} beside #${other.n} on ${other.pod}`);
      }
      going.push(run);
      if (run.token < newest) fallingTokens.push(name);
      else newest = run.token;
      if (before && run.start - before.start > longest) longest = run.start - before.start;
      before = run;
      const earlier = last.get(run.n);
      if (earlier) {
        reruns++;
        if (!mayRunAgain(earlier, run)) wrongReruns.push(name);
      } else seen.push(run.n);
      last.set(run.n, run);
    }
    const isSure = (n: number) => !unsure.has(`${entityId}#${n}`);
    const inOrder = Array.from({ length: count }, (_, n) => n).filter(n => last.has(n) && isSure(n));
    const lastStarts = [...last.values()].sort((x, y) => (x.start < y.start ? -1 : 1)).map(({ n }) => n);
    for (const [what, starts] of Object.entries({ first: seen, last: lastStarts })) {
      const known = starts.filter(isSure);
      const wrong = known.findIndex((n, at) => n !== inOrder[at]);
      if (wrong >= 0) disorder.push(`${entityId}: ${what} starts …${known.slice(Math.max(0, wrong - 5), wrong + 20)}`);
    }
    for (let n = 0; n < count; n++) if (isSure(n) && !last.get(n)?.end) missing.push(`${entityId}#${n}`);
  }
  return {
    overlaps,
    fencedZombies: [...fencedZombies],
    disorder,
    missing,
    wrongReruns,
    fallingTokens,
    reruns,
    longestSilenceMs: Math.round(Number(longest) / 1e6),
    pods: [...new Set(runs.map(({ pod }) => pod))].sort(),
  };
}

/** Whether every entity has started a job since. */
export function allWorkedSince(runs: readonly Run[], at: bigint, entities: readonly string[]): boolean {
  const worked = new Set(runs.flatMap(run => (run.start >= at ? [run.entityId] : [])));
  return entities.every(entityId => worked.has(entityId));
}

/** From a moment on, the longest time in which an entity started nothing and then did. */
export function longestSilence(runs: readonly Run[], at: bigint, entities: readonly string[]): number {
  let longest = 0n;
  for (const entityId of entities) {
    let before = at;
    for (const run of runs) {
      if (run.entityId !== entityId || run.start < at) continue;
      if (run.start - before > longest) longest = run.start - before;
      before = run.start;
    }
  }
  return Math.round(Number(longest) / 1e6);
}
