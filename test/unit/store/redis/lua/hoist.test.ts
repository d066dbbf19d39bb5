/** Which helpers are moved out of a body, and which body stays in one piece. */
import { hoistDefinitions } from '../../../../../src/store/redis/lua/hoist.js';

const body = (...lines: string[]) => lines.join('\n');

test('helpers are moved before the body, from any place in it, and share redis.call', () => {
  const { definitions, rest } = hoistDefinitions(
    body(
      '--[[ what it does',
      '  KEYS[1] wait',
      ']]',
      'local rcall = redis.call',
      'local key = KEYS[1]',
      'local function one(key) return rcall("GET", key) end',
      'local two = function(a,',
      '    b)',
      '  for i = 1, b do one(a .. i) end -- key',
      'end',
      'return two(key, ARGV[1])',
    ),
  );
  expect(definitions.split('\n')).toEqual([
    'local rcall = redis.call',
    'local function one(key) return rcall("GET", key) end',
    'local two = function(a,',
    '    b)',
    '  for i = 1, b do one(a .. i) end',
    'end',
  ]);
  expect(rest.split('\n').filter(line => line)).toEqual([
    'local rcall = redis.call',
    'local key = KEYS[1]',
    'return two(key, ARGV[1])',
  ]);
});

test.each([
  ['a variable of the body', body('local key = KEYS[1]', 'local function f() return key end', 'return f()')],
  ['a variable declared without a value', body('local a, key', 'local function f() return key end', 'return f()')],
  ['KEYS', body('local function f() return KEYS[1] end', 'return f()')],
  ['ARGV', body('local function f()', '  return #ARGV', 'end', 'return f()')],
  ['a misplaced end', body('local function f()', '  return 1', '  end', 'return f()', 'end')],
])('a body whose helper means %s stays in one piece', (_, text) => {
  expect(hoistDefinitions(text)).toEqual({ definitions: '', rest: text });
});

test('a field or a string of the same name is not a variable of the body', () => {
  const { rest } = hoistDefinitions(
    body('local key = KEYS[1]', "local function f(o) return o.key .. 'key' end", 'return f(key)'),
  );
  expect(rest).not.toContain('function');
});
