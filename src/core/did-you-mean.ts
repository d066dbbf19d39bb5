/**
 * The name that a misspelt one was probably meant to be. Owns how near two names are. Neighbours: `option-checks.ts`, `job-data.ts` and
 * `schedule.ts` ask about options.
 */
import { quoted } from './error-text.js';

/** A longer name is none that was misspelt; the time to compare grows with the square. */
const MAX_LENGTH = 64;

/** A sentence to end a message with: ` Did you mean "x"?`, or nothing if no known name is near. */
export function didYouMean(name: string, known: readonly string[], word: (near: string) => string = quoted): string {
  const near = nearest(name, known);
  return near === undefined ? '' : ` Did you mean ${word(near)}?`;
}

function nearest(name: string, known: readonly string[]): string | undefined {
  if (name.length > MAX_LENGTH) return undefined;
  // Two letters of five: also two that changed places.
  let least = Math.ceil(name.length * 0.4) + 1;
  let found: string | undefined;
  for (const candidate of known) {
    const edits = distance(name.toLowerCase(), candidate.toLowerCase());
    if (edits >= least) continue;
    least = edits;
    found = candidate;
  }
  return found;
}

/** How many letters must be put in, taken out or replaced (Levenshtein). */
function distance(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const present = [row];
    for (let column = 1; column <= b.length; column++) {
      const replaced = (above[column - 1] as number) + (a[row - 1] === b[column - 1] ? 0 : 1);
      present.push(Math.min(replaced, (above[column] as number) + 1, (present[column - 1] as number) + 1));
    }
    above = present;
  }
  return above[b.length] as number;
}
