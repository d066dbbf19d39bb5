// Guards of steps that are stopped half-way, and of texts and fields that would stop one; for `scripts/mutation-check.mjs`.
const HALF = ['test/integration/half-way.test.ts'];

const script = name => `src/store/redis/scripts/${name}.lua.ts`;
const dispatcher = 'src/store/redis/scripts/dispatcher.ts';

export const halfWayGuards = [
  {
    guard: 'a step that was stopped half-way is not told as one that was not executed',
    cites: 'I10',
    file: 'src/store/redis/channel.ts',
    from: '  return half\n',
    to: '  return half && false\n',
    tests: HALF,
  },
  {
    guard: 'a write of ours counts as one',
    cites: 'I10',
    file: dispatcher,
    from: 'READS.has(command) ? call : `write(',
    to: 'true ? call : `write(',
    tests: HALF,
  },
  {
    guard: 'a body of BullMQ counts as one that writes',
    cites: 'I10',
    file: dispatcher,
    from: 'return function(KEYS, ARGV)\\nhasWritten = true\\n',
    to: 'return function(KEYS, ARGV)\\n',
    tests: HALF,
  },
  {
    guard: 'what Redis refuses before its first write was not executed',
    cites: 'I10',
    file: dispatcher,
    from: "half = hasWritten and not REFUSED_FIRST[string.match(why, '^%u+')]",
    to: 'half = hasWritten',
    tests: HALF,
  },
  {
    guard: 'an add that was taken back has not written',
    cites: 'I10, race 38',
    file: script('enter'),
    from: '  hasWritten = hadWritten\n',
    to: '',
    tests: HALF,
  },
  {
    guard: 'an end that was stopped half-way calls the parent when it comes again',
    cites: 'I5, I7',
    file: script('parent'),
    from: '    if not removed then tellAgain(parent) end\n',
    to: '',
    tests: HALF,
  },
  {
    guard: 'an end that comes again knows its parent where its hash is gone',
    cites: 'I7',
    file: script('finish'),
    from: 'parentOf(B, jobId, string.sub(nextMs, 7))',
    to: 'parentOf(B, jobId)',
    tests: HALF,
  },
  {
    guard: 'an end that comes again tells nothing to a parent that has started',
    cites: 'I5',
    file: script('parent'),
    from: " or redis.call('HEXISTS', parent.key, 'ats') == 1",
    to: '',
    tests: HALF,
  },
  {
    guard: 'a child whose field of its parent is damaged has it mended',
    cites: 'I7',
    file: script('parent'),
    from: '    parent = key and mendParent(child, key)\n',
    to: '    parent = nil\n',
    tests: HALF,
  },
  {
    guard: 'half a surrogate pair in what is stored is read',
    cites: 'I10',
    file: dispatcher,
    from: '  if not ok then ok, value = pcall(cjson.decode, (string.gsub(',
    to: '  if false then ok, value = pcall(cjson.decode, (string.gsub(',
    tests: HALF,
  },
  {
    guard: 'what is no JSON is an empty table',
    cites: 'I7',
    file: dispatcher,
    from: "  return ok and type(value) == 'table' and value or {}\n",
    to: '  return value\n',
    tests: HALF,
  },
  {
    guard: 'what is buried says whose it is where its claim does not',
    cites: 'I5',
    file: script('dead'),
    from: '  local T, I = entityOf(B)\n',
    to: "  local T, I = string.match(claimOf(B)[ENTITY], '^([^:]+):(.+)$')\n",
    tests: HALF,
  },
];
