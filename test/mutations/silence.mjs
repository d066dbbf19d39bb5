// Guards of what a silence means for claims; for `scripts/mutation-check.mjs`.
const CONTRACT = ['test/contract/redis.test.ts'];
const MEMORY = ['test/contract/memory.test.ts'];
const script = name => `src/store/redis/scripts/${name}.lua.ts`;
const server = 'src/store/memory/memory-server.ts';

export const silenceGuards = [
  {
    guard: 'no claim lapses for a lease after a silence of all pods',
    cites: 'I1 I5 race 2',
    file: script('claim'),
    from: 'return graceUntil() > nowUs and graceUntil() or nil',
    to: 'return nil',
    tests: CONTRACT,
  },
  {
    guard: 'the grace ends',
    cites: 'I7',
    file: script('claim'),
    from: 'return graceUntil() > nowUs and graceUntil() or nil',
    to: 'return graceUntil()',
    tests: CONTRACT,
  },
  {
    guard: 'a clock that has stepped back does not prolong the grace beyond a lease (look)',
    cites: 'I7 race 20',
    file: script('claim'),
    from: 'graceEnd = math.min(since, nowUs) + leaseUs',
    to: 'graceEnd = since + leaseUs',
    tests: CONTRACT,
  },
  {
    guard: 'a clock that has stepped back does not prolong the grace beyond a lease (renewal)',
    cites: 'I7 race 20',
    file: script('renew'),
    from: "string.format('%.0f', math.min(since, nowUs))",
    to: "string.format('%.0f', since)",
    tests: CONTRACT,
  },
  {
    guard: 'a renewal does not begin the grace again',
    cites: 'I7',
    file: script('renew'),
    from: "string.format('%.0f', math.min(since, nowUs))",
    to: "string.format('%.0f', nowUs)",
    tests: CONTRACT,
  },
  {
    guard: 'who finds a claim that is in its grace looks again when that ends',
    cites: 'I7',
    file: script('look'),
    from: "string.format('%.0f', liveUntil(claim))",
    to: "string.format('%.0f', nowUs + 10 * leaseUs)",
    tests: CONTRACT,
  },
  {
    guard: 'a pod that calls under a claim that it has lost was not killed',
    cites: 'I5 race 7',
    file: script('claim'),
    from: '    clearSuspicion(B, claim[SUSPECT])\n',
    to: '',
    tests: CONTRACT,
  },
  {
    guard: 'a pod that renews a claim that it has lost was not killed',
    cites: 'I5 race 7',
    file: script('renew'),
    from: '    clearSuspicion(B, c[4])\n',
    to: '',
    tests: CONTRACT,
  },
  {
    guard: 'a pod clears only itself',
    cites: 'I5 race 7',
    file: script('suspect'),
    from: '  if not from then return end\n',
    to: '  if not from then from, to = 1, 0 end\n',
    tests: CONTRACT,
  },
  {
    guard: 'a job of which a pod was not killed is not to fail for it',
    cites: 'I5 race 7',
    file: script('suspect'),
    from: "if redis.call('HGET', job, 'defa') == STALLED_TOO_OFTEN then",
    to: 'if false then',
    tests: CONTRACT,
  },
  {
    guard: 'memory: no claim lapses for a lease after a silence of all pods',
    cites: 'I1 I5 race 2',
    file: server,
    from: 'return graceUntilMs > this.now() ? graceUntilMs : undefined;',
    to: 'return undefined;',
    tests: MEMORY,
  },
  {
    guard: 'memory: a pod that is heard was not killed',
    cites: 'I5 race 7',
    file: server,
    from: '    if (!suspect?.pods.includes(podId)) return;\n',
    to: '    if (!suspect || podId) return;\n',
    tests: MEMORY,
  },
];
