// Guards of schedules; for `scripts/mutation-check.mjs`.
const CONTRACT = ['test/contract/redis.test.ts'];
const TIMES = ['test/integration/schedule-times.test.ts'];

const script = name => `src/store/redis/lua/${name}.lua`;

export const scheduleGuards = [
  {
    guard: 'the end of a job that is not the present one of its schedule does not end that',
    cites: 'I10',
    file: 'src/store/redis/lua/advance-schedule.lua',
    from: 'if not id or jobId ~= presentOf(B, id) then return end',
    to: 'if not id or not presentOf(B, id) then return end',
    tests: TIMES,
  },
  {
    guard: 'a run that has started is not removed when its schedule is put anew, or removed',
    cites: 'I5, I6, I10',
    file: 'src/store/redis/lua/schedules.lua',
    from: 'if not run or not hasStarted(B, run) then return change() end',
    to: 'if true then return change() end',
    tests: CONTRACT,
  },
  {
    guard: 'a run that is due stays due when its schedule is put anew',
    cites: 'I7',
    file: 'src/store/redis/lua/schedules.lua',
    from: 'local due = dueMs(B, id, what)',
    to: 'local due = nil',
    tests: CONTRACT,
  },
  {
    guard: 'a clock that is behind makes no second run of a time',
    cites: 'I5, race 20',
    file: 'src/store/redis/lua/schedules.lua',
    from: "(tonumber(nextMs) <= tonumber(nowMs) or hasStarted(B, 'repeat:' .. id .. ':' .. nextMs))",
    to: 'false',
    tests: TIMES,
  },
  {
    guard: 'a schedule by a pattern goes past a run of its time that was moved before it',
    cites: 'I7',
    file: 'src/store/redis/lua/advance-schedule.lua',
    from: "while nextMs ~= '0' and redis.call(",
    to: 'while false and redis.call(',
    tests: TIMES,
  },
  {
    guard: 'a schedule by an interval goes past a run of its time that was moved before it',
    cites: 'I7',
    file: 'src/store/redis/lua/advance-schedule.lua',
    from: ' or every and update(skipTaken(B, id, every))',
    to: '',
    tests: TIMES,
  },
  {
    guard: 'no two runs of a schedule in memory have one id',
    cites: 'I5',
    file: 'src/store/memory/operator/schedules.ts',
    from: 'this.firstFree(entity, next, next.nextAtMs) ?? now',
    to: 'next.nextAtMs',
    tests: ['test/contract/memory.test.ts'],
  },
  {
    guard: 'a queue that is emptied keeps the runs of its schedules, wherever they wait',
    cites: 'I5',
    file: script('drop-jobs'),
    from: '  if drop then spare(B, drop) end\n',
    to: '',
    tests: CONTRACT,
  },
  {
    guard: 'a schedule that is put anew finds its run in a paused queue',
    cites: 'I5',
    file: 'src/store/redis/bullmq/recorder.ts',
    from: "names('addJobScheduler').map(name => (name === 'paused' ? 'wait' : name))",
    to: "names('addJobScheduler')",
    tests: CONTRACT,
  },
  {
    guard: 'a time is found across a change of the clocks',
    cites: 'I7',
    file: 'src/store/schedule-times.ts',
    from: 'hours <= MAX_HOURS',
    to: 'hours < 1',
    tests: ['test/unit/store/schedule-times.test.ts'],
  },
];
