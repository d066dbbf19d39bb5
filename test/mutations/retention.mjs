// Guards of what a job has beside its payload, and of jobs that have ended; for `scripts/mutation-check.mjs`.
const CONTRACT = ['test/contract/redis.test.ts'];

const _script = name => `src/store/redis/lua/${name}.lua`;

export const retentionGuards = [
  {
    guard: 'the envelope is of the job that is added, not of one that is known',
    cites: 'I5',
    at: 'add-job.addOnce',
    from: 'and not existed and id ~= known and',
    to: 'and',
    tests: CONTRACT,
  },
  {
    guard: 'a job that takes the place of a delayed one has an envelope of its own',
    cites: 'I5',
    at: 'add-job.addOnce',
    from: 'id ~= known and',
    to: 'not known and',
    tests: ['test/integration/payloads.test.ts'],
  },
  {
    guard: 'a dead letter keeps the envelope of its job',
    cites: 'I5',
    at: 'move-to-dead-letters.Letters.remains',
    from: "    was.fields[#was.fields + 1] = 'aq'\n    was.fields[#was.fields + 1] = envelope\n",
    to: '',
    tests: CONTRACT,
  },
  {
    guard: 'the next run of a schedule has the envelope of the last',
    cites: 'I5',
    at: 'advance-schedule.advance',
    from: "  if envelope and nextId then redis.call('HSET', B .. ':' .. nextId, 'aq', envelope) end\n",
    to: '',
    tests: CONTRACT,
  },
  {
    guard: 'jobs that are kept for a time go where none ends any more',
    cites: 'I8',
    at: 'settle.settle',
    from: 'hasEndedJobs(B) and expireKept(B) or nil',
    to: 'nil',
    tests: CONTRACT,
  },
  {
    guard: 'an idempotency key outlives a job that was kept for less long',
    cites: 'I5',
    at: 'retention.expel',
    from: "  redis.call('HDEL', B .. ':' .. id, 'deid')\n",
    to: '',
    tests: CONTRACT,
  },
  {
    guard: 'of jobs that are kept only those go that are old enough',
    cites: 'I5',
    at: 'retention.expirePage',
    from: '> nowUs',
    to: '< 0',
    tests: CONTRACT,
  },
];
