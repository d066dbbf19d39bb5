/** Constants of our Lua, and the bound that they are kept away from. */
import { Bull } from '../../src/store/redis/bullmq.js';
import { inlineConstants } from '../../src/store/redis/scripts/constants.js';
import { composeDispatcher } from '../../src/store/redis/scripts/dispatcher.js';
import { composeSections, countLocals } from '../../src/store/redis/scripts/sections.js';

test('constants are written where their names stand, and their definitions go', () => {
  const lua = [
    'local PAGE = 100',
    'local FIRST, LAST = 1, 2.5',
    "local function f(a) return a[FIRST] + LAST * PAGE, 'PAGE' end",
  ];
  expect(inlineConstants(lua.join('\n')).trim()).toBe("local function f(a) return a[1] + 2.5 * 100, 'PAGE' end");
});

test('what is computed, a field, and a longer name are no constants', () => {
  const lua = ['local PAGE = 100', 'local SIZE = PAGE * 2', 'local PAGES = {}', 'return T.PAGE, PAGES, SIZE'];
  expect(inlineConstants(lua.join('\n')).trim()).toBe(
    'local SIZE = 100 * 2\nlocal PAGES = {}\nreturn T.PAGE, PAGES, SIZE',
  );
});

test('what other files use of a file is declared before it; all else is its own', () => {
  const one = [
    'local a, b = 1, 2',
    'local c',
    'local t = {x = 1}',
    'local function f() return a end',
    'local function own() return f() end',
  ].join('\n');
  const two = 'function c() return f() end\nlocal own = b';
  expect(composeSections([one, two], 'return t').split('\n')).toEqual([
    'local a, b, c, t, f, own',
    'do local function section()',
    'a, b = 1, 2',
    '',
    't = {x = 1}',
    'function f() return a end',
    'function own() return f() end',
    'end section() end',
    'local own',
    'do local function section()',
    'function c() return f() end',
    'own = b',
    'end section() end',
  ]);
  expect(composeSections(['local x = 1\nlocal function y() return x end'], 'return 1')).toBe(
    'do local function section()\nlocal x = 1\nlocal function y() return x end\nend section() end',
  );
  expect(countLocals(composeSections([one, two], 'local z = t'))).toBe(7);
});

test('the dispatcher has room for more functions than Lua’s 200 local variables allow now', async () => {
  const { scripts } = await Bull.load('aq:pod');
  expect(countLocals('local a, b = 1\nlocal function c() end\nlocal d\n  local e')).toBe(4);
  // BullMQ's bodies are functions of their own.
  expect(countLocals(composeDispatcher({ ...scripts, bodies: {} }))).toBeLessThanOrEqual(190);
});
