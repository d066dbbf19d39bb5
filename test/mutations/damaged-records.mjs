// Guards of records that others have written or damaged; for `scripts/mutation-check.mjs`.
const TESTS = ['test/integration/damage.test.ts'];
const FIELDS = ['test/unit/job-fields.test.ts'];
const SCRIPTS = 'src/store/redis/scripts/';

export const damagedRecordGuards = [
  {
    guard: 'options that are damaged fail their job, and nothing else',
    cites: 'damage, I7',
    file: 'src/store/redis/job-fields.ts',
    from: "if (!isObject(options)) return { value: {}, fault: 'is no JSON object' };",
    to: 'if (!isObject(options)) return { value: {} };',
    tests: FIELDS,
  },
  {
    guard: 'an option that BullMQ would calculate with is checked',
    cites: 'damage, I7',
    file: 'src/store/redis/job-fields.ts',
    from: 'if (value === undefined || isValid(value)) continue;',
    to: 'if (value !== null) continue;',
    tests: FIELDS,
  },
  {
    guard: 'a fetch that fails over a damaged job mends it',
    cites: 'damage, I6, I7',
    file: `${SCRIPTS}mend.lua.ts`,
    from: 'for _, id in ipairs(ids) do mendJob(B, id) end',
    to: '',
    tests: TESTS,
  },
  {
    guard: 'a damaged meta is mended',
    cites: 'damage, I7',
    file: `${SCRIPTS}mend.lua.ts`,
    from: '  mendMeta(B)\n  local ok',
    to: '  local ok',
    tests: TESTS,
  },
  {
    guard: 'a claim that is no hash is none',
    cites: 'damage, I7',
    file: `${SCRIPTS}claim.lua.ts`,
    from: "    redis.call('DEL', fence(B))\n    return {}",
    to: '    error(claim, 0)',
    tests: TESTS,
  },
  {
    guard: 'a number of a claim that is none is not there',
    cites: 'damage, I4, I7',
    file: `${SCRIPTS}claim.lua.ts`,
    from: 'for _, field in ipairs({UNTIL, TOKEN, LAST_ID, KEYS_UNTIL}) do claim[field] = whole(claim[field]) end',
    to: '',
    tests: TESTS,
  },
  {
    guard: 'the damaged claim of one entity does not fail the renewals of all',
    cites: 'damage, I7',
    file: `${SCRIPTS}renew.lua.ts`,
    from: "tonumber(whole(c[2]) or '0') < tonumber(epoch)",
    to: 'tonumber(c[2]) < tonumber(epoch)',
    tests: TESTS,
  },
  {
    guard: 'the parent of a job that is damaged is none',
    cites: 'damage, I7',
    file: `${SCRIPTS}parent.lua.ts`,
    from: "    if json then redis.call('HDEL', child, 'parent') end\n",
    to: '',
    tests: TESTS,
  },
  {
    guard: 'an end that fails half-way is made again',
    cites: 'damage, I5',
    file: `${SCRIPTS}finish.lua.ts`,
    from: "if not redis.call('LPOS', B .. ':active', jobId) then redis.call('RPUSH', B .. ':active', jobId) end",
    to: '',
    tests: TESTS,
  },
  {
    guard: 'a claim that ends later than any is live only while its owner is heard',
    cites: 'damage, I7',
    file: `${SCRIPTS}claim.lua.ts`,
    from: 'local isHeard = not (claim[RESTS] or isDamaged) or',
    to: 'local isHeard = not claim[RESTS] or',
    tests: TESTS,
  },
];
