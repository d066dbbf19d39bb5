/** The guards that `npm run test:mutations` takes out: found here as soon as their text changes, and not only when that is run. */
import { readdirSync, readFileSync } from 'node:fs';

interface Guard {
  readonly guard: string;
  readonly file: string;
  readonly from: string;
  readonly tests: readonly string[];
}

test('the text of each guard occurs exactly once in its file, and its tests exist', async () => {
  const lists = readdirSync('test/mutations').filter(name => name.endsWith('.mjs'));
  const modules: Record<string, Guard[]>[] = await Promise.all(lists.map(name => import(`../mutations/${name}`)));
  const guards = modules.flatMap(exported => Object.values(exported).flat());
  expect(guards.length).toBeGreaterThan(400);
  const outdated = guards.filter(({ file, from }) => readFileSync(file, 'utf8').split(from).length !== 2);
  expect(outdated.map(({ guard }) => guard)).toEqual([]);
  for (const path of new Set(guards.flatMap(({ tests }) => tests))) readFileSync(path);
  const names = guards.map(({ guard }) => guard);
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
});
