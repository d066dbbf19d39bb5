// Guards of mailboxes, of many waiting calls and of deadlocks; for `scripts/mutation-check.mjs`.
const CONTRACT = ['test/contract/redis.test.ts'];
const MEMORY = ['test/contract/memory.test.ts'];
const MANY = ['test/unit/core/calls/many-pending-calls.test.ts'];
const DEADLOCKS = ['test/unit/core/calls/deadlocks.test.ts'];

const CALLS = 'src/core/calls/pending-calls.ts';
const INQUIRY = 'src/core/calls/inquiry.ts';

export const mailboxGuards = [
  {
    guard: 'a pod has no more waiting calls than its mailbox has room for',
    cites: 'I10, I11',
    file: CALLS,
    from: '    if (this.calls.size >= MAX_WAITING_CALLS) throw',
    to: '    if (false) throw',
    tests: MANY,
  },
  {
    guard: 'calls that end together do so in several turns of the event loop',
    cites: 'I11',
    file: CALLS,
    from: 'index > 0 && index % MAX_ENDS_PER_TURN === 0',
    to: 'false',
    tests: MANY,
  },
  {
    guard: 'a round asks after so many calls',
    cites: 'I11',
    file: INQUIRY,
    from: ' && due.push(call) === MAX_PER_ROUND) break;',
    to: ') due.push(call);',
    tests: MANY,
  },
  {
    guard: 'those are asked after first that were asked after longest ago',
    cites: 'I10',
    file: INQUIRY,
    from: '    calls.delete(call.id);\n    calls.set(call.id, call);\n',
    to: '',
    tests: MANY,
  },
  {
    guard: 'an answer that was dropped is no removed job',
    cites: 'I10',
    file: CALLS,
    from: 'for (const other of this.calls.values()) other.onOverflow();',
    to: 'void 0;',
    tests: MANY,
  },
  {
    guard: 'a full mailbox says so',
    cites: 'I10',
    file: 'src/store/redis/lua/reply-mailbox.lua',
    from: '  if entries == CORE.MAX_UNREAD then\n',
    to: '  if false then\n',
    tests: CONTRACT,
  },
  {
    guard: 'a full mailbox takes no more',
    cites: 'I11',
    file: 'src/store/redis/lua/reply-mailbox.lua',
    from: '  if entries > CORE.MAX_UNREAD then return end\n',
    to: '',
    tests: CONTRACT,
  },
  {
    guard: 'a text that has no room in a mailbox is left out',
    cites: 'I11',
    file: 'src/store/redis/lua/reply-mailbox.lua',
    from: ' and #text * (entries + 1) > CORE.MAX_MAILBOX_BYTES then',
    to: ' and false then',
    tests: CONTRACT,
  },
  {
    guard: 'the bounds of a mailbox hold in memory, too',
    cites: 'I11',
    file: 'src/core/model/mailbox.ts',
    from: 'return bytes > SHORT_TEXT && bytes * (entries + 1) > MAX_MAILBOX_BYTES;',
    to: 'return false;',
    tests: MEMORY,
  },
  {
    guard: 'a call is refused only where each wait of the circle goes on',
    cites: 'I10',
    file: 'src/core/calls/deadlock.ts',
    from: 'if (over.length === 0) throw',
    to: 'if (over) throw',
    tests: DEADLOCKS,
  },
  {
    guard: 'a call whose handler has ended is no wait',
    cites: 'I10',
    file: CALLS,
    from: 'return this.calls.get(id)?.handler?.hasEnded === false;',
    to: 'return this.calls.get(id)?.handler !== undefined;',
    tests: DEADLOCKS,
  },
  {
    guard: 'a pod that does not answer does not wait',
    cites: 'I10',
    file: 'src/core/calls/liveness.ts',
    from: 'clock.after(LIVENESS_MS, () => answered(false))',
    to: 'clock.after(LIVENESS_MS, () => answered(true))',
    tests: DEADLOCKS,
  },
  {
    guard: 'a call that ends while others are asked enqueues nothing',
    cites: 'I10',
    file: CALLS,
    from: '      this.calls.has(call.id) ? added() : undefined,\n',
    to: '      added(),\n',
    tests: DEADLOCKS,
  },
];
