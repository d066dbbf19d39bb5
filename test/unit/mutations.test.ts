/** The guards that `npm run test:mutations` takes out: found here as soon as their text changes, and not only when that is run. */
import { readFileSync } from 'node:fs';
import { loadGuards, outdatedAmong } from '../../scripts/mutation-guards.mjs';

test('the text of each guard occurs exactly once in its file, and its tests exist', async () => {
  const guards = await loadGuards();
  expect(guards.length).toBeGreaterThan(400);
  expect(outdatedAmong(guards).map(({ guard }) => guard)).toEqual([]);
  for (const path of new Set(guards.flatMap(({ tests }) => tests))) readFileSync(path);
  const names = guards.map(({ guard }) => guard);
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
});
