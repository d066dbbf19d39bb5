/**
 * The known name that is nearest to a misspelt one. Owns: the distance between two names.
 * Neighbours: `checks.ts`, `job-options.ts` and `schedule-checks.ts` use it for options, `handler-table.ts` for handlers,
 * `nest/start/boot-report.ts` for entity types.
 */
import { quoted } from './error-text.js';

/** Longest name that is compared, since the time grows with its square. Longer names come from programs. */
const MAX_LENGTH = 64;

/** The last sentence of a message: ` Did you mean "x"?`, or nothing if no known name is near. */
export function didYouMean(name: string, known: Iterable<string>, word: (near: string) => string = quoted): string {
  const near = closest(name, known);
  return near === undefined ? '' : ` Did you mean ${word(near)}?`;
}

/** The known name that differs least, by at most a third of the letters. Case does not count. */
export function closest(name: string, known: Iterable<string>): string | undefined {
  if (name.length > MAX_LENGTH) return undefined;
  let found: string | undefined;
  let least = Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    if (candidate === name || Math.abs(candidate.length - name.length) >= least) continue;
    const edits = distance(name.toLowerCase(), candidate.toLowerCase());
    if (edits < least) [found, least] = [candidate, edits];
  }
  return found;
}

/** Number of letters to add, remove, replace, or swap with the next one (optimal string alignment). */
function distance(one: string, other: string): number {
  let before: number[] = [];
  let row = Array.from({ length: other.length + 1 }, (_, column) => column);
  for (let i = 1; i <= one.length; i++) {
    const next = [i];
    for (let j = 1; j <= other.length; j++) {
      const isSame = one[i - 1] === other[j - 1];
      const isSwapped = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
      next[j] = Math.min(
        (next[j - 1] ?? 0) + 1,
        (row[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + (isSame ? 0 : 1),
        isSwapped ? (before[j - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
      );
    }
    [before, row] = [row, next];
  }
  return row[other.length] ?? 0;
}
