/** Constants of our Lua, and the limit of Lua's local variables. */

import { inlineConstants } from '../../../../../scripts/lua/constants.mjs';
import { lint } from '../../../../../scripts/lua/lint.mjs';
import { composeSections, countLocals } from '../../../../../scripts/lua/sections.mjs';
import { composeScripts, readSources } from '../../../../../scripts/lua/sources.mjs';
import { Bull } from '../../../../../src/store/redis/bullmq/encode.js';
import { composeDispatcher } from '../../../../../src/store/redis/lua/compose.js';
import { spellNumbers } from '../../../../../src/store/redis/lua/numbers.js';

test('constants replace their names, and their definitions are removed', () => {
  const lua = [
    'local PAGE = 100',
    'local FIRST, LAST = 1, 2.5',
    "local function f(a) return a[FIRST] + LAST * PAGE, 'PAGE' end",
  ];
  expect(inlineConstants(lua.join('\n')).trim()).toBe("local function f(a) return a[1] + 2.5 * 100, 'PAGE' end");
});

test('computed values, fields and longer names are not constants', () => {
  const lua = ['local PAGE = 100', 'local SIZE = PAGE * 2', 'local PAGES = {}', 'return T.PAGE, PAGES, SIZE'];
  expect(inlineConstants(lua.join('\n')).trim()).toBe(
    'local SIZE = 100 * 2\nlocal PAGES = {}\nreturn T.PAGE, PAGES, SIZE',
  );
});

test('the names of a file that other files use are declared before it, and all others are its own', () => {
  const one = [
    'local a, b = 1, 2',
    'local c',
    'local t = {x = 1}',
    'local function f() return a end',
    'local function own() return f() end',
  ].join('\n');
  const two = 'function c() return f() end\nlocal own = b';
  expect(composeSections({ always: [one, two], rare: [] }, 'return t').split('\n')).toEqual([
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
  expect(composeSections({ always: ['local x = 1\nlocal function y() return x end'], rare: [] }, 'return 1')).toBe(
    'do local function section()\nlocal x = 1\nlocal function y() return x end\nend section() end',
  );
  expect(countLocals(composeSections({ always: [one, two], rare: [] }, 'local z = t'))).toBe(7);
});

test('a rare file is made later, may use the others, and none of them uses it', () => {
  const one = 'local function f() return 1 end';
  const two = 'local x = f()\nlocal y = x';
  expect(
    composeSections({ always: [one], rare: [two, 'return x'] }, 'return 1')
      .split('\n')
      .slice(4),
  ).toEqual([
    'local x',
    'RARE[#RARE + 1] = function()',
    'x = f()',
    'local y = x',
    'end -- of a rare section',
    'RARE[#RARE + 1] = function()',
    'return x',
    'end -- of a rare section',
  ]);
  expect(countLocals(composeSections({ always: [one], rare: [two, 'return x'] }, ''))).toBe(2);
  expect(() => composeSections({ always: [one, 'return x'], rare: [two] }, '')).toThrow(/"x" is of a rare file/);
  expect(() => composeSections({ always: [one], rare: [two] }, 'return x')).toThrow(/"x" is of a rare file/);
  expect(() => composeSections({ always: ['local f'], rare: ['function f() return 1 end'] }, '')).toThrow(
    /"f" is declared/,
  );
});

test('numbers that are arguments of a command are written as strings, but not numbers in calculations', () => {
  const lua =
    'rcall("ZADD", key, 0, n - 1, f(a, 1), {2, 3}, "x, 5, y", -7)\nredis.call(\'A\', redis.call(\'B\', 8), 9)\nf(1, 2, 3)';
  expect(spellNumbers(lua)).toBe(
    "rcall(\"ZADD\", key, '0', n - 1, f(a, 1), {2, 3}, \"x, 5, y\", '-7')\nredis.call('A', redis.call('B', '8'), '9')\nf(1, 2, 3)",
  );
});

test('the dispatcher has room for more functions within Lua’s 200 local variables', async () => {
  const { scripts } = await Bull.load('aq:pod');
  expect(countLocals('local a, b = 1\nlocal function c() end\nlocal d\n  local e')).toBe(4);
  // BullMQ's bodies are functions of their own.
  expect(countLocals(composeDispatcher({ ...scripts, bodies: {} }))).toBeLessThanOrEqual(190);
});

/** The sources, with changes by file. */
function sourcesWith(changes: Record<string, (text: string) => string>): Map<string, string> {
  const sources = readSources();
  for (const [name, change] of Object.entries(changes)) sources.set(name, change(sources.get(name) ?? ''));
  return sources;
}

test('the Lua of the store has no faults, and neither script keeps its comments', () => {
  expect(lint(readSources())).toEqual([]);
  for (const script of Object.values(composeScripts(readSources()))) expect(script).not.toMatch(/^\s*--/m);
});

test.each([
  ['an undefined name', 'spawn', 'local function planted() return tenure() end\nplanted()', '"tenure" is not defined'],
  [
    'a name of a later file',
    'queue',
    'local function planted() return isLive() end\nplanted()',
    '"isLive" is not defined',
  ],
  ['an unused local', 'spawn', 'local function planted() local x = 1 return 2 end\nplanted()', '"x" is not used'],
  ['an unused function', 'spawn', 'local function planted() return 1 end', '"planted" is not used'],
  ['a name that hides another', 'spawn', 'local function planted(x) for x = 1, 2 do f(x) end end', '"x" hides another'],
  ['a syntax error', 'spawn', 'local function', 'expected near'],
])('the linter finds %s', (_, file, planted, fault) => {
  const faults = lint(sourcesWith({ [file]: text => `${text}\n${planted}\n` }));
  expect(faults.join('\n')).toMatch(new RegExp(`^${file}\\.lua.*${fault}`, 'm'));
});

test('a file that is missing, included in a circle, or in no script is refused', () => {
  expect(() => composeScripts(sourcesWith({ claim: text => `${text}--- include nothing\n` }))).toThrow(
    'nothing.lua does not exist; claim.lua includes it',
  );
  expect(() => composeScripts(sourcesWith({ suspect: text => `${text}--- include renewal\n` }))).toThrow(
    'suspect.lua includes renewal.lua includes suspect.lua: a circle',
  );
  expect(() => composeScripts(sourcesWith({ stray: () => 'local x = 1\n' }))).toThrow(
    'stray.lua: no script includes it',
  );
});
