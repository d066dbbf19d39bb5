// Guards of handlers that take long, are given up, return Observables, or are stood in for; for `scripts/mutation-check.mjs`.
const TIMEOUTS = ['test/unit/handler-timeouts.test.ts'];
const SLOW = ['test/unit/slow-handlers.test.ts'];
const CONTRACT = ['test/contract/redis.test.ts'];
const OBSERVABLES = ['test/unit/observables.test.ts'];
const MOCKS = ['test/unit/handler-mocks.test.ts'];

export const timeoutGuards = [
  {
    guard: 'a token under which a handler was given up is spent',
    cites: 'race 39, I4',
    file: 'src/core/tenure.ts',
    from: '    this.spentToken = claim.token;\n',
    to: '',
    tests: TIMEOUTS,
  },
  {
    guard: 'an entity whose token is spent is given up before anything starts',
    cites: 'race 39',
    file: 'src/core/leaving.ts',
    from: "leaving === 'room' || isSpent;",
    to: "leaving === 'room';",
    tests: TIMEOUTS,
  },
  {
    guard: 'a resync keeps the token, and so it stays spent',
    cites: 'race 39',
    file: 'src/core/tenure.ts',
    from: '    this.lease = new Lease(claim,',
    to: '    this.spentToken = undefined;\n    this.lease = new Lease(claim,',
    tests: TIMEOUTS,
  },
  {
    guard: 'a handler that was told to stop may settle for itself',
    cites: 'handlerTimeoutMs',
    file: 'src/core/run-limit.ts',
    from: 'this.clock.after(STOP_GRACE_MS,',
    to: 'this.clock.after(0,',
    tests: TIMEOUTS,
  },
  {
    guard: 'what a handler has begun that settles after its time may still run',
    cites: 'race 39',
    file: 'src/core/run-limit.ts',
    from: '        this.isOver = true;\n        timer = this.clock.after(STOP_GRACE_MS, () => reject(error));',
    to: '        timer = this.clock.after(STOP_GRACE_MS, () => {\n          this.isOver = true;\n          reject(error);\n        });',
    tests: TIMEOUTS,
  },
  {
    guard: 'one run alone is told to stop, also when its signal is asked for later',
    cites: 'handlerTimeoutMs',
    file: 'src/core/current-job.ts',
    from: '      if (this.reason) this.run.abort(this.reason);\n',
    to: '',
    tests: TIMEOUTS,
  },
  {
    guard: 'a run that is slow is told of less and less often',
    cites: 'I11',
    file: 'src/core/runs.ts',
    from: 'Math.min(nowMs - run.startedAtMs, MAX_PAUSE_MS)',
    to: '0',
    tests: SLOW,
  },
  {
    guard: 'lines about slow runs are bounded',
    cites: 'I11',
    file: 'src/core/slow-runs.ts',
    from: 'if (++lines <= MAX_LINES) ',
    to: '++lines;\n        ',
    tests: SLOW,
  },
  {
    guard: 'what a former owner has told of its runs says nothing',
    cites: 'status',
    file: 'src/store/redis/scripts/control.lua.ts',
    from: 'if not told or string.sub(c[3], 1, #told) ~= told then return out end',
    to: 'if not told then return out end',
    tests: CONTRACT,
  },
  {
    guard: 'a run that has ended is not in the status',
    cites: 'status',
    file: 'src/store/redis/scripts/control.lua.ts',
    from: "and since and redis.call('LPOS', B .. ':active', id) then",
    to: 'and since then',
    tests: CONTRACT,
  },
  {
    guard: 'an Observable ends when its run is to stop',
    cites: 'Observables',
    file: 'src/nest/observable.ts',
    from: 'takeUntil(aborted)(stream)',
    to: 'stream',
    tests: OBSERVABLES,
  },
  {
    guard: 'guards see the method that is declared, not a spy',
    cites: 'enhancers',
    file: 'src/nest/enhancers.ts',
    from: 'Object.setPrototypeOf(present, declared)',
    to: 'present',
    tests: MOCKS,
  },
  {
    guard: 'what stands in for a processor runs its jobs',
    cites: 'overrideProvider',
    file: 'src/nest/provider.ts',
    from: 'const target = isStandIn ? token : own;',
    to: 'const target = own;',
    tests: MOCKS,
  },
];
