// Guards of the engine's own asynchronous context; for `scripts/mutation-check.mjs`.
const TESTS = ['test/integration/async-context.test.ts'];
const UNIT = ['test/unit/core/model/detached.test.ts'];

export const asyncContextGuards = [
  {
    guard: 'what runs detached is outside of every context',
    cites: 'stranger context',
    file: 'src/core/model/detached.ts',
    from: 'return ROOT.runInAsyncScope(runInOwn, undefined, run) as T;',
    to: 'return runInOwn(run) as T;',
    tests: TESTS,
  },
  {
    guard: 'what is entered in it ends with it',
    cites: 'stranger context',
    file: 'src/core/model/detached.ts',
    from: 'return new AsyncResource(NAME).runInAsyncScope(run);',
    to: 'return run();',
    tests: UNIT,
  },
  {
    guard: 'a handler is in no context that another has left behind',
    cites: 'stranger context',
    file: 'src/core/work/local-queue.ts',
    from: 'detached(() => runJob(execution, first, lease, limit)).then(',
    to: 'runJob(execution, first, lease, limit).then(',
    tests: TESTS,
  },
  {
    guard: 'a worker does not keep the context of the caller whose job it has fetched',
    cites: 'stranger context, I8',
    file: 'src/core/enqueue/enqueuer.ts',
    from: 'return this.order.after(() => detached(() => this.send(job)));',
    to: 'return this.order.after(() => this.send(job));',
    tests: TESTS,
  },
  {
    guard: 'what waits for answers does not keep the context of its first caller',
    cites: 'stranger context, I8',
    file: 'src/core/calls/pending-calls.ts',
    from: 'detached(() => {\n      this.listen();\n      this.inquiry.schedule();\n    });',
    to: 'this.listen();\n    this.inquiry.schedule();',
    tests: TESTS,
  },
  {
    guard: 'loops and timers of the engine are not in the context in which the application was started',
    cites: 'stranger context',
    file: 'src/core/engine.ts',
    from: 'detached(() => this.workOnceConnected());',
    to: 'this.workOnceConnected();',
    tests: TESTS,
  },
  {
    guard: 'connections are not in the context in which the application was started',
    cites: 'stranger context',
    file: 'src/core/engine.ts',
    from: 'this.connected ??= detached(() => this.parts.store.start(onUnreachable));',
    to: 'this.connected ??= this.parts.store.start(onUnreachable);',
    tests: TESTS,
  },
  {
    guard: 'a subscriber to events is in no context',
    cites: 'stranger context',
    file: 'src/nest/events.ts',
    from: 'emit: event => detached(() => subject.next(event)),',
    to: 'emit: event => subject.next(event),',
    tests: TESTS,
  },
  {
    guard: 'a batch of calls is in the context of none of its callers',
    cites: 'stranger context',
    file: 'src/store/redis/connection/channel.ts',
    from: 'private readonly flush = (): void => detached(() => this.flushNow());',
    to: 'private readonly flush = (): void => this.flushNow();',
    tests: UNIT,
  },
];
