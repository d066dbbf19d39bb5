// The guards in test/mutations, and the places that they name: a comment `// guards: name` in a source file, or `-- guards: name` in
// Lua. A guard's text stands behind the comment, before the next one, so that a file may move, and its other lines may change.
// Neighbours: `mutation-check.mjs` takes guards out; `test/unit/mutations.test.ts` checks their places.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const MARK = /^\s*(?:\/\/|--) guards: (\S+)$/gm;

/** All guards, each with the file that its place is in, and the paths of its tests. */
export async function loadGuards() {
  const files = fileByMark();
  const lists = readdirSync('test/mutations').filter(name => name.endsWith('.mjs'));
  const modules = await Promise.all(
    lists.map(async name => {
      const exported = await import(`../test/mutations/${name}`);
      return Object.values(exported)
        .flat()
        .map(guard => ({
          ...guard,
          file: files.get(guard.at),
          tests: guard.tests.map(test => `test/${test}.test.ts`),
          list: name.replace('.mjs', ''),
        }));
    }),
  );
  return modules.flat();
}

/** The file of each mark. @throws Error when a mark stands twice. */
export function fileByMark() {
  const files = new Map();
  for (const folder of ['src', 'scripts']) {
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !/\.(ts|cts|mjs|lua)$/.test(entry.name) || entry.name === 'generated.ts') continue;
      const file = join(entry.parentPath, entry.name);
      for (const [, mark] of readFileSync(file, 'utf8').matchAll(MARK)) {
        if (files.has(mark))
          throw new Error(`The mark "guards: ${mark}" stands twice: in ${files.get(mark)} and ${file}`);
        files.set(mark, file);
      }
    }
  }
  return files;
}

/** The text of the file without the guard; nothing if the guard's text does not occur exactly once behind its mark. */
export function without({ at, from, to }, text) {
  const marks = [...text.matchAll(MARK)];
  const position = marks.findIndex(([, mark]) => mark === at);
  if (position < 0) return undefined;
  const begin = marks[position].index + marks[position][0].length;
  const end = marks[position + 1]?.index ?? text.length;
  const place = text.slice(begin, end);
  if (place.split(from).length !== 2) return undefined;
  return text.slice(0, begin) + place.replace(from, () => to) + text.slice(end);
}

/** Guards without a place, or whose text does not occur exactly once there. */
export function outdatedAmong(guards) {
  return guards.filter(guard => !guard.file || without(guard, readFileSync(guard.file, 'utf8')) === undefined);
}
