// Guards of the engine's own asynchronous context; for `scripts/mutation-check.mjs`.
const TESTS = ['test/integration/async-context.test.ts'];
const UNIT = ['test/unit/core/model/detached.test.ts'];

export const asyncContextGuards = [
  {
    guard: 'what runs detached is outside of every context',
    cites: 'stranger context',
    at: 'detached.detached',
    from: 'ROOT.runInAsyncScope(runInOwn, undefined, run',
    to: 'runInOwn(run',
    tests: TESTS,
  },
  {
    guard: 'what is entered in it ends with it',
    cites: 'stranger context',
    at: 'detached.runInOwn',
    from: 'new AsyncResource(NAME).runInAsyncScope(run',
    to: 'run(',
    tests: UNIT,
  },
  {
    guard: 'a handler is in no context that another has left behind',
    cites: 'stranger context',
    at: 'local-queue.start',
    from: 'detached(() => runJob(execution, first, lease, limit)',
    to: 'runJob(execution, first, lease, limit',
    tests: TESTS,
  },
  {
    guard: 'a worker does not keep the context of the caller whose job it has fetched',
    cites: 'stranger context, I8',
    at: 'enqueuer.enqueue',
    from: 'detached(() => this.send(job)',
    to: 'this.send(job',
    tests: TESTS,
  },
  {
    guard: 'what waits for answers does not keep the context of its first caller',
    cites: 'stranger context, I8',
    at: 'pending-calls.call',
    from: 'detached(() => {\n      this.listen();\n      this.inquiry.schedule();\n    }',
    to: 'this.listen();\n    this.inquiry.schedule(',
    tests: TESTS,
  },
  {
    guard: 'loops and timers of the engine are not in the context in which the application was started',
    cites: 'stranger context',
    at: 'engine.work',
    from: 'detached(() => this.workOnceConnected()',
    to: 'this.workOnceConnected(',
    tests: TESTS,
  },
  {
    guard: 'connections are not in the context in which the application was started',
    cites: 'stranger context',
    at: 'engine.connect',
    from: 'detached(() => this.parts.store.start(onUnreachable)',
    to: 'this.parts.store.start(onUnreachable',
    tests: TESTS,
  },
  {
    guard: 'a subscriber to events is in no context',
    cites: 'stranger context',
    at: 'events.sinkOf',
    from: 'detached(() => subject.next(event)',
    to: 'subject.next(event',
    tests: TESTS,
  },
  {
    guard: 'a batch of calls is in the context of none of its callers',
    cites: 'stranger context',
    at: 'channel.schedule',
    from: 'detached(() => this.flushNow()',
    to: 'this.flushNow(',
    tests: UNIT,
  },
];
