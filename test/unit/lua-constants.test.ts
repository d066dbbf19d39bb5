/** Constants of our Lua, and the bound that they are kept away from. */
import { Bull } from '../../src/store/redis/bullmq.js';
import { countLocals, inlineConstants } from '../../src/store/redis/scripts/constants.js';
import { composeDispatcher } from '../../src/store/redis/scripts/dispatcher.js';

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

test('the dispatcher has room for more functions than Lua’s 200 local variables allow now', async () => {
  const { scripts } = await Bull.load('aq:pod');
  expect(countLocals('local a, b = 1\nlocal function c() end\nlocal d\n  local e')).toBe(4);
  // BullMQ's bodies are functions of their own.
  expect(countLocals(composeDispatcher({ ...scripts, bodies: {} }))).toBeLessThanOrEqual(190);
});
