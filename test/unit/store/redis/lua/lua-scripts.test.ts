/** Constants of our Lua, and the limit of Lua's local variables. */

import { inlineConstants } from '../../../../../scripts/lua/constants.mjs';
import { countLimited } from '../../../../../scripts/lua/limits.mjs';
import { lint } from '../../../../../scripts/lua/lint.mjs';
import { composeSections } from '../../../../../scripts/lua/sections.mjs';
import { composeScripts, readSources } from '../../../../../scripts/lua/sources.mjs';
import { encodersInTypeScript, parametersOf, positionsInLua } from '../../../../../scripts/lua/wire.mjs';
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

test('local variables count while they are visible, and upvalues in each function on their way', () => {
  expect(countLimited('local a, b = 1\nlocal function c() end\ndo local d end\nlocal e')).toEqual({
    locals: 4,
    upvalues: 0,
  });
  // A loop has three of its own.
  expect(countLimited('local a\nfor k, v in pairs(a) do local x end')).toEqual({ locals: 7, upvalues: 0 });
  const nested = 'local a, b\nlocal function f(x) return function() return a + b + x end end';
  expect(countLimited(nested)).toEqual({ locals: 3, upvalues: 3 });
});

test('the dispatcher with the bodies of the installed BullMQ has room below the limits of Lua', async () => {
  const { scripts } = await Bull.load('aq:pod');
  const { locals, upvalues } = countLimited(composeDispatcher(scripts));
  expect(locals).toBeLessThanOrEqual(180);
  expect(upvalues).toBeLessThanOrEqual(58);
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
  [
    'an op with other parameters than the table of calls',
    'due',
    'function OPS.due(T, limit, from) return T, limit, from end',
    '"due" must have the parameters of wire.mjs: T, from, limit',
  ],
  ['an op that the table does not have', 'due', 'function OPS.planted() end', 'wire.mjs has no call "planted"'],
  [
    'a name that two files of one function have',
    'spawn',
    'local function pendingOf(x) return x end\npendingOf(1)',
    '"pendingOf" is a name of spawn.lua, too',
  ],
  ['a syntax error', 'spawn', 'local function', 'expected near'],
])('the linter finds %s', (_, file, planted, fault) => {
  const faults = lint(sourcesWith({ [file]: text => `${text}\n${planted}\n` }));
  expect(faults.join('\n')).toContain(fault);
});

test('a file that is missing, included in a circle, or in no script is refused', () => {
  expect(() => composeScripts(sourcesWith({ 'claim-record': text => `${text}--- include nothing\n` }))).toThrow(
    'nothing.lua does not exist; claim-record.lua includes it',
  );
  expect(() => composeScripts(sourcesWith({ suspicion: text => `${text}--- include renewal\n` }))).toThrow(
    'suspicion.lua includes renewal.lua includes suspicion.lua: a circle',
  );
  expect(() => composeScripts(sourcesWith({ stray: () => 'local x = 1\n' }))).toThrow(
    'stray.lua: no script includes it',
  );
});

describe('the table of calls', () => {
  const wire = {
    fields: { B: 'string', jobId: 'string', n: 'number', value: "'a' | 'b'" },
    records: { END: 'jobId value', SENT: 'n END' },
    calls: { one: 'B END', many: 'B SENT*', ids: 'jobId*' },
  };

  test('the table of calls gives each op its parameters', () => {
    expect([...parametersOf(wire)]).toEqual([
      ['one', ['B', 'jobId', 'value']],
      ['many', ['B', '...']],
      ['ids', ['...']],
    ]);
  });

  test('the table of calls gives Lua the size of a record and the offsets of its parts', () => {
    expect(positionsInLua(wire)).toBe(
      'local END_SIZE, END_JOB_ID, END_VALUE = 2, 0, 1\nlocal SENT_SIZE, SENT_N, SENT_END = 3, 0, 1\n',
    );
  });

  test('the table of calls gives TypeScript interfaces and encoders', () => {
    const module = encodersInTypeScript(wire);
    expect(module).toContain("export interface WireEnd {\n  readonly jobId: string;\n  readonly value: 'a' | 'b';\n}");
    expect(module).toContain('export interface WireSent extends WireEnd {\n  readonly n: number;\n}');
    expect(module).toContain(
      'one: (call: { readonly base: string }, end: WireEnd): readonly Argument[] => [call.base, end.jobId, end.value],',
    );
    expect(module).toContain(
      'many: (call: { readonly base: string }, sents: readonly WireSent[]): readonly Argument[] => ' +
        '[call.base, ...sents.flatMap((one): Argument[] => [one.n, one.jobId, one.value])],',
    );
    expect(module).toContain('ids: (jobIds: readonly string[]): readonly Argument[] => jobIds,');
  });

  test('a word that is no field, and a repetition before the end, are refused by name', () => {
    expect(() => parametersOf({ ...wire, calls: { one: 'B size' } })).toThrow('"size" is no field and no record');
    expect(() => parametersOf({ ...wire, calls: { one: 'END* B' } })).toThrow('"END* B" repeats before its end');
  });
});
