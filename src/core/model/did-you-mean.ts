/**
 * The known name that a misspelt one was probably meant to be. Owns how near two names are.
 * Neighbours: `checks.ts`, `job-options.ts` and `schedule-checks.ts` ask about options, `handler-table.ts` about handlers, `nest/start/boot-report.ts`
 * about entity types.
 */
import { quoted } from './error-text.js';

/** A longer name was made by a program, not misspelt; the time to compare grows with the square. */
const MAX_LENGTH = 64;

/** A sentence to end a message with: ` Did you mean "x"?`, or nothing if no known name is near. */
export function didYouMean(name: string, known: Iterable<string>, word: (near: string) => string = quoted): string {
  const near = closest(name, known);
  return near === undefined ? '' : ` Did you mean ${word(near)}?`;
}

/** The known name that differs least, if that is by a third of the letters at most. Capitals do not count. */
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

/** How many letters must be added, removed, replaced, or swapped with the next one (optimal string alignment). */
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
