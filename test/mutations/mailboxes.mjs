// Guards of mailboxes, of many waiting calls and of deadlocks; for `scripts/mutation-check.mjs`.
const CONTRACT = ['test/contract/redis.test.ts'];
const MEMORY = ['test/contract/memory.test.ts'];
const MANY = ['test/unit/core/calls/many-pending-calls.test.ts'];
const DEADLOCKS = ['test/unit/core/calls/deadlocks.test.ts'];

const _CALLS = 'src/core/calls/pending-calls.ts';
const _INQUIRY = 'src/core/calls/inquiry.ts';

export const mailboxGuards = [
  {
    guard: 'a pod has no more waiting calls than its mailbox has room for',
    cites: 'I10, I11',
    at: 'pending-calls.call',
    from: 'this.calls.size >= MAX_WAITING_CALLS',
    to: 'false',
    tests: MANY,
  },
  {
    guard: 'calls that end together do so in several turns of the event loop',
    cites: 'I11',
    at: 'pending-calls.inTurns',
    from: 'index > 0 && index % MAX_ENDS_PER_TURN === 0',
    to: 'false',
    tests: MANY,
  },
  {
    guard: 'a round asks after so many calls',
    cites: 'I11',
    at: 'inquiry.due',
    from: ' && due.push(call) === MAX_PER_ROUND) break',
    to: ') due.push(call)',
    tests: MANY,
  },
  {
    guard: 'those are asked after first that were asked after longest ago',
    cites: 'I10',
    at: 'inquiry.putLast',
    from: '    calls.delete(call.id);\n    calls.set(call.id, call);\n',
    to: '',
    tests: MANY,
  },
  {
    guard: 'an answer that was dropped is no removed job',
    cites: 'I10',
    at: 'pending-calls.deliver',
    from: 'for (const other of this.calls.values()) other.onOverflow()',
    to: 'void 0',
    tests: MANY,
  },
  {
    guard: 'a full mailbox says so',
    cites: 'I10',
    at: 'reply-mailbox.post',
    from: 'entries == CORE.MAX_UNREAD',
    to: 'false',
    tests: CONTRACT,
  },
  {
    guard: 'a full mailbox takes no more',
    cites: 'I11',
    at: 'reply-mailbox.post',
    from: '  if entries > CORE.MAX_UNREAD then return end\n',
    to: '',
    tests: CONTRACT,
  },
  {
    guard: 'a text that has no room in a mailbox is left out',
    cites: 'I11',
    at: 'reply-mailbox.post',
    from: '#text * (entries + 1) > CORE.MAX_MAILBOX_BYTES',
    to: 'false',
    tests: CONTRACT,
  },
  {
    guard: 'the bounds of a mailbox hold in memory, too',
    cites: 'I11',
    at: 'mailbox.isTooLong',
    from: 'bytes > SHORT_TEXT && bytes * (entries + 1) > MAX_MAILBOX_BYTES',
    to: 'false',
    tests: MEMORY,
  },
  {
    guard: 'a call is refused only where each wait of the circle goes on',
    cites: 'I10',
    at: 'deadlock.refuseCircle',
    from: 'over.length === 0',
    to: 'over',
    tests: DEADLOCKS,
  },
  {
    guard: 'a call whose handler has ended is no wait',
    cites: 'I10',
    at: 'pending-calls.isHeld',
    from: 'handler?.hasEnded === false',
    to: 'handler !== undefined',
    tests: DEADLOCKS,
  },
  {
    guard: 'a pod that does not answer does not wait',
    cites: 'I10',
    at: 'liveness.ask',
    from: ' () => answered(false))',
    to: ' () => answered(true))',
    tests: DEADLOCKS,
  },
  {
    guard: 'a call that ends while others are asked enqueues nothing',
    cites: 'I10',
    at: 'pending-calls.send',
    from: 'this.calls.has(call.id) ? added() : undefined',
    to: 'added()',
    tests: DEADLOCKS,
  },
];
