/** The guards that `npm run test:mutations` takes out: a guard without its place is found here, and not only when that runs. */
import { readFileSync } from 'node:fs';
import { syntaxFaultOf } from '../../scripts/lua/lint.mjs';
import { fileByMark, loadGuards, outdatedAmong, without } from '../../scripts/mutation-guards.mjs';

test('the text of each guard occurs exactly once behind its mark, and its tests exist', async () => {
  const guards = await loadGuards();
  expect(guards.length).toBeGreaterThan(400);
  expect(outdatedAmong(guards).map(({ guard }) => guard)).toEqual([]);
  for (const path of new Set(guards.flatMap(({ tests }) => tests))) readFileSync(path);
  const names = guards.map(({ guard }) => guard);
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
});

test('a Lua file without one of its guards is still Lua', async () => {
  const inLua = (await loadGuards()).filter(({ file }) => file?.endsWith('.lua'));
  expect(inLua.length).toBeGreaterThan(200);
  const faults = inLua.flatMap(guard => {
    const fault = syntaxFaultOf(without(guard, readFileSync(String(guard.file), 'utf8')) ?? '');
    return fault === undefined ? [] : [`${guard.guard}: ${fault}`];
  });
  expect(faults).toEqual([]);
});

test('each mark in the source is the place of a guard', async () => {
  const places = new Set((await loadGuards()).map(({ at }) => at));
  expect([...fileByMark().keys()].filter(mark => !places.has(mark))).toEqual([]);
});

test('a guard is taken out behind its mark, before the next one, and only if its text occurs once there', () => {
  const text = [
    'if (a) return;',
    '// guards: one',
    'if (a) return;',
    '  -- guards: two',
    'if (a) return;',
    'if (a) return;',
  ];
  const guard = { at: 'one', from: 'if (a) return;', to: '' };
  expect(without(guard, text.join('\n'))?.split('\n')).toEqual(text.with(2, ''));
  expect(without({ ...guard, at: 'two' }, text.join('\n'))).toBeUndefined();
  expect(without({ ...guard, at: 'three' }, text.join('\n'))).toBeUndefined();
  expect(without({ ...guard, from: 'if (b) return;' }, text.join('\n'))).toBeUndefined();
});
