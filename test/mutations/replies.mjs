// Guards of answers and of calls that wait for them; for `scripts/mutation-check.mjs`.
const CONTRACT = ['test/contract/redis.test.ts'];
const CORE = ['test/unit/core/calls/pending-calls.test.ts'];
const MANY = ['test/unit/core/calls/many-pending-calls.test.ts'];
const ON_REDIS = ['test/integration/replies.test.ts'];

const script = name => `src/store/redis/lua/${name}.lua`;
const ANSWER = script('answer');
const CALL = 'src/core/calls/pending-call.ts';
const CALLS = 'src/core/calls/pending-calls.ts';
const INQUIRY = 'src/core/calls/inquiry.ts';

export const replyGuards = [
  {
    guard: 'only the end that counts is answered',
    cites: 'I5',
    file: script('finish'),
    from: "  if reply ~= '' and (type(r) ~= 'number' or r >= 0) then pcall",
    to: "  if reply ~= '' then pcall",
    tests: CONTRACT,
  },
  {
    guard: 'an end that is made good is answered',
    cites: 'race 28',
    file: script('finish'),
    from: "nextMs, reply, '0', keptIds)",
    to: "nextMs, '', '0', keptIds)",
    tests: CONTRACT,
  },
  {
    guard: 'an answer that was not read is found',
    cites: 'race 1',
    file: INQUIRY,
    from: '      for await (const page of this.parts.replies.unread()) this.parts.deliver(page);\n',
    to: '',
    tests: MANY,
  },
  {
    guard: 'a mailbox expires',
    cites: 'I8, race 36',
    file: script('reply-mailbox'),
    from: "  redis.call('PEXPIRE', box, ANSWERS_KEPT_MS)\n",
    to: '',
    tests: ON_REDIS,
  },
  {
    guard: 'a call cancels its own job only',
    cites: 'I5',
    file: script('replies'),
    from: 'if not isFor(envelope, call) or ',
    to: 'if ',
    tests: CONTRACT,
  },
  {
    guard: 'what has started is not cancelled',
    cites: 'I5',
    file: script('replies'),
    from: " or (tonumber(starts or '0') or 1) > 0 then",
    to: ' then',
    tests: CONTRACT,
  },
  {
    guard: 'an entity whose last job is cancelled is looked at',
    cites: 'I8',
    file: script('replies'),
    from: '  if not isLive(claimOf(B)) then lookNow(B, T, I) end\n',
    to: '',
    tests: CONTRACT,
  },
  {
    guard: 'what was read is removed from the mailbox',
    cites: 'I8',
    file: 'src/store/redis/reply-mailbox.ts',
    from: 'redis.xdel(box, ...(this.read.length > 0 ? this.read : [NO_ENTRY]));',
    to: 'redis.xdel(box, NO_ENTRY);',
    tests: CONTRACT,
  },
  {
    guard: 'a job that has not ended for good is not answered',
    cites: 'I5',
    file: 'src/core/model/reply-of.ts',
    from: ' || COMES_BACK.includes(outcome.kind)',
    to: '',
    tests: CONTRACT,
  },
  {
    guard: 'an enqueue of which nobody knows is settled by its answer',
    cites: 'race 1',
    file: CALL,
    from: '    if (error instanceof OutcomeUnknownError) this.unsure = error;\n    else this.fail(error);',
    to: '    this.fail(error);',
    tests: CORE,
  },
  {
    guard: 'a call that has timed out does not wait for the state of its job',
    cites: 'I10',
    file: CALLS,
    from: '      const timer = this.parts.clock.after(ms, resolve);\n',
    to: '      const timer = { cancel: () => {} };\n',
    tests: CORE,
  },
  {
    guard: 'whose key was known learns that the answer was another’s',
    cites: 'I10',
    file: CALL,
    from: '    this.isAttached = request.mayBeKnown;\n',
    to: '    this.isAttached = false;\n',
    tests: CORE,
  },
  {
    guard: 'a call that has settled listens to no signal',
    cites: 'I8',
    file: CALL,
    from: "    this.request.signal?.removeEventListener('abort', this.onAbort);\n",
    to: '',
    tests: CORE,
  },
  {
    guard: 'a call that has settled has no timer',
    cites: 'I8',
    file: CALL,
    from: '    this.timer.cancel();\n',
    to: '',
    tests: CORE,
  },
  {
    guard: 'jobs of which no answer tells are asked after',
    cites: 'I10',
    file: INQUIRY,
    from: '    await this.ask(this.due());\n',
    to: '',
    tests: CORE,
  },
  {
    guard: 'a pod that closes lets nobody wait',
    cites: 'I10',
    file: 'src/core/engine.ts',
    from: '    await this.calls.close();\n',
    to: '',
    tests: CORE,
  },
  {
    guard: 'the chain of who waits travels on',
    cites: 'I10',
    file: CALLS,
    from: 'chain: [...links, link]',
    to: 'chain: [link]',
    tests: CORE,
  },
  {
    guard: 'a handler that has ended waits no more',
    cites: 'I10',
    file: 'src/core/calls/deadlock.ts',
    from: 'return context?.hasEnded ? undefined : context;',
    to: 'return context;',
    tests: CORE,
  },
  {
    guard: 'a result that is too large is withheld',
    cites: 'I10',
    file: 'src/core/run/run-job.ts',
    from: "outcome: { kind: 'completed', value, withheld }",
    to: "outcome: { kind: 'completed', value }",
    tests: CORE,
  },
];
