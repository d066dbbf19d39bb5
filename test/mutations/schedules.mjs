// Guards of schedules; for `scripts/mutation-check.mjs`.
const CONTRACT = ['test/contract/redis.test.ts'];
const TIMES = ['test/integration/schedule-times.test.ts'];

const _script = name => `src/store/redis/lua/${name}.lua`;

export const scheduleGuards = [
  {
    guard: 'the end of a job that is not the present one of its schedule does not end that',
    cites: 'I10',
    at: 'advance-schedule.advance',
    from: 'jobId ~=',
    to: 'not',
    tests: TIMES,
  },
  {
    guard: 'a run that has started is not removed when its schedule is put anew, or removed',
    cites: 'I5, I6, I10',
    at: 'schedules.sparingStarted',
    from: 'not run or not hasStarted(B, run)',
    to: 'true',
    tests: CONTRACT,
  },
  {
    guard: 'a run that is due stays due when its schedule is put anew',
    cites: 'I7',
    at: 'schedules.OPS.schedule',
    from: 'dueMs(B, id, what)',
    to: 'nil',
    tests: CONTRACT,
  },
  {
    guard: 'a clock that is behind makes no second run of a time',
    cites: 'I5, race 20',
    at: 'schedules.OPS.schedule',
    from: "(tonumber(nextMs) <= tonumber(nowMs) or hasStarted(B, 'repeat:' .. id .. ':' .. nextMs))",
    to: 'false',
    tests: TIMES,
  },
  {
    guard: 'a schedule by a pattern goes past a run of its time that was moved before it',
    cites: 'I7',
    at: 'advance-schedule.advance',
    from: "while nextMs ~= '0' and",
    to: 'while false and',
    tests: TIMES,
  },
  {
    guard: 'a schedule by an interval goes past a run of its time that was moved before it',
    cites: 'I7',
    at: 'advance-schedule.advance',
    from: ' or every and update(skipTaken(B, id, every))',
    to: '',
    tests: TIMES,
  },
  {
    guard: 'no two runs of a schedule in memory have one id',
    cites: 'I5',
    at: 'schedules.put',
    from: 'this.firstFree(entity, next, next.nextAtMs) ?? now',
    to: 'next.nextAtMs',
    tests: ['test/contract/memory.test.ts'],
  },
  {
    guard: 'a queue that is emptied keeps the runs of its schedules, wherever they wait',
    cites: 'I5',
    at: 'drop-jobs.OPS.drop',
    from: '  if drop then spare(B, drop) end\n',
    to: '',
    tests: CONTRACT,
  },
  {
    guard: 'a schedule that is put anew finds its run in a paused queue',
    cites: 'I5',
    at: 'recorder.recordKeyNames',
    from: ".map(name => (name === 'paused' ? 'wait' : name))",
    to: '',
    tests: CONTRACT,
  },
  {
    guard: 'a time is found across a change of the clocks',
    cites: 'I7',
    at: 'schedule-times.nextByPattern',
    from: '= MAX_HOURS',
    to: ' 1',
    tests: ['test/unit/store/schedule-times.test.ts'],
  },
];
